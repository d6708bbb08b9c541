// The filters of the library, as the address and the services have them.

import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

export const STATE_CHOICES = ["any", "active", "done", "failed", "cancelled"] as const;

export interface LibraryFilters {
  /** Text that the prompt contains. */
  readonly text: string;
  readonly personaId: string;
  /** "key=value". */
  readonly label: string;
  readonly state: (typeof STATE_CHOICES)[number];
}

export const NO_FILTERS: LibraryFilters = { text: "", personaId: "", label: "", state: "any" };
export const MAX_TEXT_CHARACTERS = 256;

const STATES: Readonly<Record<LibraryFilters["state"], readonly JobState[]>> = {
  any: [],
  active: [JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING],
  done: [JobState.DONE],
  failed: [JobState.FAILED],
  cancelled: [JobState.CANCELLED],
};

/** The filters of an address's query. What is unknown or too long is no filter. */
export function parseFilters(query: string): LibraryFilters {
  const values = new URLSearchParams(query);
  const text = (name: string): string => {
    const value = values.get(name) ?? "";
    return value.length <= MAX_TEXT_CHARACTERS ? value : "";
  };
  const state = STATE_CHOICES.find((choice) => choice === values.get("state")) ?? "any";
  return { text: text("q"), personaId: text("persona"), label: text("label"), state };
}

/** The query of an address. Empty without filters. */
export function formatFilters({ text, personaId, label, state }: LibraryFilters): string {
  const values = new URLSearchParams();
  if (text !== "") values.set("q", text);
  if (personaId !== "") values.set("persona", personaId);
  if (label !== "") values.set("label", label);
  if (state !== "any") values.set("state", state);
  return values.toString();
}

/** The label that a text means; undefined if it has no "=" after a key. */
export function parseLabel(text: string): readonly [key: string, value: string] | undefined {
  const at = text.indexOf("=");
  return at > 0 ? [text.slice(0, at).trim(), text.slice(at + 1).trim()] : undefined;
}

/** The fields of a ListJobs request. */
export interface ListFields {
  readonly states: JobState[];
  readonly labels: Record<string, string>;
  readonly personaId: string;
  readonly promptContains: string;
}

/** What the services filter by. A label that is not complete yet is no filter. */
export function listFields({ text, personaId, label, state }: LibraryFilters): ListFields {
  const parsed = parseLabel(label);
  return {
    states: [...STATES[state]],
    labels: parsed === undefined ? {} : { [parsed[0]]: parsed[1] },
    personaId,
    promptContains: text.trim(),
  };
}

/** Whether a job that has changed is still among those that the services list. */
export function isListed(job: Job, filters: LibraryFilters): boolean {
  const { states, labels, personaId, promptContains } = listFields(filters);
  if (states.length > 0 && !states.includes(job.state)) return false;
  if (personaId !== "" && job.brief?.personaId !== personaId) return false;
  if (!Object.entries(labels).every(([key, value]) => job.brief?.labels[key] === value)) return false;
  return (job.brief?.prompt ?? "").toLowerCase().includes(promptContains.toLowerCase());
}
