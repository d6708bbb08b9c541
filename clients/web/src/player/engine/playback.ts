// All voices of a run: started at one moment of the clock, joined to it, moved together.

import type { LaneName, SideName } from "./mix";
import { type MixGraph, prepareVoice, type Voice } from "./mix_graph";
import { activeLoop, frameAt, type LoopRegion, onSample, type Run } from "./run";

/** Time between the decision to start and the start, so that every voice is ready by then. */
const LEAD_S = 0.05;
const MAX_LEAD_S = 1;

/** A loaded file and its place in the graph. */
export interface PlayableFile {
  readonly side: SideName;
  readonly lane: LaneName;
  readonly buffer: AudioBuffer;
}

interface Playing {
  readonly buffer: AudioBuffer;
  readonly voice: Voice;
}

const keyOf = (file: PlayableFile) => `${file.side}/${file.lane}`;

/** Plays files in step, to the sample. */
export class Playback {
  readonly #context: BaseAudioContext;
  readonly #graph: MixGraph;
  #voices = new Map<string, Playing>();
  #run: Run | undefined;

  constructor(context: BaseAudioContext, graph: MixGraph) {
    this.#context = context;
    this.#graph = graph;
  }

  get run(): Run | undefined {
    return this.#run;
  }

  /** Plays from a frame on; what plays already fades out at the same moment. */
  start(files: readonly PlayableFile[], fromFrame: number, frames: number, loop: LoopRegion | undefined): void {
    const before = this.#voices;
    const when = this.#begin(files, () => fromFrame, loop, true);
    for (const { voice } of before.values()) voice.stop(when, true);
    this.#run = { startTime: when, fromFrame, frames, loop };
  }

  /** Plays on with another loop, without a break: the old voices end on the sample on which the new ones begin. */
  changeLoop(files: readonly PlayableFile[], loop: LoopRegion | undefined): void {
    const run = this.#run;
    if (run === undefined) return;
    const before = this.#voices;
    let fromFrame = 0;
    const frameOf = (when: number) => {
      fromFrame = wholeFrameAt(run, when);
      return fromFrame;
    };
    const when = this.#begin(files, frameOf, loop, false);
    for (const { voice } of before.values()) voice.stop(when, false);
    this.#run = { startTime: when, fromFrame, frames: run.frames, loop };
  }

  /** Makes these files the ones that play: new ones join in step, missing ones fade out, the rest is not touched. Returns when. */
  join(files: readonly PlayableFile[]): number {
    const run = this.#run;
    if (run === undefined) return this.#context.currentTime;
    const before = this.#voices;
    const isKept = (file: PlayableFile) => before.get(keyOf(file))?.buffer === file.buffer;
    const added = files.filter((file) => !isKept(file));
    let when = this.#context.currentTime;
    this.#voices = new Map();
    if (added.length > 0) when = this.#begin(added, (time) => wholeFrameAt(run, time), activeLoop(run), true);
    const kept = new Set(files.filter(isKept).map(keyOf));
    for (const [key, playing] of before) {
      if (kept.has(key)) this.#voices.set(key, playing);
      else playing.voice.stop(when, true);
    }
    return when;
  }

  /** Fades out at once. */
  stop(): void {
    const now = this.#context.currentTime;
    for (const { voice } of this.#voices.values()) voice.stop(now, true);
    this.#voices = new Map();
    this.#run = undefined;
  }

  /** Starts voices at one moment, which it returns, and makes them `#voices`. Once more if the page was too busy to meet it. */
  #begin(
    files: readonly PlayableFile[],
    frameOf: (when: number) => number,
    loop: LoopRegion | undefined,
    fadeIn: boolean,
  ): number {
    for (let lead = LEAD_S; ; lead *= 2) {
      const voices = new Map<string, Playing>();
      for (const file of files) {
        const destination = this.#graph.lanes[file.lane].sides[file.side];
        voices.set(keyOf(file), { buffer: file.buffer, voice: prepareVoice(this.#context, file.buffer, destination) });
      }
      const when = onSample(this.#context.currentTime + lead);
      const frame = frameOf(when);
      for (const { voice } of voices.values()) voice.start(when, frame, loop, fadeIn && frame > 0);
      if (this.#context.currentTime < when || lead > MAX_LEAD_S) {
        this.#voices = voices;
        return when;
      }
      for (const { voice } of voices.values()) voice.stop(0, false);
    }
  }
}

function wholeFrameAt(run: Run, time: number): number {
  const frame = Math.round(frameAt(run, time));
  const loop = activeLoop(run);
  return loop !== undefined && frame >= loop.endFrame ? loop.startFrame : frame;
}
