import { describe, expect, it } from "vitest";

import { addTap, tappedBpm } from "./tap_tempo";

function tapAt(...timesMs: readonly number[]): readonly number[] {
  return timesMs.reduce<readonly number[]>((taps, time) => addTap(taps, time), []);
}

describe("tap tempo", () => {
  it("needs two taps", () => {
    expect(tappedBpm(tapAt())).toBeUndefined();
    expect(tappedBpm(tapAt(100))).toBeUndefined();
    expect(tappedBpm(tapAt(100, 600))).toBe(120);
  });

  it("is the median of the intervals: one tap that comes late does not change it", () => {
    expect(tappedBpm(tapAt(0, 500, 1000, 1500, 2000, 2500))).toBe(120);
    expect(tappedBpm(tapAt(0, 500, 1000, 1780, 2000, 2500))).toBe(120);
  });

  it("follows a change of tempo after a few taps", () => {
    const slow = [0, 1000, 2000, 3000];
    const fast = Array.from({ length: 9 }, (_, beat) => 3000 + (beat + 1) * 400);
    expect(tappedBpm(tapAt(...slow, ...fast))).toBe(150);
  });

  it("starts anew after a pause of more than two seconds", () => {
    const taps = tapAt(0, 500, 1000, 3001);
    expect(taps).toEqual([3001]);
    expect(tappedBpm(addTap(taps, 3601))).toBe(100);
  });

  it("keeps a pause of exactly two seconds, the slowest tempo", () => {
    expect(tappedBpm(tapAt(0, 2000, 4000))).toBe(30);
  });

  it("stays within the tempos that a brief may have", () => {
    expect(tappedBpm(tapAt(0, 50, 100, 150))).toBe(300);
  });

  it("starts anew when the clock goes back, and has no tempo of two taps at once", () => {
    expect(tapAt(1000, 1500, 200)).toEqual([200]);
    expect(tappedBpm(tapAt(10, 10))).toBeUndefined();
  });
});
