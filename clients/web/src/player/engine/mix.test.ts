import { describe, expect, test } from "vitest";

import { gainOfDb, LANES, type Listening, laneGain, type Mix, matchingGainsDb, UNITY_MIX } from "./mix";

function gains(mix: Mix, listening: Listening): number[] {
  return LANES.map((lane) => laneGain(mix, listening, lane));
}

function withLane(mix: Mix, lane: keyof Mix["lanes"], change: Partial<Mix["lanes"]["bounce"]>): Mix {
  return { ...mix, lanes: { ...mix.lanes, [lane]: { ...mix.lanes[lane], ...change } } };
}

describe("laneGain", () => {
  test("the bounce and the stems are never heard together", () => {
    expect(gains(UNITY_MIX, "bounce")).toEqual([1, 0, 0, 0, 0]);
    expect(gains(UNITY_MIX, "stems")).toEqual([0, 1, 1, 1, 1]);
  });

  test("solo silences the other stems, mute wins over solo", () => {
    const solo = withLane(withLane(UNITY_MIX, "bass", { soloed: true }), "vocals", { soloed: true });
    expect(gains(solo, "stems")).toEqual([0, 0, 1, 1, 0]);
    expect(gains(withLane(solo, "bass", { muted: true }), "stems")).toEqual([0, 0, 0, 1, 0]);
  });

  test("solo does not silence the bounce", () => {
    expect(gains(withLane(UNITY_MIX, "bass", { soloed: true }), "bounce")).toEqual([1, 0, 0, 0, 0]);
  });

  test("the fader is in dB: 0 is exactly 1, its lowest position is silence", () => {
    expect(gainOfDb(0)).toBe(1);
    expect(gainOfDb(-6)).toBeCloseTo(0.5012, 4);
    expect(gainOfDb(-60)).toBe(0);
  });
});

test("matching turns the louder version down to the quieter one", () => {
  expect(matchingGainsDb({ main: -14, against: -16.5 })).toEqual({ main: -2.5, against: 0 });
  expect(matchingGainsDb({ main: -16, against: -14 })).toEqual({ main: 0, against: -2 });
  expect(matchingGainsDb({ main: -16, against: undefined })).toEqual({ main: 0, against: 0 });
});
