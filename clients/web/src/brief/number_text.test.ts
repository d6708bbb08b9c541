import { describe, expect, it } from "vitest";

import { numberText, parseNumber } from "./number_text";

describe("a number that is typed", () => {
  it.each([
    ["12", 12],
    [" 12.5 ", 12.5],
    ["12,5", 12.5],
    ["-16", -16],
    ["−16", -16],
    ["+3", 3],
    [".5", 0.5],
    ["5.", 5],
  ])("is read from %o", (text, value) => {
    expect(parseNumber(text)).toBe(value);
  });

  it.each(["", " ", ".", "-", "1.2.3", "1,000.5", "1e3", "0x1", "NaN", "Infinity", "12 s"])("is not %o", (text) => {
    expect(parseNumber(text)).toBeUndefined();
  });
});

describe("the text of a number", () => {
  it.each([0, 30, -16, 118.5, 27.428571428571427, 1 / 3, 2 ** -20])("reads back to exactly %d", (value) => {
    expect(parseNumber(numberText(value))).toBe(value);
  });

  it("has no exponent", () => {
    expect(parseNumber(numberText(1e-7))).toBeCloseTo(1e-7, 15);
  });
});
