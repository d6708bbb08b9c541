import { describe, expect, it } from "vitest";

import { drawSeed, MAX_SEED, parseSeed } from "./seed";

describe("a seed", () => {
  it("is drawn over the whole range", () => {
    const seeds = Array.from({ length: 200 }, drawSeed);
    expect(seeds.every((seed) => Number.isInteger(seed) && seed >= 0 && seed <= MAX_SEED)).toBe(true);
    expect(new Set(seeds).size).toBeGreaterThan(190);
    expect(seeds.some((seed) => seed > MAX_SEED / 2)).toBe(true);
    expect(seeds.some((seed) => seed < MAX_SEED / 2)).toBe(true);
  });

  it.each([
    ["0", 0],
    [" 42 ", 42],
    ["4294967295", MAX_SEED],
  ])("is read from %o", (text, seed) => {
    expect(parseSeed(text)).toBe(seed);
  });

  it.each(["", "-1", "1.5", "4294967296", "99999999999", "1e3", "0x10", "seed"])("is not %o", (text) => {
    expect(parseSeed(text)).toBeUndefined();
  });
});
