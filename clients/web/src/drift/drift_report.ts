// The drift report of a re-render, read from its manifest (protos/sonichaos/manifest/v1/manifest.schema.json, "rerender").

import { at, booleanAt, numberAt, numbersAt, textAt } from "../download/json";

/** Onsets minus the times that they are compared with, in milliseconds, positive where they come late. */
export interface Timing {
  readonly medianMs: number;
  /** Median distance from the median. */
  readonly madMs: number;
  /** The distance that 95 % stay within. */
  readonly p95Ms: number;
  /** undefined where the onsets lie in too few bars. */
  readonly slopeMsPerMinute: number | undefined;
  readonly slopeErrorMsPerMinute: number | undefined;
}

export interface Limits {
  readonly earliestMedianMs: number | undefined;
  readonly latestMedianMs: number | undefined;
  readonly mostMadMs: number | undefined;
  readonly mostP95Ms: number | undefined;
}

/** One onset of the delivered stem. */
export interface Onset {
  readonly seconds: number;
  readonly deviationMs: number;
}

export type Verdict = "within" | "beyond" | "unmeasurable";

export interface DriftReport {
  readonly verdict: Verdict;
  readonly judgedAgainst: "score" | "grid";
  /** The caller wanted the stem whatever its drift. */
  readonly accepted: boolean;
  readonly limits: Limits;
  /** How late the new mix was before the stem was moved; undefined if nothing was moved. */
  readonly movedMs: number | undefined;
  /** Before alignment; undefined where there were too few onsets. */
  readonly before: Timing | undefined;
  /** As delivered. */
  readonly after: Timing | undefined;
  readonly onsets: readonly Onset[];
  readonly region: { readonly fromBar: number; readonly toBar: number } | undefined;
  readonly key: { readonly asked: string; readonly heard: string; readonly scaleShare: number } | undefined;
}

const MIN_MOVE_MS = 0.05;

/** The report of a manifest; undefined if its version was not re-rendered or has no report. */
export function driftReport(manifest: unknown): DriftReport | undefined {
  const rerender = at(manifest, "rerender");
  const verdict = verdictOf(textAt(rerender, "verdict"));
  if (verdict === undefined) return undefined;
  const judgedAgainst = textAt(rerender, "judgedAgainst") === "score" ? "score" : "grid";
  const isCalibrated = numberAt(rerender, "zeroMs") !== undefined;
  const figures = judgedAgainst === "score" ? "notes" : isCalibrated ? "calibrated" : "grid";
  return {
    verdict,
    judgedAgainst,
    accepted: booleanAt(rerender, "accepted"),
    limits: {
      earliestMedianMs: numberAt(rerender, "limits", "earliestMedianMs"),
      latestMedianMs: numberAt(rerender, "limits", "latestMedianMs"),
      mostMadMs: numberAt(rerender, "limits", "mostMadMs"),
      mostP95Ms: numberAt(rerender, "limits", "mostP95Ms"),
    },
    movedMs: movedOf(rerender),
    before: timingOf(at(rerender, "rendered", figures)),
    after: timingOf(at(rerender, "delivered", figures)),
    onsets: onsetsOf(rerender),
    region: regionOf(rerender),
    key: keyOf(rerender),
  };
}

/** Whether the tempo of the stem really differs, rather than by the error of the measurement. */
export function isSlopeCertain({ slopeMsPerMinute, slopeErrorMsPerMinute }: Timing): boolean {
  if (slopeMsPerMinute === undefined || slopeErrorMsPerMinute === undefined) return false;
  return Math.abs(slopeMsPerMinute) > CERTAIN_ERRORS * slopeErrorMsPerMinute && Math.abs(slopeMsPerMinute) >= 1;
}

/** As the service judges it: three standard errors. */
const CERTAIN_ERRORS = 3;

function verdictOf(text: string | undefined): Verdict | undefined {
  return text === "within" || text === "beyond" || text === "unmeasurable" ? text : undefined;
}

function timingOf(value: unknown): Timing | undefined {
  const medianMs = numberAt(value, "medianMs");
  const madMs = numberAt(value, "madMs");
  const p95Ms = numberAt(value, "p95Ms");
  if (medianMs === undefined || madMs === undefined || p95Ms === undefined) return undefined;
  const slopeMsPerMinute = numberAt(value, "slopeMsPerMinute");
  return { medianMs, madMs, p95Ms, slopeMsPerMinute, slopeErrorMsPerMinute: numberAt(value, "slopeErrorMsPerMinute") };
}

function movedOf(rerender: unknown): number | undefined {
  const offset = numberAt(rerender, "correction", "offsetMs");
  const onsets = numberAt(rerender, "correction", "onsets") ?? 0;
  return offset === undefined || onsets === 0 || Math.abs(offset) < MIN_MOVE_MS ? undefined : offset;
}

function onsetsOf(rerender: unknown): readonly Onset[] {
  const seconds = numbersAt(rerender, "onsets", "seconds");
  const deviations = numbersAt(rerender, "onsets", "deviationsMs");
  if (seconds.length !== deviations.length) return [];
  return seconds.map((second, index) => ({ seconds: second, deviationMs: deviations[index] ?? 0 }));
}

function regionOf(rerender: unknown): DriftReport["region"] {
  const fromBar = numberAt(rerender, "region", "fromBar");
  const toBar = numberAt(rerender, "region", "toBar");
  return fromBar === undefined || toBar === undefined ? undefined : { fromBar, toBar };
}

function keyOf(rerender: unknown): DriftReport["key"] {
  const asked = textAt(rerender, "key", "asked");
  const heard = textAt(rerender, "key", "heard");
  const scaleShare = numberAt(rerender, "key", "scaleShare");
  return asked === undefined || heard === undefined || scaleShare === undefined
    ? undefined
    : { asked, heard, scaleShare };
}
