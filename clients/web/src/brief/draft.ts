// The form's values as they are typed. What is wrong stays in the form until it is corrected.

import { drawSeed } from "./seed";

/** A point of the tempo map. `id` tells rows apart while they are edited. */
export interface TempoRow {
  readonly id: number;
  readonly startSeconds: string;
  readonly bpm: string;
  readonly beatsPerBar: string;
  readonly beatUnit: string;
}

export interface LabelRow {
  readonly id: number;
  readonly key: string;
  readonly value: string;
}

/** A chosen MIDI file. */
export interface MidiFile {
  readonly name: string;
  readonly base64: string;
}

export const TEMPO_CHOICES = ["open", "bpm", "map"] as const;
export const SCORE_CHOICES = ["none", "chords", "midi"] as const;
export const MODES = ["major", "minor"] as const;
export const STEM_MODES = ["exact", "raw"] as const;
export const COVERAGES = ["bounce_and_stems", "bounce"] as const;

export interface Draft {
  readonly prompt: string;
  readonly personaId: string;
  /** Empty: the service's default. */
  readonly seconds: string;
  readonly loop: boolean;
  readonly tempo: (typeof TEMPO_CHOICES)[number];
  readonly bpm: string;
  readonly points: readonly TempoRow[];
  readonly firstDownbeatSeconds: string;
  readonly swingRatio: string;
  /** Empty: left open. */
  readonly tonic: string;
  readonly mode: (typeof MODES)[number];
  readonly seed: string;
  /** True to keep the seed for the next takes. */
  readonly seedLocked: boolean;
  readonly instrumental: boolean;
  readonly stems: boolean;
  readonly stemMode: (typeof STEM_MODES)[number];
  readonly score: (typeof SCORE_CHOICES)[number];
  readonly chords: string;
  readonly midi: MidiFile | undefined;
  readonly lyrics: string;
  /** Empty: the service's default. */
  readonly targetLufs: string;
  readonly tier: string;
  readonly licensee: string;
  readonly terms: string;
  readonly covers: (typeof COVERAGES)[number];
  readonly labels: readonly LabelRow[];
  /** Local time as a datetime-local input has it. Empty: never. */
  readonly expireTime: string;
}

export const FIRST_ROW: TempoRow = { id: 1, startSeconds: "0", bpm: "120", beatsPerBar: "4", beatUnit: "4" };

/** A form in which only the seed is filled in. */
export function newDraft(seed: number = drawSeed()): Draft {
  return {
    prompt: "",
    personaId: "",
    seconds: "30",
    loop: false,
    tempo: "open",
    bpm: "120",
    points: [FIRST_ROW],
    firstDownbeatSeconds: "0",
    swingRatio: "0.5",
    tonic: "",
    mode: "minor",
    seed: String(seed),
    seedLocked: false,
    instrumental: false,
    stems: false,
    stemMode: "exact",
    score: "none",
    chords: "",
    midi: undefined,
    lyrics: "",
    targetLufs: "",
    tier: "",
    licensee: "",
    terms: "",
    covers: "bounce_and_stems",
    labels: [],
    expireTime: "",
  };
}
