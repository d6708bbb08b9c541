// A run: playback from a moment of the audio clock on. Where it is at any moment follows from the clock alone.

import { SAMPLE_RATE_HZ } from "./audio_format";

/** Part of a take that repeats: frames from `startFrame`, without `endFrame`. */
export interface LoopRegion {
  readonly startFrame: number;
  readonly endFrame: number;
}

export interface Run {
  /** Time of the audio clock at which `fromFrame` sounds, in seconds. */
  readonly startTime: number;
  readonly fromFrame: number;
  /** Length of the take. */
  readonly frames: number;
  readonly loop: LoopRegion | undefined;
}

/** The region that a run repeats. One that starts behind the region plays on to the end. */
export function activeLoop(run: Pick<Run, "fromFrame" | "loop">): LoopRegion | undefined {
  return run.loop !== undefined && run.fromFrame < run.loop.endFrame ? run.loop : undefined;
}

/** The frame that sounds at a time of the clock, with its fraction. Before the start: the first; after the end: `frames`. */
export function frameAt(run: Run, time: number): number {
  const played = Math.max(0, (time - run.startTime) * SAMPLE_RATE_HZ);
  const straight = run.fromFrame + played;
  const loop = activeLoop(run);
  if (loop === undefined) return Math.min(straight, run.frames);
  if (straight < loop.endFrame) return straight;
  return loop.startFrame + ((straight - loop.endFrame) % (loop.endFrame - loop.startFrame));
}

/** Times of the clock in [from, to) at which a run passes a frame. */
export function timesOfFrame(run: Run, frame: number, from: number, to: number): number[] {
  const loop = activeLoop(run);
  const times: number[] = [];
  const add = (offsetFrames: number): boolean => {
    const time = run.startTime + offsetFrames / SAMPLE_RATE_HZ;
    if (time >= from && time < to) times.push(time);
    return time < to;
  };
  if (frame >= run.fromFrame && frame < (loop?.endFrame ?? run.frames)) add(frame - run.fromFrame);
  if (loop === undefined || frame < loop.startFrame || frame >= loop.endFrame) return times;
  const length = loop.endFrame - loop.startFrame;
  const first = loop.endFrame - run.fromFrame + (frame - loop.startFrame);
  const elapsed = (from - run.startTime) * SAMPLE_RATE_HZ;
  const skipped = Math.max(0, Math.ceil((elapsed - first) / length - 1e-9));
  for (let round = skipped; add(first + round * length); round++);
  return times;
}

/** The first time at or after `time` that lies on a sample of the clock. */
export function onSample(time: number): number {
  return Math.ceil(time * SAMPLE_RATE_HZ - 1e-6) / SAMPLE_RATE_HZ;
}
