// One file of a stored ZIP, by HTTP Range. The files are stored and not compressed, so a part of the ZIP is the file itself.

import type { Version, ZipEntry } from "./gen/sonichaos/jobs/v1/job_pb.js";
import type { CreateSignedUrlResponse } from "./gen/sonichaos/jobs/v1/jobs_service_pb.js";

/** Where a file such as "drums.wav" is in a version's ZIP. Throws if the version has no such file. */
export function entryOfZip(version: Version, name: string): ZipEntry {
  const entries = version.files?.zipEntries ?? [];
  const entry = entries.find((one) => one.name === name);
  if (entry !== undefined) return entry;
  const names = entries.map((one) => one.name).join(", ") || "no files";
  throw new Error(`v${version.number}: expected ${name} in its ZIP, got ${names}`);
}

/** The Range header that fetches an entry alone. */
export function rangeOf(entry: ZipEntry): string {
  return `bytes=${bytesOf(entry)}`;
}

/** Throws unless status and Content-Range of an answer say that it is the entry of the signed ZIP. */
export function checkRange(
  signed: CreateSignedUrlResponse,
  entry: ZipEntry,
  status: number | undefined,
  contentRange: string | null | undefined,
): void {
  const expected = `bytes ${bytesOf(entry)}/${signed.file?.sizeBytes}`;
  if (status === 206 && contentRange === expected) return;
  const got = `HTTP ${status} with ${contentRange ?? "no Content-Range"}`;
  throw new Error(`${entry.name}: expected HTTP 206 with ${expected}, got ${got}; request a new signed URL`);
}

function bytesOf(entry: ZipEntry): string {
  return `${entry.offsetBytes}-${entry.offsetBytes + entry.sizeBytes - 1n}`;
}
