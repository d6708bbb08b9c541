import { describe, expect, test } from "vitest";

import { SAMPLE_RATE_HZ, secondsOfFrame } from "./audio_format";
import { activeLoop, frameAt, onSample, type Run, timesOfFrame } from "./run";

const STRAIGHT: Run = { startTime: 2, fromFrame: 44_100, frames: 441_000, loop: undefined };
const LOOPED: Run = { ...STRAIGHT, loop: { startFrame: 88_200, endFrame: 132_300 } };

describe("frameAt", () => {
  test("follows the clock and stays within the take", () => {
    expect([0, 2, 3, 11, 60].map((time) => frameAt(STRAIGHT, time))).toEqual([
      44_100, 44_100, 88_200, 441_000, 441_000,
    ]);
  });

  test("repeats the loop", () => {
    expect([3.5, 4, 4.25, 5, 7.5].map((time) => Math.round(frameAt(LOOPED, time)))).toEqual([
      110_250, 88_200, 99_225, 88_200, 110_250,
    ]);
  });

  test("a run that starts behind its loop plays on to the end", () => {
    const behind = { ...LOOPED, fromFrame: 132_300 };
    expect(activeLoop(behind)).toBeUndefined();
    expect(frameAt(behind, 60)).toBe(441_000);
  });
});

describe("timesOfFrame", () => {
  test("once without a loop, never for a frame before the start", () => {
    expect(timesOfFrame(STRAIGHT, 88_200, 0, 100)).toEqual([3]);
    expect(timesOfFrame(STRAIGHT, 44_099, 0, 100)).toEqual([]);
  });

  test("once in each round of the loop", () => {
    expect(timesOfFrame(LOOPED, 88_200, 0, 6.5)).toEqual([3, 4, 5, 6]);
    expect(timesOfFrame(LOOPED, 88_200, 4, 6)).toEqual([4, 5]);
    expect(timesOfFrame(LOOPED, 66_150, 0, 100)).toEqual([2.5]);
    expect(timesOfFrame(LOOPED, 132_300, 0, 100)).toEqual([]);
  });

  test("windows that meet give every time once", () => {
    const windows = Array.from({ length: 40 }, (_, index) =>
      timesOfFrame(LOOPED, 99_225, index * 0.3, (index + 1) * 0.3),
    );
    expect(windows.flat()).toEqual(timesOfFrame(LOOPED, 99_225, 0, 12));
  });

  test("agrees with frameAt", () => {
    for (const time of timesOfFrame(LOOPED, 100_000, 0, 30)) expect(frameAt(LOOPED, time)).toBeCloseTo(100_000, 4);
  });
});

test("secondsOfFrame never lies after its frame", () => {
  for (let frame = 0; frame < 8_000_000; frame += 997) {
    const back = secondsOfFrame(frame) * SAMPLE_RATE_HZ;
    expect(back).toBeLessThanOrEqual(frame);
    expect(back).toBeGreaterThan(frame - 1e-6);
  }
});

test("onSample is the next sample of the clock", () => {
  expect(onSample(1)).toBe(1);
  expect(onSample(1.000001)).toBe(44_101 / SAMPLE_RATE_HZ);
});
