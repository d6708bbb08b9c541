import { describe, expect, test } from "vitest";

import { TempoGrid } from "./engine/tempo_grid";
import { visibleTicks } from "./ticks";

const view = (pixelsPerSecond: number, scrollLeft = 0, seconds = 180) => ({
  width: 900,
  seconds,
  pixelsPerSecond,
  scrollLeft,
  follow: true,
});
const grid = new TempoGrid({ points: [{ startSeconds: 0, bpm: 120, beatsPerBar: 4 }], firstDownbeatSeconds: 0 }, 180);

describe("visibleTicks", () => {
  test("labels never overlap", () => {
    for (const pixels of [5, 8, 20, 50, 130, 400]) {
      const labelled = visibleTicks(grid, view(pixels, 300)).lines.filter(({ label }) => label !== "");
      const gaps = labelled.slice(1).map(({ x }, index) => x - (labelled[index]?.x ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(44);
    }
  });

  test("numbers bars from 1 and shows only what is visible", () => {
    const { lines, beats } = visibleTicks(grid, view(100, 1000));
    expect(lines.map(({ label }) => label)).toEqual(["6", "7", "8", "9", "10"]);
    expect(lines[0]).toEqual({ x: 0, label: "6" });
    expect(beats).toContain(50);
    expect(Math.max(...beats)).toBeLessThanOrEqual(900);
  });

  test("leaves out beats where they would be dense", () => {
    expect(visibleTicks(grid, view(5)).beats).toEqual([]);
  });

  test("shows time where there is no tempo map", () => {
    const { lines } = visibleTicks(undefined, view(5));
    expect(lines.slice(0, 3)).toEqual([
      { x: 0, label: "0:00" },
      { x: 50, label: "0:10" },
      { x: 100, label: "0:20" },
    ]);
  });
});
