// Fetches a file, or one file of a stored ZIP, through signed URLs. An expired URL is signed again.

import { Code, ConnectError } from "@connectrpc/connect";
import { rangeOf } from "@sonichaos/client";
import type { ZipEntry } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";

export interface FetchOptions {
  /** Called with the share that has arrived, 0 to 1. */
  readonly onProgress?: (fraction: number) => void;
  readonly signal?: AbortSignal;
}

const EXPIRED = 403;

/**
 * The bytes behind the URL that `sign` returns; those of `entry` alone if it is given. Their digest is not checked. Throws
 * ConnectError if the file server refuses, or what `fetch` throws where no server answers.
 */
export async function fetchSigned(
  sign: () => Promise<string>,
  entry: ZipEntry | undefined,
  { onProgress, signal }: FetchOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const headers = entry === undefined ? {} : { Range: rangeOf(entry) };
  const request: RequestInit = { headers, cache: "no-store", ...(signal === undefined ? {} : { signal }) };
  let response = await fetch(await sign(), request);
  if (response.status === EXPIRED) response = await fetch(await sign(), request);
  const expected = entry === undefined ? 200 : 206;
  if (response.status !== expected) {
    throw new ConnectError(`expected HTTP ${expected} from the file server, got ${response.status}`, Code.Aborted);
  }
  return readAll(response, entry === undefined ? announced(response) : Number(entry.sizeBytes), onProgress);
}

/** The announced size; 0 if there is none. A proxy that compresses announces less than arrives. */
function announced(response: Response): number {
  return Number(response.headers.get("Content-Length") ?? 0);
}

async function readAll(
  response: Response,
  expectedLength: number,
  onProgress: FetchOptions["onProgress"],
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    parts.push(part.value);
    length += part.value.length;
    if (expectedLength > 0) onProgress?.(Math.min(1, length / expectedLength));
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
