import { describe, expect, it } from "vitest";

import { driftGeometry } from "./drift_geometry";
import { type DriftReport, driftReport } from "./drift_report";
import { findings, pictureWords, verdictWords } from "./drift_words";

const TIMING = {
  onsets: 28,
  matched: 0.9,
  medianMs: 3.2,
  madMs: 4,
  p95Ms: 12,
  maxMs: 20,
  slopeMsPerMinute: 0.5,
  slopeErrorMsPerMinute: 3,
};
const VOCALS = {
  baseVersion: 1,
  stem: "vocals",
  verdict: "within",
  judgedAgainst: "score",
  zeroMs: null,
  accepted: false,
  limits: { earliestMedianMs: -8, latestMedianMs: 17, mostMadMs: 13.5, mostP95Ms: null, mostSlopeMsPerMinute: null },
  correction: { offsetMs: 21.4, driftMsPerMinute: 0, onsets: 33 },
  rendered: { grid: null, drums: null, bass: null, notes: { ...TIMING, medianMs: 24 }, calibrated: null },
  delivered: { grid: { ...TIMING, medianMs: 99 }, drums: null, bass: null, notes: TIMING, calibrated: null },
  onsets: { seconds: [1, 5, 10], deviationsMs: [2, -6, 80] },
  region: { fromBar: 2, toBar: 4 },
  key: { asked: "Eb minor", heard: "B major", scaleShare: 0.72 },
};

function reportOf(changes: object = {}): DriftReport {
  const report = driftReport({ rerender: { ...VOCALS, ...changes } });
  if (report === undefined) throw new Error("the manifest must have a report, got none");
  return report;
}

describe("the drift report of a manifest", () => {
  it("has the figures that the verdict is about", () => {
    expect(reportOf().after?.medianMs).toBe(3.2);
    expect(reportOf({ judgedAgainst: "grid" }).after?.medianMs).toBe(99);
    const calibrated = { ...VOCALS.delivered, calibrated: { ...TIMING, medianMs: 1 } };
    expect(reportOf({ judgedAgainst: "grid", zeroMs: -2, delivered: calibrated }).after?.medianMs).toBe(1);
  });

  it("is none for an original, and for what is not a manifest", () => {
    expect(driftReport({ schema: "sonichaos.manifest.v1" })).toBeUndefined();
    expect(driftReport(undefined)).toBeUndefined();
    expect(driftReport({ rerender: { baseVersion: 1, stem: "bass" } })).toBeUndefined();
  });

  it("survives figures that are missing", () => {
    const report = reportOf({ verdict: "unmeasurable", delivered: { grid: null, notes: null }, onsets: {}, key: null });
    expect(report).toMatchObject({ after: undefined, onsets: [], key: undefined });
    expect(findings(report)).toHaveLength(2);
    expect(driftGeometry(report, 20, 400, 200).after).toBeUndefined();
  });
});

describe("the drift report in words", () => {
  it("says how late the stem is, against what, and how late it may be", () => {
    expect(findings(reportOf())).toEqual([
      "It is typically 3.2 ms late against the notes of its part. Limit: 8 ms early to 17 ms late.",
      "95 % of its onsets lie within 12 ms.",
      "It scatters by 4 ms around that; limit 13.5 ms.",
      "It keeps the tempo from start to end.",
      "The new mix as a whole was 21 ms late against the grid; the stem was moved by that much.",
      "Bars 2 to 4 were replaced.",
      "It sounds like B major instead of Eb minor; 72 % of its energy is in the key.",
    ]);
  });

  it("says that it drags or rushes only where the measurement is certain", () => {
    const slope = (slopeMsPerMinute: number, slopeErrorMsPerMinute: number) =>
      findings(reportOf({ delivered: { notes: { ...TIMING, slopeMsPerMinute, slopeErrorMsPerMinute } } }))[3];
    expect(slope(9, 1)).toBe("It drags: it gets 9 ms later each minute.");
    expect(slope(-9, 1)).toBe("It rushes: it gets 9 ms earlier each minute.");
    expect(slope(9, 4)).toBe("It keeps the tempo from start to end.");
  });

  it("gives the verdict, and that a stem out of time was wanted", () => {
    expect(verdictWords(reportOf(), "vocals")).toBe("The new vocals stem is in time.");
    expect(verdictWords(reportOf({ verdict: "beyond", accepted: true }), "drums")).toBe(
      "The new drums stem is out of time. It was kept because you allowed drift.",
    );
    expect(verdictWords(reportOf({ verdict: "unmeasurable" }), "bass")).toMatch(/too few clear onsets/);
  });

  it("describes the picture for those who do not see it", () => {
    expect(pictureWords(reportOf())).toBe(
      "Offset from the grid over the take. Before alignment: median 24 ms late, 95 % within 12 ms. " +
        "After: median 3.2 ms late, 95 % within 12 ms. Limit: median from 8 ms early to 17 ms late.",
    );
  });
});

describe("the drift picture", () => {
  const picture = driftGeometry(reportOf(), 20, 420, 220);

  it("has time from left to right and late above early", () => {
    expect(picture.zero).toBe((picture.plot.top + picture.plot.bottom) / 2);
    const [first, second] = picture.onsets;
    expect(first?.x).toBeLessThan(second?.x ?? 0);
    expect(first?.y).toBeLessThan(picture.zero);
    expect(second?.y).toBeGreaterThan(picture.zero);
  });

  it("leaves out onsets that belong to no line of the grid, and counts them", () => {
    expect(picture.onsets).toHaveLength(2);
    expect(picture.outside).toBe(1);
  });

  it("draws the median within the limit, and a slope only where it is certain", () => {
    expect(picture.after?.from.y).toBe(picture.after?.to.y);
    expect(picture.after?.from.y).toBeGreaterThan(picture.limit?.top ?? 999);
    expect(picture.after?.from.y).toBeLessThan(picture.limit?.bottom ?? 0);
    expect(picture.before?.from.y).toBeLessThan(picture.limit?.top ?? 0);
    const dragging = { notes: { ...TIMING, slopeMsPerMinute: 30, slopeErrorMsPerMinute: 1 } };
    const tilted = driftGeometry(reportOf({ delivered: dragging }), 20, 420, 220).after;
    expect(tilted?.from.y).toBeGreaterThan(tilted?.to.y ?? 999);
  });

  it("stays within its frame at any width, and its seconds do not collide", () => {
    for (const width of [240, 390, 1200]) {
      const { plot, onsets, secondTicks, whiskerAfter } = driftGeometry(reportOf(), 180, width, 220);
      for (const { x, y } of onsets) {
        expect(x).toBeGreaterThanOrEqual(plot.left);
        expect(x).toBeLessThanOrEqual(plot.right);
        expect(y).toBeGreaterThanOrEqual(plot.top);
        expect(y).toBeLessThanOrEqual(plot.bottom);
      }
      const gaps = secondTicks.slice(1).map((tick, index) => tick.at - (secondTicks[index]?.at ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(56);
      expect(whiskerAfter?.x).toBeLessThan(width);
    }
  });
});
