// Numbers as people type them.

/** The number that a field's text means; undefined if it is none. A comma is a decimal point, "−" a minus. */
export function parseNumber(text: string): number | undefined {
  const plain = text.trim().replace(",", ".").replace("−", "-");
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : undefined;
}

const DECIMALS_OF_SMALL_NUMBERS = 20;

/** The shortest text that reads back to exactly the number. */
export function numberText(value: number): string {
  const text = String(value);
  return text.includes("e") ? value.toFixed(DECIMALS_OF_SMALL_NUMBERS) : text;
}
