import { expect, test } from "vitest";

import { columnOf } from "./draw_wave";

const POINTS = { minima: [-1, -2, -3, -4, -5], maxima: [1, 2, 3, 2, 1] };

test("columns take in every point", () => {
  expect([0, 1].map((column) => columnOf(POINTS, column, 2))).toEqual([
    { low: -2, high: 2 },
    { low: -5, high: 3 },
  ]);
});

test("more columns than points repeat points", () => {
  expect(Array.from({ length: 10 }, (_, column) => columnOf(POINTS, column, 10).high)).toEqual([
    1, 1, 2, 2, 3, 3, 2, 2, 1, 1,
  ]);
});
