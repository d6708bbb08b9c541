// The draft of this tab with what is wrong in it.

import { useEffect, useReducer, useRef } from "react";

import type { Problems } from "./brief_of_draft";
import type { Draft } from "./draft";
import { loadDraft, saveDraft } from "./stored_draft";

const SAVE_DELAY_MS = 250;

export interface DraftState {
  readonly draft: Draft;
  /** By path, such as "brief.seconds". A problem goes when its field is changed. */
  readonly problems: Problems;
  /** Problems that no field shows. */
  readonly others: readonly string[];
}

export type DraftAction =
  | { readonly type: "change"; readonly patch: Partial<Draft> }
  | { readonly type: "replace"; readonly draft: Draft }
  | { readonly type: "refuse"; readonly problems: Problems; readonly others: readonly string[] };

/** Paths whose problems are stale once a field of the draft is changed. */
const PATHS: Readonly<Record<keyof Draft, readonly string[]>> = {
  prompt: ["brief.prompt"],
  personaId: ["brief.persona_id"],
  seconds: ["brief.seconds"],
  loop: ["brief.loop", "brief.seconds"],
  tempo: ["brief.bpm", "brief.tempo_map", "brief.loop"],
  bpm: ["brief.bpm"],
  points: ["brief.tempo_map.points"],
  firstDownbeatSeconds: ["brief.tempo_map.first_downbeat_seconds", "brief.loop"],
  swingRatio: ["brief.tempo_map.swing_ratio"],
  tonic: ["brief.key"],
  mode: ["brief.key"],
  seed: ["brief.seed"],
  seedLocked: [],
  instrumental: [],
  stems: ["brief.stem_mode"],
  stemMode: ["brief.stem_mode"],
  score: ["brief.score"],
  chords: ["brief.score.chords"],
  midi: ["brief.score.midi"],
  lyrics: ["brief.lyrics"],
  targetLufs: ["brief.target_lufs"],
  tier: ["brief.licence.tier"],
  licensee: ["brief.licence.licensee"],
  terms: ["brief.licence.terms"],
  covers: ["brief.licence.covers"],
  labels: ["brief.labels"],
  expireTime: ["brief.expire_time"],
};

function isDraftField(name: string): name is keyof Draft {
  return Object.hasOwn(PATHS, name);
}

export function reduceDraft(state: DraftState, action: DraftAction): DraftState {
  if (action.type === "refuse") return { ...state, problems: action.problems, others: action.others };
  if (action.type === "replace") return { draft: action.draft, problems: new Map(), others: [] };
  const stale = Object.keys(action.patch)
    .filter(isDraftField)
    .flatMap((name) => PATHS[name]);
  const problems = new Map([...state.problems].filter(([path]) => !stale.some((start) => path.startsWith(start))));
  return { draft: { ...state.draft, ...action.patch }, problems, others: [] };
}

/** The draft as it was before a reload, kept from then on. */
export function useDraft(): readonly [DraftState, (action: DraftAction) => void] {
  const [state, dispatch] = useReducer(reduceDraft, undefined, () => ({
    draft: loadDraft(),
    problems: new Map<string, string>(),
    others: [],
  }));
  const latest = useRef(state.draft);
  useEffect(() => {
    latest.current = state.draft;
    const timer = setTimeout(() => saveDraft(state.draft), SAVE_DELAY_MS);
    return () => clearTimeout(timer);
  }, [state.draft]);
  useEffect(() => {
    const save = (): void => saveDraft(latest.current);
    addEventListener("pagehide", save);
    return () => {
      removeEventListener("pagehide", save);
      save();
    };
  }, []);
  return [state, dispatch];
}
