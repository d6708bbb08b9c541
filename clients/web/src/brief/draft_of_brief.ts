// The form of a brief: of one that was given as JSON, and of one that a take was made from.

import { base64Encode } from "@bufbuild/protobuf/wire";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import {
  type Brief,
  type Licence,
  LicenceCoverage,
  type ResolvedBrief,
  StemMode,
  type TempoMap,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";

import { type Draft, newDraft } from "./draft";
import { numberText } from "./number_text";

const KEY = /^\s*([A-Ga-g])([#b♯♭]?)\s*(major|minor|maj|min|m)?\s*$/;
const DEFAULT_LUFS = -16;
const MIDI_FILE_NAME = "score.mid";

/** Where a restored form differs from what the take was made from. */
export interface Restored {
  readonly draft: Draft;
  /** Tempo that the service chose, in BPM. Not set if the caller gave it. */
  readonly chosenBpm: number | undefined;
  /** Key that the service chose. Empty if the caller gave it. */
  readonly chosenKey: string;
  /** True if the MIDI file of the take has to be chosen again. */
  readonly midiMissing: boolean;
  /** True if the prompt was erased, or the job never had one. */
  readonly promptMissing: boolean;
}

/** Tonic and mode as the form has them; undefined for what is no key. */
export function keyParts(text: string): Pick<Draft, "tonic" | "mode"> | undefined {
  const [, letter, accidental, mode] = KEY.exec(text) ?? [];
  if (letter === undefined || accidental === undefined) return;
  const ascii = accidental.replace("♯", "#").replace("♭", "b");
  return { tonic: letter.toUpperCase() + ascii, mode: mode?.startsWith("mi") || mode === "m" ? "minor" : "major" };
}

/** The form of a brief. A key that is no key is left open: check `keyParts` first. */
export function draftOfBrief(brief: Brief): Draft {
  const empty = newDraft();
  const { source } = brief.score ?? {};
  return {
    ...empty,
    prompt: brief.prompt,
    personaId: brief.personaId,
    seconds: brief.seconds === 0 ? "" : numberText(brief.seconds),
    loop: brief.loop,
    ...(brief.tempo.case === "bpm" ? { tempo: "bpm", bpm: numberText(brief.tempo.value) } : {}),
    ...(brief.tempo.case === "tempoMap" ? tempoMapFields(brief.tempo.value) : {}),
    ...(keyParts(brief.key) ?? {}),
    ...seedFields(brief.seed),
    instrumental: brief.instrumental,
    stems: brief.stems,
    stemMode: brief.stemMode === StemMode.RAW ? "raw" : "exact",
    ...(source?.case === "chords" ? { score: "chords", chords: source.value } : {}),
    ...(source?.case === "midi"
      ? { score: "midi", midi: { name: MIDI_FILE_NAME, base64: base64Encode(source.value) } }
      : {}),
    lyrics: brief.lyrics,
    targetLufs: brief.targetLufs === undefined ? "" : numberText(brief.targetLufs),
    ...licenceFields(brief.licence),
    ...labelFields(brief.labels),
    expireTime: localTime(brief.expireTime),
  };
}

/** The form of a take: what its caller gave, and its seed. What the service chose follows from them, and is left open. */
export function draftOfTake(brief: ResolvedBrief): Restored {
  const empty = newDraft();
  const chords = brief.score?.chords ?? "";
  const midiMissing = (brief.score?.midiSha256 ?? "") !== "";
  const callersTempo = brief.tempoSource === "caller" ? brief.tempoMap : undefined;
  const callersKey = brief.keySource === "caller" ? keyParts(brief.key) : undefined;
  const draft: Draft = {
    ...empty,
    prompt: brief.prompt,
    personaId: brief.personaId,
    seconds: numberText(brief.seconds),
    loop: brief.loop,
    ...(callersTempo === undefined ? {} : tempoFields(callersTempo)),
    ...(callersKey ?? {}),
    ...seedFields(brief.seed),
    instrumental: brief.instrumental,
    stems: brief.stems,
    stemMode: brief.stemMode === StemMode.RAW ? "raw" : "exact",
    ...(chords === "" ? {} : { score: "chords", chords }),
    ...(midiMissing ? { score: "midi" } : {}),
    targetLufs: brief.targetLufs === undefined || brief.targetLufs === DEFAULT_LUFS ? "" : numberText(brief.targetLufs),
    ...licenceFields(brief.licence),
    ...labelFields(brief.labels),
  };
  return {
    draft,
    chosenBpm: callersTempo === undefined ? brief.tempoMap?.points[0]?.bpm : undefined,
    chosenKey: callersKey === undefined ? brief.key : "",
    midiMissing,
    promptMissing: brief.prompt === "",
  };
}

function seedFields(seed: number | undefined): Partial<Draft> {
  return seed === undefined ? {} : { seed: String(seed), seedLocked: true };
}

/** A map of one point in 4/4 from 0 s on is a tempo. */
function tempoFields(map: TempoMap): Partial<Draft> {
  const [point, second] = map.points;
  const isPlain =
    point !== undefined &&
    second === undefined &&
    (point.beatsPerBar || 4) === 4 &&
    (point.beatUnit || 4) === 4 &&
    map.firstDownbeatSeconds === 0 &&
    (map.swingRatio || 0.5) === 0.5;
  return isPlain ? { tempo: "bpm", bpm: numberText(point.bpm) } : tempoMapFields(map);
}

function tempoMapFields(map: TempoMap): Partial<Draft> {
  return {
    tempo: "map",
    points: map.points.map((point, index) => ({
      id: index + 1,
      startSeconds: numberText(point.startSeconds),
      bpm: numberText(point.bpm),
      beatsPerBar: String(point.beatsPerBar || 4),
      beatUnit: String(point.beatUnit || 4),
    })),
    firstDownbeatSeconds: numberText(map.firstDownbeatSeconds),
    swingRatio: numberText(map.swingRatio || 0.5),
  };
}

function licenceFields(licence: Licence | undefined): Partial<Draft> {
  if (licence === undefined) return {};
  const { tier, licensee, terms } = licence;
  return { tier, licensee, terms, covers: licence.covers === LicenceCoverage.BOUNCE ? "bounce" : "bounce_and_stems" };
}

function labelFields(labels: Readonly<Record<string, string>>): Partial<Draft> {
  return { labels: Object.entries(labels).map(([key, value], index) => ({ id: index + 1, key, value })) };
}

/** As a datetime-local input has it, in the browser's time zone. */
function localTime(time: Timestamp | undefined): string {
  if (time === undefined) return "";
  const date = timestampDate(time);
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, "2026-01-31T12:00:00".length);
}
