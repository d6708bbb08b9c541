// Fetches a stored file, or one file of a stored ZIP, through a signed URL; an expired URL is signed again.

import { Code, ConnectError } from "@connectrpc/connect";
import { rangeOf } from "@sonichaos/client";
import type { Job, ZipEntry } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

import { jobsOf } from "../api/calls";

/** A stored file of a version. `entry`: that file of the ZIP instead of all of it. */
export interface FileToFetch {
  readonly job: Pick<Job, "jobId" | "owner">;
  readonly version: number;
  readonly kind: FileKind;
  readonly entry?: ZipEntry | undefined;
}

export interface FetchOptions {
  /** Called with the share that has arrived, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
  readonly signal?: AbortSignal;
}

const URL_EXPIRED = 403;

/** A URL that fetches the file, valid for as long as the service's default says. */
export async function signedUrl(file: FileToFetch, signal?: AbortSignal): Promise<string> {
  const request = { jobId: file.job.jobId, version: file.version, kind: file.kind };
  const { url } = await jobsOf(file.job).createSignedUrl(request, signal === undefined ? {} : { signal });
  return url;
}

/** The bytes of the file. Their digest is not checked. Throws ConnectError, or what `fetch` throws where no server answers. */
export async function fetchStored(file: FileToFetch, options: FetchOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
  const headers = file.entry === undefined ? {} : { Range: rangeOf(file.entry) };
  const request: RequestInit = { headers, cache: "no-store" };
  if (options.signal !== undefined) request.signal = options.signal;
  let response = await fetch(await signedUrl(file, options.signal), request);
  if (response.status === URL_EXPIRED) response = await fetch(await signedUrl(file, options.signal), request);
  const expectedStatus = file.entry === undefined ? 200 : 206;
  if (response.status !== expectedStatus) {
    throw new ConnectError(
      `expected HTTP ${expectedStatus} from the file server, got ${response.status}`,
      Code.Aborted,
    );
  }
  return readAll(response, options.onProgress);
}

async function readAll(response: Response, onProgress: FetchOptions["onProgress"]): Promise<Uint8Array<ArrayBuffer>> {
  const total = Number(response.headers.get("Content-Length") ?? 0);
  if (response.body === null || total === 0) return new Uint8Array(await response.arrayBuffer());
  const bytes = new Uint8Array(total);
  let length = 0;
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (length + part.value.length > total)
      throw new ConnectError("the file server sent more than it announced", Code.DataLoss);
    bytes.set(part.value, length);
    length += part.value.length;
    onProgress?.(length / total);
  }
  if (length < total)
    throw new ConnectError(`expected ${total} bytes from the file server, got ${length}`, Code.DataLoss);
  return bytes;
}
