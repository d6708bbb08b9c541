// The marks of the ruler and the lines of the grid within the visible part of a take.

import type { TempoGrid } from "./engine/tempo_grid";
import { formatShortTime } from "./format";
import type { Viewport } from "./timeline_view";

export interface Tick {
  /** CSS pixels from the left edge. */
  readonly x: number;
  /** Empty where there is no room for one. */
  readonly label: string;
}

export interface Ticks {
  /** Bar lines, or seconds without a grid. */
  readonly lines: readonly Tick[];
  /** Beats between them, where there is room. */
  readonly beats: readonly number[];
}

const LABEL_PX = 44;
const LINE_PX = 5;
const BEAT_PX = 9;
const BAR_STEPS = [1, 2, 4, 8, 16, 32, 64, 128];
const SECOND_STEPS = [1, 2, 5, 10, 15, 30, 60, 120];

function stepFor(steps: readonly number[], pixelsPerUnit: number, room: number): number {
  return steps.find((step) => step * pixelsPerUnit >= room) ?? steps.at(-1) ?? 1;
}

/** The marks that are visible. Labels stand at least 44 px apart, lines 5 px. */
export function visibleTicks(grid: TempoGrid | undefined, view: Viewport): Ticks {
  const { width, seconds, pixelsPerSecond, scrollLeft } = view;
  if (width === 0 || pixelsPerSecond === 0) return { lines: [], beats: [] };
  const pixel = (at: number) => at * pixelsPerSecond - scrollLeft;
  const visible = (x: number) => x >= -LABEL_PX && x <= width;
  if (grid === undefined || grid.bars.length === 0) {
    const step = stepFor(SECOND_STEPS, pixelsPerSecond, LABEL_PX);
    const count = Math.floor(seconds / step) + 1;
    const lines = Array.from({ length: count }, (_, index) => ({
      x: pixel(index * step),
      label: formatShortTime(index * step),
    }));
    return { lines: lines.filter(({ x }) => visible(x)), beats: [] };
  }
  const barPixels = (pixelsPerSecond * (seconds - (grid.bars[0] ?? 0))) / grid.bars.length;
  const labelStep = stepFor(BAR_STEPS, barPixels, LABEL_PX);
  const lineStep = stepFor(BAR_STEPS, barPixels, LINE_PX);
  const lines = grid.bars
    .map((at, index) => ({ x: pixel(at), label: index % labelStep === 0 ? String(index + 1) : "", index }))
    .filter(({ x, index }) => visible(x) && index % lineStep === 0)
    .map(({ x, label }) => ({ x, label }));
  const beatPixels = (pixelsPerSecond * seconds) / Math.max(1, grid.beats.length);
  if (beatPixels < BEAT_PX) return { lines, beats: [] };
  const beats = grid.beats.filter((beat) => beat.beat !== 1 || beat.bar === 0).map((beat) => pixel(beat.seconds));
  return { lines, beats: beats.filter(visible) };
}
