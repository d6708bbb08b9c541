// The rows of the tempo map: edits and checks. The service checks them again.

import { en } from "../messages/en";
import type { TempoRow } from "./draft";
import { numberText, parseNumber } from "./number_text";
import { MAX_BPM, MIN_BPM } from "./tap_tempo";

export const MAX_ROWS = 512;
export const BEAT_UNITS = ["1", "2", "4", "8", "16"] as const;
const MAX_BEATS_PER_BAR = 16;
const BARS_TO_NEXT_ROW = 8;
const MIN_STEP_SECONDS = 1;

export type RowField = "startSeconds" | "bpm" | "beatsPerBar" | "beatUnit";

/** Paths of the fields in the message, without their row. */
export const ROW_PATHS = {
  startSeconds: "start_seconds",
  bpm: "bpm",
  beatsPerBar: "beats_per_bar",
  beatUnit: "beat_unit",
} as const satisfies Record<RowField, string>;

/** The rows with one more: as the last one, eight of its bars later. */
export function addRow(rows: readonly TempoRow[]): readonly TempoRow[] {
  const last = rows.at(-1);
  if (last === undefined || rows.length >= MAX_ROWS) return rows;
  const beats = (parseNumber(last.beatsPerBar) ?? 4) * BARS_TO_NEXT_ROW;
  const seconds = (beats * 60) / Math.max(parseNumber(last.bpm) ?? MIN_BPM, MIN_BPM);
  const startSeconds = (parseNumber(last.startSeconds) ?? 0) + Math.max(seconds, MIN_STEP_SECONDS);
  const id = Math.max(...rows.map((row) => row.id)) + 1;
  return [...rows, { ...last, id, startSeconds: numberText(Number(startSeconds.toFixed(3))) }];
}

/** The rows without one. The first stays: a map needs a tempo from 0 s on. */
export function removeRow(rows: readonly TempoRow[], id: number): readonly TempoRow[] {
  return rows.filter((row, index) => index === 0 || row.id !== id);
}

/** The rows with one field changed. */
export function editRow(rows: readonly TempoRow[], id: number, field: RowField, text: string): readonly TempoRow[] {
  return rows.map((row) => (row.id === id ? { ...row, [field]: text } : row));
}

/** What is wrong with the rows, by path: "points[1].bpm". */
export function checkRows(rows: readonly TempoRow[]): ReadonlyMap<string, string> {
  const problems = new Map<string, string>();
  let previous: number | undefined;
  for (const [index, row] of rows.entries()) {
    const path = (field: RowField): string => `points[${index}].${ROW_PATHS[field]}`;
    const start = parseNumber(row.startSeconds);
    if (start === undefined || start < 0) problems.set(path("startSeconds"), en.brief.problems.startSeconds);
    else if (index === 0 && start !== 0) problems.set(path("startSeconds"), en.brief.problems.firstRow);
    else if (previous !== undefined && start <= previous)
      problems.set(path("startSeconds"), en.brief.problems.rowOrder(numberText(previous)));
    previous = start ?? previous;
    const bpm = parseNumber(row.bpm);
    if (bpm === undefined || bpm < MIN_BPM || bpm > MAX_BPM) problems.set(path("bpm"), en.brief.problems.bpm);
    const beats = parseNumber(row.beatsPerBar);
    if (beats === undefined || !Number.isInteger(beats) || beats < 1 || beats > MAX_BEATS_PER_BAR)
      problems.set(path("beatsPerBar"), en.brief.problems.beatsPerBar);
    if (!BEAT_UNITS.some((unit) => unit === row.beatUnit.trim()))
      problems.set(path("beatUnit"), en.brief.problems.beatUnit);
  }
  return problems;
}
