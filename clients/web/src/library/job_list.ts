// The listed jobs as they change: pure functions over a list, newest first.

import { type Job, ProgressTrack, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

import { isFinal } from "../job/version_state";

/** The newest version. */
export function latestVersion(job: Job): Version | undefined {
  return job.versions.find(({ number }) => number === job.latest?.number) ?? job.versions.at(-1);
}

/** Whether a job can be deleted: none of its versions is being worked on. */
export function isDeletable(job: Job): boolean {
  return job.versions.every(isFinal);
}

/** Fraction of the version's work that is done, 0 to 1, over both tracks. */
export function doneFraction(version: Version, isUpload: boolean): number {
  const fraction = (track: ProgressTrack): number =>
    version.progress.find((progress) => progress.track === track)?.fraction ?? 0;
  const stems = fraction(ProgressTrack.STEMS);
  if (isUpload) return stems;
  const render = fraction(ProgressTrack.RENDER);
  return version.stemsWanted ? (render + stems) / 2 : render;
}

/** The list with a job as it is now, in its place. A job that is older than all loaded ones is left for a later page. */
export function withJob(jobs: readonly Job[], job: Job, hasMore: boolean): readonly Job[] {
  const at = jobs.findIndex(({ jobId }) => jobId === job.jobId);
  // An answer may be older than the events that came meanwhile.
  const known = jobs[at];
  if (known !== undefined)
    return known.lastSequence > job.lastSequence ? jobs : jobs.map((listed) => (listed === known ? job : listed));
  const next = jobs.findIndex(({ jobId }) => jobId < job.jobId);
  if (next >= 0) return [...jobs.slice(0, next), job, ...jobs.slice(next)];
  return hasMore ? jobs : [...jobs, job];
}

/** The list with its newest jobs as they are now: those of `page`, and what is older than all of them. */
export function withNewest(jobs: readonly Job[], page: readonly Job[], isWhole: boolean): readonly Job[] {
  const oldest = page.at(-1)?.jobId;
  const older = isWhole || oldest === undefined ? [] : jobs.filter(({ jobId }) => jobId < oldest);
  return [...page, ...older];
}

export function withoutJob(jobs: readonly Job[], jobId: string): readonly Job[] {
  return jobs.filter((job) => job.jobId !== jobId);
}
