// Bars and beats of a tempo map, in seconds. Beats run from bar line to bar line; a change of metre starts a new bar.

export interface GridPoint {
  readonly startSeconds: number;
  readonly bpm: number;
  /** 0 means 4. */
  readonly beatsPerBar: number;
}

export interface GridMap {
  readonly points: readonly GridPoint[];
  readonly firstDownbeatSeconds: number;
}

export interface Beat {
  readonly seconds: number;
  /** From 1; 0 before the first downbeat. */
  readonly bar: number;
  /** From 1 within its bar. */
  readonly beat: number;
}

/** A bar that a change of metre would cut shorter than this is none. */
const SHORTEST_BAR_S = 0.02;
const EPSILON_S = 1e-6;
/** Half a frame: times that were rounded to frames still belong to their line. */
const HALF_FRAME_S = 1 / 44_100 / 2 + EPSILON_S;

interface Segment {
  readonly start: number;
  readonly end: number;
  readonly beatSeconds: number;
  readonly beatsPerBar: number;
  /** Beats since the first downbeat at its start, negative before it. */
  readonly beats: number;
}

function segmentsOf(map: GridMap, seconds: number): Segment[] {
  const segments: Segment[] = [];
  let beats = 0;
  for (const [index, point] of map.points.entries()) {
    const end = map.points[index + 1]?.startSeconds ?? Number.POSITIVE_INFINITY;
    const beatSeconds = 60 / point.bpm;
    segments.push({ start: point.startSeconds, end, beatSeconds, beatsPerBar: point.beatsPerBar || 4, beats });
    beats += (end - point.startSeconds) / beatSeconds;
  }
  const lead = beatsAt(segments, map.firstDownbeatSeconds);
  return segments.map((one) => ({ ...one, beats: one.beats - lead })).filter((one) => one.start < seconds);
}

function segmentAt(segments: readonly Segment[], seconds: number): Segment | undefined {
  return segments[
    Math.max(
      0,
      lastAtOrBefore(segments, seconds, (one) => one.start),
    )
  ];
}

function beatsAt(segments: readonly Segment[], seconds: number): number {
  const segment = segmentAt(segments, seconds);
  return segment === undefined ? 0 : segment.beats + (seconds - segment.start) / segment.beatSeconds;
}

function secondsOfBeats(segments: readonly Segment[], beats: number): number {
  const segment =
    segments[
      Math.max(
        0,
        lastAtOrBefore(segments, beats + 1e-9, (one) => one.beats),
      )
    ];
  return segment === undefined ? 0 : segment.start + (beats - segment.beats) * segment.beatSeconds;
}

/** Seconds of every bar line in [0, seconds), from the first downbeat on. */
function barLines(segments: readonly Segment[], firstDownbeat: number, seconds: number): number[] {
  const lines: number[] = [];
  let next = firstDownbeat;
  let metre: number | undefined;
  for (const segment of segments) {
    const end = Math.min(segment.end, seconds);
    if (end <= firstDownbeat) continue;
    if (metre !== undefined && metre !== segment.beatsPerBar) {
      // The new metre starts a bar here; what is left of the bar before it is dropped if it is too short to be one.
      const last = lines.at(-1);
      if (last !== undefined && segment.start - last < SHORTEST_BAR_S) lines.pop();
      next = segment.start;
    }
    metre = segment.beatsPerBar;
    while (next < end - EPSILON_S) {
      lines.push(next);
      next = secondsOfBeats(segments, beatsAt(segments, next) + segment.beatsPerBar);
    }
  }
  return lines;
}

/** The grid of a take of `seconds`. */
export class TempoGrid {
  readonly seconds: number;
  /** Seconds of the bar lines; the first is that of bar 1. */
  readonly bars: readonly number[];
  readonly beats: readonly Beat[];
  readonly #segments: readonly Segment[];

  constructor(map: GridMap, seconds: number) {
    this.seconds = seconds;
    this.#segments = segmentsOf(map, seconds);
    this.bars = barLines(this.#segments, map.firstDownbeatSeconds, seconds);
    this.beats = [...this.#pickup(map.firstDownbeatSeconds), ...this.bars.flatMap((_, index) => this.#beatsOf(index))];
  }

  /** Bar, beat and share of the beat at a time, each as musicians count. */
  at(seconds: number): Beat & { readonly share: number } {
    const index = lastAtOrBefore(this.beats, seconds + HALF_FRAME_S, (one) => one.seconds);
    const beat = this.beats[index];
    if (beat === undefined) return { seconds: 0, bar: 0, beat: 1, share: 0 };
    const next = this.beats[index + 1]?.seconds ?? this.seconds;
    const length = Math.min(next - beat.seconds, this.#beatLength(beat.seconds));
    return { ...beat, share: Math.min(0.999, Math.max(0, (seconds - beat.seconds) / length)) };
  }

  /** The bar line, or end of the take, nearest to a time. */
  nearestBar(seconds: number): number {
    return nearest([...this.bars, this.seconds], seconds);
  }

  /** Start of a bar, from 1; the end of the take for the bar after the last. */
  secondsOfBar(bar: number): number {
    return bar > this.bars.length ? this.seconds : (this.bars[Math.max(0, bar - 1)] ?? 0);
  }

  /** The next bar line or beat in a direction. The start and end of the take are the last ones. */
  step(seconds: number, direction: 1 | -1, unit: "bar" | "beat"): number {
    const lines = unit === "bar" ? this.bars : this.beats.map((beat) => beat.seconds);
    if (direction === 1) return lines.find((line) => line > seconds + 0.01) ?? this.seconds;
    return lines[lastAtOrBefore(lines, seconds - 0.2, (line) => line)] ?? 0;
  }

  #beatLength(seconds: number): number {
    return segmentAt(this.#segments, seconds + EPSILON_S)?.beatSeconds ?? 0.5;
  }

  #pickup(firstDownbeat: number): Beat[] {
    const found: Beat[] = [];
    for (let back = 1; ; back++) {
      const seconds = secondsOfBeats(this.#segments, -back);
      if (seconds < -EPSILON_S || firstDownbeat <= 0) break;
      found.unshift({ seconds: Math.max(0, seconds), bar: 0, beat: 0 });
    }
    return found.map((beat, index) => ({ ...beat, beat: index + 1 })).filter((beat) => beat.seconds < this.seconds);
  }

  #beatsOf(index: number): Beat[] {
    const start = this.bars[index] ?? 0;
    const end = this.bars[index + 1] ?? this.seconds;
    const first = beatsAt(this.#segments, start);
    const found: Beat[] = [];
    for (let beat = 1; ; beat++) {
      const seconds = beat === 1 ? start : secondsOfBeats(this.#segments, first + beat - 1);
      if (beat > 1 && seconds >= end - SHORTEST_BAR_S / 2) return found;
      found.push({ seconds, bar: index + 1, beat });
    }
  }
}

function lastAtOrBefore<T>(sorted: readonly T[], limit: number, of: (one: T) => number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const one = sorted[middle];
    if (one !== undefined && of(one) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function nearest(lines: readonly number[], seconds: number): number {
  let best = lines[0] ?? 0;
  for (const line of lines) if (Math.abs(line - seconds) < Math.abs(best - seconds)) best = line;
  return best;
}
