import { expect, test } from "vitest";

import { formatDecibels, formatGain, formatShortTime, formatTime } from "./format";

test("times", () => {
  expect([0, 7.0625, 59.9999, 83.456, 600].map(formatTime)).toEqual([
    "0:00.000",
    "0:07.062",
    "0:59.999",
    "1:23.456",
    "10:00.000",
  ]);
  expect(formatShortTime(83.9)).toBe("1:23");
});

test("decibels have a true minus sign, and no minus zero", () => {
  expect([-14.25, -0.04, 0, 3].map(formatDecibels)).toEqual(["−14.3", "0.0", "0.0", "3.0"]);
  expect([-1.5, 0, 2].map(formatGain)).toEqual(["−1.5", "0.0", "+2.0"]);
});
