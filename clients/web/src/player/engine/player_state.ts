// What the player shows, as one immutable value.

import type { FileState } from "./buffer_store";
import type { WavSource } from "./load_wav";
import { type Heard, type LaneName, type Listening, type Mix, type SideName, STEMS, UNITY_MIX } from "./mix";
import type { LoopRegion } from "./run";
import type { TempoGrid } from "./tempo_grid";

/** The files of one version that are stored so far. */
export interface SideFiles {
  readonly version: number;
  /** Integrated loudness of its bounce. */
  readonly lufs: number | undefined;
  readonly files: Partial<Readonly<Record<LaneName, WavSource>>>;
}

/** What the player plays. */
export interface Take {
  /** Length of every file. */
  readonly frames: number;
  readonly grid: TempoGrid | undefined;
  readonly main: SideFiles;
  readonly against: SideFiles | undefined;
}

export type FileStates = Partial<Readonly<Record<LaneName, FileState>>>;

export interface PlayerState {
  readonly playing: boolean;
  readonly loopOn: boolean;
  readonly loop: LoopRegion;
  readonly clickOn: boolean;
  readonly mix: Mix;
  /** What was chosen. */
  readonly wanted: Heard;
  /** What sounds, or would. It differs from `wanted` while files load. Not set until a bounce is loaded. */
  readonly heard: Heard | undefined;
  readonly loudnessMatched: boolean;
  readonly files: Readonly<Record<SideName, FileStates>>;
}

export const INITIAL_STATE: PlayerState = {
  playing: false,
  loopOn: false,
  loop: { startFrame: 0, endFrame: 1 },
  clickOn: false,
  mix: UNITY_MIX,
  wanted: { side: "main", listening: "bounce" },
  heard: undefined,
  loudnessMatched: true,
  files: { main: {}, against: {} },
};

export function lanesOf(listening: Listening): readonly LaneName[] {
  return listening === "bounce" ? ["bounce"] : STEMS;
}

/** The files that have to be loaded for something to be heard; undefined if the version does not have them all. */
export function sourcesOf(take: Take, heard: Heard): WavSource[] | undefined {
  const files = take[heard.side]?.files;
  const sources = lanesOf(heard.listening).map((lane) => files?.[lane]);
  return sources.every((source) => source !== undefined) ? sources : undefined;
}

/** What can be heard at once: what is wanted, else what was heard so far, else a bounce. */
export function chooseHeard(
  wanted: Heard,
  before: Heard | undefined,
  loaded: (heard: Heard) => boolean,
): Heard | undefined {
  const candidates: (Heard | undefined)[] = [
    wanted,
    before,
    { side: wanted.side, listening: "bounce" },
    { side: "main", listening: "bounce" },
    { side: "against", listening: "bounce" },
  ];
  return candidates.find((one) => one !== undefined && loaded(one));
}

/** The files to load and keep, the most urgent first. Stems are loaded once they are wanted. */
export function sourcesToKeep(take: Take, wanted: Heard, heard: Heard | undefined, stemsUsed: boolean): WavSource[] {
  const other: SideName = wanted.side === "main" ? "against" : "main";
  const order: Heard[] = [
    { side: wanted.side, listening: "bounce" },
    wanted,
    ...(heard === undefined ? [] : [heard]),
    { side: other, listening: "bounce" },
  ];
  if (stemsUsed) order.push({ side: wanted.side, listening: "stems" }, { side: other, listening: "stems" });
  return order.flatMap((one) => sourcesOf(take, one) ?? []);
}
