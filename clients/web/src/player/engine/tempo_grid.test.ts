import { describe, expect, test } from "vitest";

import { type GridMap, TempoGrid } from "./tempo_grid";

interface Case {
  readonly name: string;
  readonly seconds: number;
  readonly map: GridMap;
  /** As render_service/music/tempo_map.py gives them. */
  readonly bars: readonly number[];
  readonly beats?: readonly number[];
}

const CASES: readonly Case[] = [
  {
    name: "one tempo",
    seconds: 10,
    map: { firstDownbeatSeconds: 0.0, points: [{ startSeconds: 0.0, bpm: 122, beatsPerBar: 4 }] },
    bars: [0.0, 1.967213, 3.934426, 5.901639, 7.868852, 9.836066],
    beats: [
      0.0, 0.491803, 0.983607, 1.47541, 1.967213, 2.459016, 2.95082, 3.442623, 3.934426, 4.42623, 4.918033, 5.409836,
      5.901639, 6.393443, 6.885246, 7.377049, 7.868852, 8.360656, 8.852459, 9.344262, 9.836066,
    ],
  },
  {
    name: "a pickup",
    seconds: 9,
    map: { firstDownbeatSeconds: 1.5, points: [{ startSeconds: 0, bpm: 90, beatsPerBar: 4 }] },
    bars: [1.5, 4.166667, 6.833333],
    beats: [
      0.166667, 0.833333, 1.5, 2.166667, 2.833333, 3.5, 4.166667, 4.833333, 5.5, 6.166667, 6.833333, 7.5, 8.166667,
      8.833333,
    ],
  },
  {
    name: "a change of tempo within a bar",
    seconds: 12,
    map: {
      firstDownbeatSeconds: 0.0,
      points: [
        { startSeconds: 0, bpm: 120, beatsPerBar: 4 },
        { startSeconds: 3, bpm: 60, beatsPerBar: 4 },
      ],
    },
    bars: [0.0, 2.0, 5.0, 9.0],
    beats: [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0],
  },
  {
    name: "a change of metre that cuts a bar short",
    seconds: 20,
    map: {
      firstDownbeatSeconds: 0.0,
      points: [
        { startSeconds: 0, bpm: 120, beatsPerBar: 4 },
        { startSeconds: 3, bpm: 120, beatsPerBar: 3 },
        { startSeconds: 7.5, bpm: 90, beatsPerBar: 7 },
      ],
    },
    bars: [0.0, 2.0, 3.0, 4.5, 6.0, 7.5, 12.166667, 16.833333],
    beats: [
      0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.166667, 8.833333, 9.5,
      10.166667, 10.833333, 11.5, 12.166667, 12.833333, 13.5, 14.166667, 14.833333, 15.5, 16.166667, 16.833333, 17.5,
      18.166667, 18.833333, 19.5,
    ],
  },
  {
    name: "a point written with few digits",
    seconds: 12,
    map: {
      firstDownbeatSeconds: 0.0,
      points: [
        { startSeconds: 0, bpm: 140, beatsPerBar: 4 },
        { startSeconds: 3.43, bpm: 70, beatsPerBar: 3 },
      ],
    },
    bars: [0.0, 1.714286, 3.43, 6.001429, 8.572857, 11.144286],
  },
  {
    name: "a change of metre before the first downbeat",
    seconds: 9,
    map: {
      firstDownbeatSeconds: 2.4,
      points: [
        { startSeconds: 0, bpm: 100, beatsPerBar: 3 },
        { startSeconds: 1, bpm: 100, beatsPerBar: 4 },
      ],
    },
    bars: [2.4, 4.8, 7.2],
    beats: [0.0, 0.6, 1.2, 1.8, 2.4, 3.0, 3.6, 4.2, 4.8, 5.4, 6.0, 6.6, 7.2, 7.8, 8.4],
  },
  {
    name: "a change of tempo and metre off the beat",
    seconds: 11,
    map: {
      firstDownbeatSeconds: 0.35,
      points: [
        { startSeconds: 0, bpm: 100, beatsPerBar: 4 },
        { startSeconds: 2.75, bpm: 100, beatsPerBar: 5 },
      ],
    },
    bars: [0.35, 2.75, 5.75, 8.75],
    beats: [
      0.35, 0.95, 1.55, 2.15, 2.75, 3.35, 3.95, 4.55, 5.15, 5.75, 6.35, 6.95, 7.55, 8.15, 8.75, 9.35, 9.95, 10.55,
    ],
  },
];

const point = (startSeconds: number, bpm: number, beatsPerBar = 4) => ({ startSeconds, bpm, beatsPerBar });

describe("TempoGrid", () => {
  test.each(CASES)("has the bars and beats that the renderer plays: $name", ({ map, seconds, bars, beats }) => {
    const grid = new TempoGrid(map, seconds);
    expect(grid.bars.map((bar) => Number(bar.toFixed(4)))).toEqual(bars.map((bar) => Number(bar.toFixed(4))));
    if (beats === undefined) return;
    const found = grid.beats.map((beat) => Number(beat.seconds.toFixed(4)));
    expect(found).toEqual(beats.map((beat) => Number(beat.toFixed(4))));
  });

  test("counts beats from each bar line, and beats before the first downbeat as bar 0", () => {
    const grid = new TempoGrid({ points: [point(0, 60, 3)], firstDownbeatSeconds: 2 }, 9);
    expect(grid.beats.map(({ bar, beat }) => `${bar}|${beat}`)).toEqual([
      "0|1",
      "0|2",
      "1|1",
      "1|2",
      "1|3",
      "2|1",
      "2|2",
      "2|3",
      "3|1",
    ]);
    expect(grid.at(3.25)).toMatchObject({ bar: 1, beat: 2, share: 0.25 });
    expect(grid.at(0)).toMatchObject({ bar: 0, beat: 1 });
  });

  test("a frame that was rounded down from a bar line still belongs to that bar", () => {
    const grid = new TempoGrid({ points: [point(0, 122)], firstDownbeatSeconds: 0 }, 30);
    for (const [index, bar] of grid.bars.entries()) {
      expect(grid.at(Math.round(bar * 44_100) / 44_100).bar).toBe(index + 1);
    }
  });

  test("snaps to the nearest bar line or the end of the take", () => {
    const grid = new TempoGrid({ points: [point(0, 120)], firstDownbeatSeconds: 0 }, 9);
    expect([0.9, 1.1, 8.3, 8.9].map((at) => grid.nearestBar(at))).toEqual([0, 2, 8, 9]);
    expect([1, 3, 5, 6, 99].map((bar) => grid.secondsOfBar(bar))).toEqual([0, 4, 8, 9, 9]);
  });

  test("steps from line to line, and stays within the take", () => {
    const grid = new TempoGrid({ points: [point(0, 120)], firstDownbeatSeconds: 0 }, 9);
    expect(grid.step(2, 1, "bar")).toBe(4);
    expect(grid.step(2.1, 1, "beat")).toBe(2.5);
    expect(grid.step(8.5, 1, "bar")).toBe(9);
    expect(grid.step(4.05, -1, "bar")).toBe(2);
    expect(grid.step(5, -1, "bar")).toBe(4);
    expect(grid.step(0.1, -1, "beat")).toBe(0);
  });

  test("a map without a metre is in 4", () => {
    expect(new TempoGrid({ points: [point(0, 120, 0)], firstDownbeatSeconds: 0 }, 5).bars).toEqual([0, 2, 4]);
  });
});
