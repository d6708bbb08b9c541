// Seeds: whole numbers from 0 to 4294967295.

export const MAX_SEED = 0xff_ff_ff_ff;

/** A seed that is as likely as any other. */
export function drawSeed(): number {
  const words = crypto.getRandomValues(new Uint32Array(1));
  return words[0] ?? 0;
}

/** The seed that a text means; undefined if it is none. */
export function parseSeed(text: string): number | undefined {
  if (!/^\d{1,10}$/.test(text.trim())) return;
  const seed = Number(text);
  return seed <= MAX_SEED ? seed : undefined;
}
