// Numbers as the player shows them.

import type { Beat } from "./engine/tempo_grid";

/** 83.456 -> "1:23.456". */
export function formatTime(seconds: number): string {
  const millis = Math.floor(Math.max(0, seconds) * 1000 + 1e-6);
  const minutes = Math.floor(millis / 60_000);
  const rest = ((millis % 60_000) / 1000).toFixed(3).padStart(6, "0");
  return `${minutes}:${rest}`;
}

/** 83.456 -> "1:23". */
export function formatShortTime(seconds: number): string {
  return formatTime(seconds).slice(0, -4);
}

/** Bar and beat as in a DAW: "12|3". */
export function formatBeat(beat: Pick<Beat, "bar" | "beat">): string {
  return `${beat.bar}|${beat.beat}`;
}

/** -3.04 -> "−3.0", with a true minus sign. */
export function formatDecibels(db: number): string {
  const rounded = db.toFixed(1);
  if (Number(rounded) === 0) return "0.0";
  return rounded.replace("-", "−");
}

/** The same with a plus sign, for gains. */
export function formatGain(db: number): string {
  return db >= 0.05 ? `+${formatDecibels(db)}` : formatDecibels(db);
}
