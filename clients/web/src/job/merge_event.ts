// A job after one of its events. Nothing is changed in place, so that a view can compare by identity.

import {
  EventKind,
  type Job,
  type JobEvent,
  JobState,
  ProgressTrack,
  type Version,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { isFinal } from "./version_state";

/** The job after the event. An event that the job contains already changes nothing. */
export function mergeEvent(job: Job, event: JobEvent): Job {
  if (event.sequence <= job.lastSequence) return job;
  const versions = job.versions.map((version) =>
    version.number === event.version ? mergeIntoVersion(version, event) : version,
  );
  const isLatest = job.latest !== undefined && job.latest.number === event.version;
  return {
    ...job,
    versions,
    lastSequence: event.sequence,
    state: event.version === 1 ? stateAfter(job.state, event) : job.state,
    latest: isLatest && job.latest ? { ...job.latest, state: stateAfter(job.latest.state, event) } : job.latest,
  };
}

/** Whether an event announces what only the job itself holds: files, loudness, timings, a new version. */
export function needsRead(job: Job, event: JobEvent): boolean {
  if (!job.versions.some((version) => version.number === event.version)) return true;
  return event.kind !== EventKind.PROGRESS && event.kind !== EventKind.DELETED;
}

function stateAfter(state: JobState, event: JobEvent): JobState {
  return event.state === JobState.UNSPECIFIED ? state : event.state;
}

function mergeIntoVersion(version: Version, event: JobEvent): Version {
  const state = stateAfter(version.state, event);
  const hasEnded = isFinal({ state });
  return {
    ...version,
    state,
    progress: event.track === ProgressTrack.UNSPECIFIED ? version.progress : withProgress(version.progress, event),
    error: state === JobState.FAILED ? (event.error ?? version.error) : undefined,
    waiting: hasEnded || state === JobState.QUEUED ? undefined : event.error,
    queuePosition: state === JobState.QUEUED ? version.queuePosition : undefined,
    estimatedEndTime: hasEnded ? undefined : version.estimatedEndTime,
    startTime: state === JobState.RUNNING ? (version.startTime ?? event.eventTime) : version.startTime,
    endTime: hasEnded ? (version.endTime ?? event.eventTime) : undefined,
  };
}

function withProgress(progress: readonly JobEvent[], event: JobEvent): JobEvent[] {
  return [...progress.filter((other) => other.track !== event.track), event];
}
