// Saves stored files of a version among the browser's downloads.

import { Code, ConnectError } from "@connectrpc/connect";
import { entryOfZip } from "@sonichaos/client";
import type { Job, Version, ZipEntry } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

import { en } from "../messages/en";
import type { FetchOptions } from "./fetch_signed";
import { fetchStored, signedUrl } from "./fetch_stored";
import { entryFileName, fileName } from "./file_name";
import { saveBytes, saveUrl } from "./save";
import { sha256Of } from "./sha256";

/** Lets the browser download a whole file, with its own progress. */
export async function saveFile(job: Pick<Job, "jobId" | "owner">, version: number, kind: FileKind): Promise<void> {
  saveUrl(await signedUrl({ job, version, kind }), fileName(job.jobId, version, kind));
}

/** Fetches one file of the ZIP alone, such as "drums.wav", and saves it if it is what was recorded. */
export async function saveEntry(
  job: Pick<Job, "jobId" | "owner">,
  version: Version,
  name: string,
  options: FetchOptions = {},
): Promise<void> {
  const entry = entryOfZip(version, name);
  const bytes = await fetchStored({ job, version: version.number, kind: FileKind.ZIP, entry }, options);
  if (!(await isEntry(bytes, entry))) throw new ConnectError(en.take.downloadDamaged(name), Code.DataLoss);
  saveBytes(bytes, entryFileName(job.jobId, version.number, name), "audio/wav");
}

/** By size and digest; by size alone where the browser computes no digests. */
async function isEntry(bytes: Uint8Array<ArrayBuffer>, entry: ZipEntry): Promise<boolean> {
  if (BigInt(bytes.length) !== entry.sizeBytes) return false;
  return !isSecureContext || (await sha256Of(bytes)) === entry.sha256;
}
