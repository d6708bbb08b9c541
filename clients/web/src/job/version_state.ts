// What can be read from a version: whether it has ended, which files it has, why it failed.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ErrorInfoSchema, RetryInfoSchema } from "@sonichaos/client/gen/google/rpc/error_details_pb.js";
import type { Status } from "@sonichaos/client/gen/google/rpc/status_pb.js";
import { type Job, JobState, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

const FINAL: ReadonlySet<JobState> = new Set([JobState.DONE, JobState.FAILED, JobState.CANCELLED]);

/** Whether the version will not change by itself any more. */
export function isFinal(version: Pick<Version, "state">): boolean {
  return FINAL.has(version.state);
}

export function isDeleted(version: Pick<Version, "deleteTime">): boolean {
  return version.deleteTime !== undefined;
}

/** Whether the bounce can be played: also while stems are still in progress, and after they failed. */
export function isPlayable(version: Version): boolean {
  return !isDeleted(version) && version.files?.bounce !== undefined;
}

export function hasStems(version: Version): boolean {
  return !isDeleted(version) && version.files?.zip !== undefined;
}

/** Whether the job is an upload: no take was rendered for it. */
export function isUpload(job: Pick<Job, "brief">): boolean {
  return (job.brief?.personaId ?? "") === "";
}

/** Whether nothing was rendered for the version: the original of an upload. */
export function hasNoRender(job: Pick<Job, "brief">, version: Pick<Version, "baseVersion">): boolean {
  return isUpload(job) && version.baseVersion === 0;
}

/** What the job is called: its prompt, the uploaded file's name, or its id. */
export function nameOf(job: Job): string {
  return job.brief?.prompt || job.brief?.fileName || job.jobId;
}

/** The version with that number. */
export function versionOf(job: Job, number: number): Version | undefined {
  return job.versions.find((version) => version.number === number);
}

/** The newest version that has not ended: the one that is watched. */
export function openVersion(job: Job): Version | undefined {
  return openVersions(job).at(-1);
}

/** The versions that have not ended, oldest first. */
export function openVersions(job: Job): readonly Version[] {
  return job.versions.filter((version) => !isFinal(version));
}

/** The newest version that can be played. */
export function newestPlayable(job: Job): Version | undefined {
  return job.versions.filter(isPlayable).at(-1);
}

/** Why a version failed or waits, as one plain value. */
export interface StatusReason {
  readonly message: string;
  /** Such as "DRIFT_EXCEEDED". Empty if the service gave none. */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** Whether the same work can succeed later. */
  readonly retryHelps: boolean;
}

export function reasonOf(status: Status): StatusReason {
  let reason = "";
  let metadata: Readonly<Record<string, string>> = {};
  let retryHelps = false;
  for (const detail of status.details) {
    const info = anyUnpack(detail, ErrorInfoSchema);
    if (info !== undefined) ({ reason, metadata } = info);
    if (anyUnpack(detail, RetryInfoSchema) !== undefined) retryHelps = true;
  }
  return { message: status.message, reason, metadata, retryHelps };
}
