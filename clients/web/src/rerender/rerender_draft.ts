// What the re-render panel's form holds, and the request that it means.

import { create } from "@bufbuild/protobuf";
import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import {
  type RerenderStemRequest,
  RerenderStemRequestSchema,
} from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import { characterCount, MAX_PROMPT_CHARACTERS } from "../brief/prompt_length";
import { drawSeed, parseSeed } from "../brief/seed";
import { isUpload } from "../job/version_state";
import { en } from "../messages/en";

/** Every field as the form shows it. */
export interface RerenderDraft {
  readonly stem: Stem;
  readonly personaId: string;
  readonly prompt: string;
  readonly seed: string;
  readonly seedLocked: boolean;
  /** True: the bars from `fromBar` to `toBar` only. */
  readonly someBars: boolean;
  readonly fromBar: string;
  readonly toBar: string;
  readonly newPart: boolean;
  readonly allowDrift: boolean;
  /** Of an upload's first re-render. */
  readonly bpm: string;
  /** Of an upload's first re-render. */
  readonly key: string;
}

/** The fields by the names that the request has, so that a refusal finds its field. */
export type FieldName = "stem" | "persona_id" | "prompt" | "seed" | "from_bar" | "to_bar" | "bpm" | "key";

const FIELD_NAMES: readonly FieldName[] = ["stem", "persona_id", "prompt", "seed", "from_bar", "to_bar", "bpm", "key"];

export type FieldProblems = ReadonlyMap<FieldName, string>;

/** Where the form starts: the vocals of this version, as they are, with another seed; an upload with the grid that it got before. */
export function startDraft(job: Job, base: Version, bars: number): RerenderDraft {
  const known = job.versions.find((version) => version.brief?.tempoMap !== undefined)?.brief;
  return {
    stem: Stem.VOCALS,
    personaId: base.brief?.personaId ?? "",
    prompt: base.brief?.prompt ?? "",
    seed: String(drawSeed()),
    seedLocked: false,
    someBars: false,
    fromBar: "1",
    toBar: String(Math.max(1, bars)),
    newPart: false,
    allowDrift: false,
    bpm: known?.tempoMap?.points[0]?.bpm.toString() ?? "",
    key: known?.key ?? "",
  };
}

/** Whether the version has no tempo and key yet: an upload that was never re-rendered. */
export function needsGrid(job: Job, base: Version): boolean {
  return isUpload(job) && base.brief?.tempoMap === undefined;
}

/** What is wrong with the draft, by field. Empty: it can be sent. */
export function problemsOf(draft: RerenderDraft, job: Job, base: Version, bars: number): FieldProblems {
  const words = en.rerender;
  const found = new Map<FieldName, string>();
  const upload = needsGrid(job, base);
  if (upload && draft.personaId === "") found.set("persona_id", words.personaNeeded);
  const length = characterCount(draft.prompt);
  if (length > MAX_PROMPT_CHARACTERS) found.set("prompt", words.promptTooLong(length));
  if ((base.brief?.prompt ?? "") === "" && draft.prompt.trim() === "") found.set("prompt", words.promptNeeded);
  if (parseSeed(draft.seed) === undefined) found.set("seed", words.seedRange(draft.seed));
  if (upload && !(Number(draft.bpm) >= 30 && Number(draft.bpm) <= 300)) found.set("bpm", words.bpmRange);
  if (upload && draft.key.trim() === "") found.set("key", words.keyNeeded);
  if (draft.someBars) {
    const from = wholeNumber(draft.fromBar, 1, bars);
    if (from === undefined) found.set("from_bar", words.barRange(bars));
    if (wholeNumber(draft.toBar, from ?? 1, bars) === undefined)
      found.set("to_bar", words.lastBarRange(from ?? 1, bars));
  }
  return found;
}

/** The request of a draft without problems. What is as in the base version is left out. */
export function requestOf(draft: RerenderDraft, job: Job, base: Version, requestId: string): RerenderStemRequest {
  const changed = (value: string, before: string | undefined): string => (value === (before ?? "") ? "" : value);
  const request = create(RerenderStemRequestSchema, {
    requestId,
    jobId: job.jobId,
    baseVersion: base.number,
    stem: draft.stem,
    personaId: changed(draft.personaId, base.brief?.personaId),
    prompt: changed(draft.prompt.trim(), base.brief?.prompt),
    seed: Number(draft.seed),
    newPart: draft.newPart,
    allowDrift: draft.allowDrift,
  });
  if (draft.someBars) {
    request.fromBar = Number(draft.fromBar);
    request.toBar = Number(draft.toBar);
  }
  if (needsGrid(job, base)) {
    request.tempo = { case: "bpm", value: Number(draft.bpm) };
    request.key = draft.key.trim();
  }
  return request;
}

/** The field that a refused request names, such as "tempo_map" of an upload without a tempo. */
export function fieldNamed(name: string): FieldName | undefined {
  if (name.startsWith("tempo_map")) return "bpm";
  return FIELD_NAMES.find((field) => field === name);
}

/** The whole number that a text means, if it lies in the range. */
function wholeNumber(text: string, min: number, max: number): number | undefined {
  const digits = text.trim();
  if (!/^\d{1,10}$/.test(digits)) return undefined;
  const value = Number(digits);
  return value >= min && value <= max ? value : undefined;
}
