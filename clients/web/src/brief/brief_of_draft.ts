// The brief that a form means, and what is wrong with it. The service checks more; its violations have the same paths.

import { create } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type Brief,
  BriefSchema,
  LicenceCoverage,
  LicenceSchema,
  ScoreSchema,
  StemMode,
  TempoMapSchema,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";

import { en } from "../messages/en";
import type { Draft } from "./draft";
import { parseNumber } from "./number_text";
import { characterCount, MAX_PROMPT_CHARACTERS } from "./prompt_length";
import { parseSeed } from "./seed";
import { MAX_BPM, MIN_BPM } from "./tap_tempo";
import { checkRows } from "./tempo_rows";

/** Texts for people by the path of the field, such as "brief.seconds". */
export type Problems = ReadonlyMap<string, string>;

export interface ReadDraft {
  /** Complete only if there are no problems. */
  readonly brief: Brief;
  readonly problems: Problems;
}

/** What the loaded renderer offers. Until it is known, everything. */
export interface RendererLimits {
  readonly minSeconds: number;
  readonly maxSeconds: number;
  readonly supportsScore: boolean;
  readonly supportsLyrics: boolean;
}

export const ANY_RENDERER: RendererLimits = {
  minSeconds: 2,
  maxSeconds: 180,
  supportsScore: true,
  supportsLyrics: true,
};
const LUFS_RANGE = [-30, -9] as const;
const SWING_RANGE = [0.5, 0.75] as const;
const MAX_DOWNBEAT_SECONDS = 60;
const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;

function isWithin(value: number | undefined, [min, max]: readonly [number, number]): value is number {
  return value !== undefined && value >= min && value <= max;
}

/** Read a draft for a renderer at the moment `now`. */
export function briefOfDraft(draft: Draft, limits: RendererLimits = ANY_RENDERER, now: Date = new Date()): ReadDraft {
  const problems = new Map<string, string>();
  const brief = create(BriefSchema, {
    prompt: draft.prompt,
    personaId: draft.personaId,
    loop: draft.loop,
    key: draft.tonic === "" ? "" : `${draft.tonic} ${draft.mode}`,
    instrumental: draft.instrumental,
    stems: draft.stems,
    lyrics: limits.supportsLyrics ? draft.lyrics : "",
  });
  readPrompt(draft, problems);
  if (draft.personaId === "") problems.set("brief.persona_id", en.brief.problems.persona);
  if (draft.stems) brief.stemMode = draft.stemMode === "raw" ? StemMode.RAW : StemMode.EXACT;
  readSeconds(draft, limits, brief, problems);
  readSeed(draft, brief, problems);
  readTempo(draft, brief, problems);
  readTargetLufs(draft, brief, problems);
  if (limits.supportsScore) readScore(draft, brief, problems);
  readLicence(draft, brief);
  readLabels(draft, brief, problems);
  readExpireTime(draft, now, brief, problems);
  return { brief, problems };
}

function readPrompt({ prompt }: Draft, problems: Map<string, string>): void {
  const count = characterCount(prompt);
  if (prompt.trim() === "") problems.set("brief.prompt", en.brief.problems.prompt);
  else if (count > MAX_PROMPT_CHARACTERS)
    problems.set("brief.prompt", en.brief.problems.promptTooLong(MAX_PROMPT_CHARACTERS, count));
}

function readSeconds(draft: Draft, limits: RendererLimits, brief: Brief, problems: Map<string, string>): void {
  if (draft.seconds.trim() === "") return;
  const seconds = parseNumber(draft.seconds);
  const { minSeconds, maxSeconds } = limits;
  if (isWithin(seconds, [minSeconds, maxSeconds])) brief.seconds = seconds;
  else problems.set("brief.seconds", en.brief.problems.seconds(minSeconds, maxSeconds));
}

function readSeed(draft: Draft, brief: Brief, problems: Map<string, string>): void {
  const seed = parseSeed(draft.seed);
  if (seed === undefined) problems.set("brief.seed", en.brief.problems.seed);
  else brief.seed = seed;
}

function readTempo(draft: Draft, brief: Brief, problems: Map<string, string>): void {
  if (draft.tempo === "bpm") {
    const bpm = parseNumber(draft.bpm);
    if (isWithin(bpm, [MIN_BPM, MAX_BPM])) brief.tempo = { case: "bpm", value: bpm };
    else problems.set("brief.bpm", en.brief.problems.bpm);
  }
  if (draft.tempo !== "map") return;
  for (const [path, problem] of checkRows(draft.points)) problems.set(`brief.tempo_map.${path}`, problem);
  const downbeat = parseNumber(draft.firstDownbeatSeconds);
  if (!isWithin(downbeat, [0, MAX_DOWNBEAT_SECONDS]))
    problems.set("brief.tempo_map.first_downbeat_seconds", en.brief.problems.downbeat);
  const swing = parseNumber(draft.swingRatio);
  if (!isWithin(swing, SWING_RANGE)) problems.set("brief.tempo_map.swing_ratio", en.brief.problems.swing);
  if (problems.size > 0 && [...problems.keys()].some((path) => path.startsWith("brief.tempo_map"))) return;
  const points = draft.points.map((row) => ({
    startSeconds: parseNumber(row.startSeconds) ?? 0,
    bpm: parseNumber(row.bpm) ?? 0,
    beatsPerBar: parseNumber(row.beatsPerBar) ?? 0,
    beatUnit: parseNumber(row.beatUnit) ?? 0,
  }));
  const value = create(TempoMapSchema, { points, firstDownbeatSeconds: downbeat ?? 0, swingRatio: swing ?? 0 });
  brief.tempo = { case: "tempoMap", value };
}

function readTargetLufs(draft: Draft, brief: Brief, problems: Map<string, string>): void {
  if (draft.targetLufs.trim() === "") return;
  const lufs = parseNumber(draft.targetLufs);
  if (isWithin(lufs, LUFS_RANGE)) brief.targetLufs = lufs;
  else problems.set("brief.target_lufs", en.brief.problems.targetLufs);
}

function readScore(draft: Draft, brief: Brief, problems: Map<string, string>): void {
  if (draft.score === "chords") {
    if (draft.chords.trim() === "") problems.set("brief.score.chords", en.brief.problems.chords);
    else brief.score = create(ScoreSchema, { source: { case: "chords", value: draft.chords } });
  }
  if (draft.score === "midi") {
    if (draft.midi === undefined) problems.set("brief.score.midi", en.brief.problems.midi);
    else brief.score = create(ScoreSchema, { source: { case: "midi", value: base64Decode(draft.midi.base64) } });
  }
}

function readLicence({ tier, licensee, terms, covers }: Draft, brief: Brief): void {
  const bounceOnly = covers === "bounce";
  if (tier === "" && licensee === "" && terms === "" && !bounceOnly) return;
  const coverage = bounceOnly ? LicenceCoverage.BOUNCE : LicenceCoverage.BOUNCE_AND_STEMS;
  brief.licence = create(LicenceSchema, { tier, licensee, terms, covers: coverage });
}

function readLabels(draft: Draft, brief: Brief, problems: Map<string, string>): void {
  for (const row of draft.labels) {
    const key = row.key.trim();
    if (key === "" && row.value === "") continue;
    if (!LABEL_KEY.test(key)) problems.set("brief.labels", en.brief.problems.labelKey);
    else if (Object.hasOwn(brief.labels, key)) problems.set("brief.labels", en.brief.problems.labelTwice(key));
    else brief.labels[key] = row.value;
  }
}

function readExpireTime(draft: Draft, now: Date, brief: Brief, problems: Map<string, string>): void {
  if (draft.expireTime === "") return;
  const time = new Date(draft.expireTime);
  if (Number.isNaN(time.getTime()) || time <= now) problems.set("brief.expire_time", en.brief.problems.expireTime);
  else brief.expireTime = timestampFromDate(time);
}
