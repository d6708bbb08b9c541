// A draft in the tab's session storage: it survives a reload and ends with the tab.

import {
  COVERAGES,
  type Draft,
  type LabelRow,
  type MidiFile,
  MODES,
  newDraft,
  SCORE_CHOICES,
  STEM_MODES,
  TEMPO_CHOICES,
  type TempoRow,
} from "./draft";

const STORAGE_KEY = "sonichaos.draft";
const VERSION = 1;

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function oneOf<T extends string>(choices: readonly T[], value: unknown, fallback: T): T {
  return choices.find((choice) => choice === value) ?? fallback;
}

function rows(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown, fallback = ""): string {
  return typeof value === "string" ? value : fallback;
}

function tempoRow(value: unknown, index: number): TempoRow {
  return {
    id: index + 1,
    startSeconds: text(member(value, "startSeconds")),
    bpm: text(member(value, "bpm")),
    beatsPerBar: text(member(value, "beatsPerBar")),
    beatUnit: text(member(value, "beatUnit")),
  };
}

function labelRow(value: unknown, index: number): LabelRow {
  return { id: index + 1, key: text(member(value, "key")), value: text(member(value, "value")) };
}

function midiFile(value: unknown): MidiFile | undefined {
  const base64 = text(member(value, "base64"));
  return /^[A-Za-z0-9+/]+=*$/.test(base64) ? { name: text(member(value, "name")), base64 } : undefined;
}

/** What a draft is stored as. */
export function draftToText(draft: Draft): string {
  return JSON.stringify({ version: VERSION, draft });
}

/** The draft of a stored text. Of another version or no draft at all: undefined. What is missing in it is as in a new one. */
export function draftFromText(stored: string): Draft | undefined {
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch {
    return;
  }
  const draft = member(value, "draft");
  if (member(value, "version") !== VERSION || typeof draft !== "object") return;
  const empty = newDraft();
  const string = (name: keyof Draft, fallback: string): string => text(member(draft, name), fallback);
  const points = rows(member(draft, "points")).map(tempoRow);
  return {
    prompt: string("prompt", empty.prompt),
    personaId: string("personaId", empty.personaId),
    seconds: string("seconds", empty.seconds),
    loop: member(draft, "loop") === true,
    tempo: oneOf(TEMPO_CHOICES, member(draft, "tempo"), empty.tempo),
    bpm: string("bpm", empty.bpm),
    points: points.length === 0 ? empty.points : points,
    firstDownbeatSeconds: string("firstDownbeatSeconds", empty.firstDownbeatSeconds),
    swingRatio: string("swingRatio", empty.swingRatio),
    tonic: string("tonic", empty.tonic),
    mode: oneOf(MODES, member(draft, "mode"), empty.mode),
    seed: string("seed", empty.seed),
    seedLocked: member(draft, "seedLocked") === true,
    instrumental: member(draft, "instrumental") === true,
    stems: member(draft, "stems") === true,
    stemMode: oneOf(STEM_MODES, member(draft, "stemMode"), empty.stemMode),
    score: oneOf(SCORE_CHOICES, member(draft, "score"), empty.score),
    chords: string("chords", empty.chords),
    midi: midiFile(member(draft, "midi")),
    lyrics: string("lyrics", empty.lyrics),
    targetLufs: string("targetLufs", empty.targetLufs),
    tier: string("tier", empty.tier),
    licensee: string("licensee", empty.licensee),
    terms: string("terms", empty.terms),
    covers: oneOf(COVERAGES, member(draft, "covers"), empty.covers),
    labels: rows(member(draft, "labels")).map(labelRow),
    expireTime: string("expireTime", empty.expireTime),
  };
}

/** The draft of this tab, or a new one. */
export function loadDraft(): Draft {
  return draftFromText(sessionStorage.getItem(STORAGE_KEY) ?? "") ?? newDraft();
}

/** Keep the draft. A MIDI file that does not fit into the storage has to be chosen again after a reload. */
export function saveDraft(draft: Draft): void {
  try {
    sessionStorage.setItem(STORAGE_KEY, draftToText(draft));
  } catch {
    const small = draftToText({ ...draft, midi: undefined });
    try {
      sessionStorage.setItem(STORAGE_KEY, small);
    } catch {
      sessionStorage.removeItem(STORAGE_KEY);
    }
  }
}
