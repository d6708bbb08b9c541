// Downloads one file of a stored ZIP through its signed URL, and checks its digest.

import type { ZipEntry } from "../gen/sonichaos/jobs/v1/job_pb.js";
import type { CreateSignedUrlResponse } from "../gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { checkRange, rangeOf } from "../zip_entry.js";

/**
 * The bytes of one file of the ZIP that `signed` names. The file server must allow the page's origin (SONICHAOS_URL_ORIGINS, or the
 * CORS rules of the bucket), and the page must be a secure context (https, or localhost) for its SHA-256. Throws if the size or the
 * SHA-256 differs from what the service stored.
 */
export async function fetchEntry(
  signed: CreateSignedUrlResponse,
  entry: ZipEntry,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const request: RequestInit = { headers: { Range: rangeOf(entry) }, cache: "no-store" };
  const response = await fetch(signed.url, signal === undefined ? request : { ...request, signal });
  checkRange(signed, entry, response.status, response.headers.get("Content-Range"));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (sha256 !== entry.sha256) {
    const expected = `${entry.sizeBytes} bytes with SHA-256 ${entry.sha256}`;
    throw new Error(`${entry.name}: expected ${expected}, got ${bytes.byteLength} bytes with ${sha256}`);
  }
  return bytes;
}
