// Where everything in the drift picture lies, in pixels: time from left to right, late above early.

import { type DriftReport, isSlopeCertain, type Timing } from "./drift_report";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** A straight line over the take: the median, tilted by the slope. */
export interface Line {
  readonly from: Point;
  readonly to: Point;
}

/** The range that 95 % of the onsets stay within, beside the take. */
export interface Whisker {
  readonly x: number;
  readonly top: number;
  readonly bottom: number;
  readonly median: number;
}

export interface Tick {
  readonly value: number;
  readonly at: number;
}

export interface DriftGeometry {
  readonly width: number;
  readonly height: number;
  readonly plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number };
  /** The limit of the median as a band; undefined where there is none. */
  readonly limit: { readonly top: number; readonly bottom: number } | undefined;
  readonly zero: number;
  readonly onsets: readonly Point[];
  /** Number of onsets that lie above or below the picture. */
  readonly outside: number;
  readonly before: Line | undefined;
  readonly after: Line | undefined;
  readonly whiskerBefore: Whisker | undefined;
  readonly whiskerAfter: Whisker | undefined;
  readonly msTicks: readonly Tick[];
  readonly secondTicks: readonly Tick[];
}

const MARGIN = { left: 44, right: 52, top: 10, bottom: 26 } as const;
const MIN_RANGE_MS = 20;
/** Onsets further away belong to no line of the grid: the report leaves them out too. */
const MAX_RANGE_MS = 50;
const SECOND_STEPS = [1, 2, 5, 10, 15, 30, 60, 120] as const;
const MIN_TICK_GAP = 56;

/** `seconds`: length of the take. */
export function driftGeometry(report: DriftReport, seconds: number, width: number, height: number): DriftGeometry {
  const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  const range = rangeMs(report);
  const drawn = report.onsets.filter((onset) => Math.abs(onset.deviationMs) <= range);
  const x = (second: number): number => plot.left + ((plot.right - plot.left) * clamp(second, 0, seconds)) / seconds;
  const y = (ms: number): number => {
    const share = (range - clamp(ms, -range, range)) / (2 * range);
    return plot.top + (plot.bottom - plot.top) * share;
  };
  const lineOf = (timing: Timing | undefined): Line | undefined => {
    if (timing === undefined) return undefined;
    const slope = isSlopeCertain(timing) ? (timing.slopeMsPerMinute ?? 0) : 0;
    const tilt = (slope * seconds) / 120;
    return {
      from: { x: plot.left, y: y(timing.medianMs - tilt) },
      to: { x: plot.right, y: y(timing.medianMs + tilt) },
    };
  };
  const whiskerOf = (timing: Timing | undefined, offset: number): Whisker | undefined =>
    timing && {
      x: plot.right + offset,
      top: y(timing.p95Ms),
      bottom: y(-timing.p95Ms),
      median: y(timing.medianMs),
    };
  const { earliestMedianMs, latestMedianMs } = report.limits;
  const hasLimit = earliestMedianMs !== undefined && latestMedianMs !== undefined;
  return {
    width,
    height,
    plot,
    limit: hasLimit ? { top: y(latestMedianMs), bottom: y(earliestMedianMs) } : undefined,
    zero: y(0),
    onsets: drawn.map((onset) => ({ x: x(onset.seconds), y: y(onset.deviationMs) })),
    outside: report.onsets.length - drawn.length,
    before: lineOf(report.before),
    after: lineOf(report.after),
    whiskerBefore: whiskerOf(report.before, 16),
    whiskerAfter: whiskerOf(report.after, 36),
    msTicks: [range, range / 2, 0, -range / 2, -range].map((value) => ({ value, at: y(value) })),
    secondTicks: secondTicks(seconds, plot.right - plot.left).map((value) => ({ value, at: x(value) })),
  };
}

/** The highest and lowest offset that is drawn. */
function rangeMs({ before, after, limits, onsets }: DriftReport): number {
  const sizes = [
    before?.p95Ms ?? 0,
    after?.p95Ms ?? 0,
    limits.earliestMedianMs ?? 0,
    limits.latestMedianMs ?? 0,
    ...onsets.map((onset) => onset.deviationMs),
  ].map(Math.abs);
  const largest = sizes.reduce((a, b) => Math.max(a, b), 0);
  return clamp(Math.ceil(largest / 10) * 10, MIN_RANGE_MS, MAX_RANGE_MS);
}

/** Round seconds that are far enough apart to be read. */
function secondTicks(seconds: number, pixels: number): number[] {
  const step = SECOND_STEPS.find((one) => (one * pixels) / seconds >= MIN_TICK_GAP) ?? seconds;
  const ticks: number[] = [];
  for (let second = 0; second <= seconds; second += step) ticks.push(second);
  return ticks;
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
