// The stored files of a version.

import type { Job, ZipEntry } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

import { jobsOf } from "../api/calls";
import { type FetchOptions, fetchSigned } from "./fetch_signed";

/** A stored file of a version. `entry`: that file of the ZIP instead of all of it. */
export interface FileToFetch {
  readonly job: Pick<Job, "jobId" | "owner">;
  readonly version: number;
  readonly kind: FileKind;
  readonly entry?: ZipEntry | undefined;
}

/** A URL that fetches the file, valid for as long as the service's default says. */
export async function signedUrl(file: FileToFetch, signal?: AbortSignal): Promise<string> {
  const request = { jobId: file.job.jobId, version: file.version, kind: file.kind };
  const { url } = await jobsOf(file.job).createSignedUrl(request, signal === undefined ? {} : { signal });
  return url;
}

/** The bytes of the file. Their digest is not checked. Throws as `fetchSigned` does. */
export function fetchStored(file: FileToFetch, options: FetchOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  return fetchSigned(() => signedUrl(file, options.signal), file.entry, options);
}
