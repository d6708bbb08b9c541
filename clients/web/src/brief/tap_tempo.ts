// The tempo that taps on a button mean.

const PAUSE_MS = 2000; // a beat at 30 BPM, the slowest tempo
const MAX_TAPS = 9;
const MS_PER_MINUTE = 60_000;
export const MIN_BPM = 30;
export const MAX_BPM = 300;

/** The taps that count after one at `timeMs`: after a pause they start anew. */
export function addTap(taps: readonly number[], timeMs: number): readonly number[] {
  const last = taps.at(-1);
  if (last === undefined || timeMs < last || timeMs - last > PAUSE_MS) return [timeMs];
  return [...taps, timeMs].slice(-MAX_TAPS);
}

/** Beats per minute of the median interval, in whole numbers from 30 to 300; undefined before the second tap. */
export function tappedBpm(taps: readonly number[]): number | undefined {
  const intervals = taps
    .slice(1)
    .map((time, index) => time - (taps[index] ?? time))
    .sort((a, b) => a - b);
  const middle = intervals.length / 2;
  const upper = intervals[Math.floor(middle)];
  const lower = intervals[Math.ceil(middle) - 1];
  if (upper === undefined || lower === undefined || upper + lower === 0) return;
  const bpm = Math.round(MS_PER_MINUTE / ((lower + upper) / 2));
  return Math.min(Math.max(bpm, MIN_BPM), MAX_BPM);
}
