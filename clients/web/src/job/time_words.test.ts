import { describe, expect, it } from "vitest";

import { durationWords, secondsBetween, secondsOf } from "./time_words";

describe("times", () => {
  it.each([
    [0, "under 1 s"],
    [0.99, "under 1 s"],
    [1.4, "1 s"],
    [59.4, "59 s"],
    [59.6, "1 min"],
    [65, "1 min 5 s"],
    [599.4, "9 min 59 s"],
    [750, "13 min"],
    [3599, "1 h"],
    [7800, "2 h 10 min"],
    [72 * 3600, "3 days"],
  ])("%d s are “%s”", (seconds, words) => {
    expect(durationWords(seconds)).toBe(words);
  });

  it("are fractions of seconds too, and never negative", () => {
    const early = { $typeName: "google.protobuf.Timestamp" as const, seconds: 10n, nanos: 0 };
    const late = { ...early, seconds: 11n, nanos: 500_000_000 };
    expect(secondsBetween(early, late)).toBe(1.5);
    expect(secondsBetween(late, early)).toBe(0);
    expect(secondsBetween(undefined, late)).toBeUndefined();
    expect(secondsOf({ $typeName: "google.protobuf.Duration", seconds: 2n, nanos: 250_000_000 })).toBe(2.25);
  });
});
