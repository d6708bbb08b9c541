// Downloads the files of a version, one after another, and compares their SHA-256 with manifest, job and audit chain.

import type { Version, ZipEntry } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import type { AuditRow } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import type { FetchOptions } from "../download/fetch_signed";
import { parseJson } from "../download/json";
import { sha256Of } from "../download/sha256";
import { type Comparison, compare, expectedDigests } from "./expected_digests";

/** One file that is checked. */
export interface CheckedFile extends Comparison {
  readonly name: string;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

/** Fetches one file. An argument, so that any source of bytes can be checked. */
export type FetchFile = (
  kind: FileKind,
  entry: ZipEntry | undefined,
  options: FetchOptions,
) => Promise<Uint8Array<ArrayBuffer>>;

/** The names of the files in the order in which they are checked. */
export function filesToCheck({ files }: Version): readonly string[] {
  const inZip = (files?.zipEntries ?? []).map((entry) => entry.name).filter((name) => name !== "manifest.json");
  return ["manifest.json", ...(inZip.length > 0 ? inZip : ["bounce.wav"])];
}

/** Yields each file once it is checked. Never holds more than one file. */
export async function* verifyFiles(
  version: Version,
  rows: readonly AuditRow[],
  fetchFile: FetchFile,
  options: FetchOptions,
): AsyncGenerator<CheckedFile, void, undefined> {
  let manifest: unknown;
  for (const name of filesToCheck(version)) {
    const entry = version.files?.zipEntries.find((one) => one.name === name);
    const kind = entry !== undefined ? FileKind.ZIP : name === "manifest.json" ? FileKind.MANIFEST : FileKind.BOUNCE;
    const bytes = await fetchFile(kind, entry, options);
    if (name === "manifest.json") manifest = parseJson(new TextDecoder().decode(bytes));
    const sha256 = await sha256Of(bytes);
    yield { name, sha256, ...compare(sha256, expectedDigests(name, version, manifest, rows)) };
  }
}
