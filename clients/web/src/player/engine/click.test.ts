import { expect, test } from "vitest";

import { clicksBetween } from "./click";
import type { Run } from "./run";
import { TempoGrid } from "./tempo_grid";

const GRID = new TempoGrid(
  {
    points: [
      { startSeconds: 0, bpm: 120, beatsPerBar: 4 },
      { startSeconds: 4, bpm: 60, beatsPerBar: 3 },
    ],
    firstDownbeatSeconds: 0,
  },
  10,
);
const RUN: Run = { startTime: 100, fromFrame: 0, frames: 441_000, loop: undefined };

test("clicks on every beat, with an accent on each downbeat, through a change of tempo and metre", () => {
  const clicks = clicksBetween(RUN, GRID.beats, 100, 200);
  const expected = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9];
  expect(clicks.map(({ time }) => Number((time - 100).toFixed(3)))).toEqual(expected);
  expect(clicks.filter(({ accent }) => accent).map(({ time }) => time - 100)).toEqual([0, 2, 4, 7]);
});

test("a run from within the take clicks from there on", () => {
  const run = { ...RUN, fromFrame: 2.25 * 44_100 };
  expect(clicksBetween(run, GRID.beats, 100, 101).map(({ time }) => Number(time.toFixed(3)))).toEqual([100.25, 100.75]);
});

test("in a loop each round clicks, in order", () => {
  const run = { ...RUN, loop: { startFrame: 2 * 44_100, endFrame: 4 * 44_100 } };
  const times = clicksBetween(run, GRID.beats, 103, 107).map(({ time }) => Number(time.toFixed(3)));
  expect(times).toEqual([103, 103.5, 104, 104.5, 105, 105.5, 106, 106.5]);
});

test("beats of a pickup have no accent", () => {
  const grid = new TempoGrid({ points: [{ startSeconds: 0, bpm: 60, beatsPerBar: 4 }], firstDownbeatSeconds: 1 }, 4);
  expect(clicksBetween({ ...RUN, frames: 4 * 44_100 }, grid.beats, 100, 104).map(({ accent }) => accent)).toEqual([
    false,
    true,
    false,
    false,
  ]);
});
