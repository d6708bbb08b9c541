// What the bars show: the tracks of a version as numbers and words.

import {
  type JobEvent,
  JobState,
  ProgressTrack,
  Stage,
  type Version,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { secondsOf } from "../job/time_words";
import { isFinal } from "../job/version_state";
import { en } from "../messages/en";

/** One bar. */
export interface TrackProgress {
  readonly track: ProgressTrack.RENDER | ProgressTrack.STEMS;
  readonly name: string;
  /** 0 to 1. */
  readonly fraction: number;
  /** Whole percent; 100 only once the track is done. */
  readonly percent: number;
  readonly stage: string;
  /** Estimated seconds until the track is done, as of the newest event; undefined while unknown. */
  readonly secondsLeft: number | undefined;
  /** From 1. */
  readonly attempt: number;
  /** False while the track before it is in progress. */
  readonly hasStarted: boolean;
  /** Sequence number of its newest event. 0 before the first. */
  readonly sequence: bigint;
}

/** The bars of a version: "Render" for a take, "Stems" only if stems are requested. `hasNoRender`: an upload. */
export function tracksOf(version: Version, hasNoRender: boolean): readonly TrackProgress[] {
  const tracks: TrackProgress[] = [];
  if (!hasNoRender) tracks.push(trackOf(version, ProgressTrack.RENDER));
  if (hasNoRender || version.stemsWanted) tracks.push(trackOf(version, ProgressTrack.STEMS));
  return tracks;
}

function trackOf(version: Version, track: TrackProgress["track"]): TrackProgress {
  const event = version.progress.find((newest) => newest.track === track);
  const isDone = isTrackDone(version, track);
  const fraction = isDone ? 1 : (event?.fraction ?? 0);
  return {
    track,
    name: track === ProgressTrack.RENDER ? en.progress.render : en.progress.stems,
    fraction,
    percent: isDone ? 100 : Math.min(99, Math.floor(fraction * 100)),
    stage: stageWords(event, track, isDone),
    secondsLeft: isDone || event?.estimatedTimeLeft === undefined ? undefined : secondsOf(event.estimatedTimeLeft),
    attempt: Math.max(1, event?.attempt ?? 1),
    hasStarted: isDone || event !== undefined,
    sequence: event?.sequence ?? 0n,
  };
}

function isTrackDone(version: Version, track: TrackProgress["track"]): boolean {
  if (version.state === JobState.DONE) return true;
  if (track === ProgressTrack.STEMS) return version.files?.zip !== undefined;
  // The bounce of a re-render is stored with its stems only.
  return version.files?.bounce !== undefined || version.progress.some((event) => event.track === ProgressTrack.STEMS);
}

function stageWords(event: JobEvent | undefined, track: ProgressTrack, isDone: boolean): string {
  if (isDone) return en.progress.states[JobState.DONE];
  if (event === undefined && track === ProgressTrack.STEMS) return en.progress.afterRender;
  return en.progress.stages[event?.stage ?? Stage.UNSPECIFIED];
}

/** The bar that moves: the first that is not done. */
export function activeTrack(tracks: readonly TrackProgress[]): TrackProgress | undefined {
  return tracks.find((track) => track.percent < 100);
}

/** One sentence for screen readers. */
export function announcement(version: Version, tracks: readonly TrackProgress[]): string {
  if (isFinal(version) || version.state === JobState.CANCELLING) return en.progress.states[version.state];
  if (version.state === JobState.QUEUED) return en.progress.waitingTurn;
  const active = activeTrack(tracks);
  return active === undefined ? "" : en.progress.announce(active.name, active.percent, active.stage);
}

/** The title of the browser's tab while the version is in progress. */
export function titleWhile(version: Version, tracks: readonly TrackProgress[], name: string): string {
  const active = activeTrack(tracks);
  if (version.state !== JobState.RUNNING || active === undefined) {
    return en.progress.pageTitleState(en.progress.states[version.state], name);
  }
  return en.progress.pageTitle(active.percent, active.name, name);
}
