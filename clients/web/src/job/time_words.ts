// Times of the protocol as numbers, and durations in words.

import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

import { en } from "../messages/en";

/** Seconds of a Duration. */
export function secondsOf(duration: Duration): number {
  return Number(duration.seconds) + duration.nanos / 1e9;
}

/** Seconds from one moment to a later one; undefined if one of them is not known. 0 if the clock was set back between them. */
export function secondsBetween(from: Timestamp | undefined, to: Timestamp | undefined): number | undefined {
  if (from === undefined || to === undefined) return undefined;
  return Math.max(0, (timestampMs(to) - timestampMs(from)) / 1000);
}

/** Such as "under 1 s", "12 s", "3 min 5 s", "2 h 10 min", "3 days": as precise as is useful. */
export function durationWords(seconds: number): string {
  const words = en.progress;
  if (seconds < 1) return words.underSecond;
  const whole = Math.round(seconds);
  if (whole < 60) return words.seconds(whole);
  if (whole < 600) return words.minutes(Math.floor(whole / 60), whole % 60);
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return words.minutes(minutes, 0);
  if (minutes < 48 * 60) return words.hours(Math.floor(minutes / 60), minutes % 60);
  return words.days(Math.round(minutes / (24 * 60)));
}

/** A date and time as the reader's browser writes them. */
export function momentWords(moment: Timestamp): string {
  return new Date(timestampMs(moment)).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
}
