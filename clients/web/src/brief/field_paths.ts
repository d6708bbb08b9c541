// Where a violation of the service stands in the form.

import type { CallError } from "@sonichaos/client";

import type { Problems } from "./brief_of_draft";
import type { Draft } from "./draft";

const PLAIN_FIELDS: ReadonlySet<string> = new Set([
  "brief.prompt",
  "brief.persona_id",
  "brief.seconds",
  "brief.loop",
  "brief.key",
  "brief.seed",
  "brief.stem_mode",
  "brief.lyrics",
  "brief.target_lufs",
  "brief.labels",
  "brief.expire_time",
  "brief.licence.tier",
  "brief.licence.licensee",
  "brief.licence.terms",
  "brief.licence.covers",
]);
const POINT = /^brief\.tempo_map\.points\[(\d+)\]\.(?:start_seconds|bpm|beats_per_bar|beat_unit)$/;
const MAP_FIELDS: ReadonlySet<string> = new Set([
  "brief.tempo_map.first_downbeat_seconds",
  "brief.tempo_map.swing_ratio",
]);
const BRIEF_OF_REASON: ReadonlyMap<string, string> = new Map([["PERSONA_NOT_FOUND", "brief.persona_id"]]);

/** The refusal of a call, sorted into the fields of the form and the rest. */
export interface SortedViolations {
  readonly problems: Problems;
  /** What no field of the form shows. */
  readonly others: readonly string[];
}

/** The path of the form's field that shows a violation; undefined if none does. */
export function formPath(path: string, draft: Pick<Draft, "tempo" | "points" | "score">): string | undefined {
  if (PLAIN_FIELDS.has(path)) return path;
  if (path.startsWith("brief.labels[") || path.startsWith("brief.labels.")) return "brief.labels";
  if (path === "brief.licence") return "brief.licence.tier";
  if (path === "brief.score" || path.startsWith("brief.score."))
    return draft.score === "none" ? undefined : `brief.score.${draft.score}`;
  if (path !== "brief.bpm" && !path.startsWith("brief.tempo_map")) return;
  // A tempo map that the caller did not give comes from the one tempo, or from the words of the prompt.
  if (draft.tempo === "open") return "brief.prompt";
  if (draft.tempo === "bpm") return "brief.bpm";
  const row = POINT.exec(path)?.[1];
  if (MAP_FIELDS.has(path) || (row !== undefined && Number(row) < draft.points.length)) return path;
  return "brief.tempo_map.points";
}

/** Sort what a call was refused for. Empty if the error is about no field. */
export function sortViolations(error: CallError, draft: Pick<Draft, "tempo" | "points" | "score">): SortedViolations {
  const problems = new Map<string, string>();
  const others: string[] = [];
  const place = (path: string, text: string): void => {
    const field = formPath(path, draft);
    if (field === undefined) others.push(`${path}: ${text}`);
    else problems.set(field, [problems.get(field), sentence(text)].filter(Boolean).join(" "));
  };
  for (const { field, description } of error.violations) place(field, description);
  if (error.violations.length === 0) {
    const field = BRIEF_OF_REASON.get(error.reason) ?? error.metadata.field;
    if (field !== undefined) place(field, error.message);
  }
  return { problems, others };
}

/** "Must be 30 to 300, got 5." for "must be 30 to 300, got 5", as it stands without its path. */
export function sentence(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/** The id of the control that a path names. */
export function controlId(path: string): string {
  return path.replace(/[^a-z0-9]+/gi, "-").replace(/-$/, "");
}
