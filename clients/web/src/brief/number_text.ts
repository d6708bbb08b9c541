// Numbers as people type them.

/** The number that a field's text means; undefined if it is none. A comma is a decimal point. */
export function parseNumber(text: string): number | undefined {
  const plain = text.trim().replace(",", ".");
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : undefined;
}

/** The shortest text that reads back to the number, with at most six decimals. */
export function numberText(value: number): string {
  return String(Number(value.toFixed(6)));
}
