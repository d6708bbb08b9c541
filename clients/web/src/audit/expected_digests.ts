// What the digests of a version's files should be, by who says so: the job, the manifest, the audit chain.

import type { Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { AuditRow } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import { parseJson, textAt } from "../download/json";

export type Witness = "job" | "manifest" | "audit";

/** SHA-256 by witness. A witness that says nothing about the file is left out. */
export type ExpectedDigests = ReadonlyMap<Witness, string>;

const STEMS: ReadonlySet<string> = new Set(["drums", "bass", "vocals", "other"]);

/** What is expected of a file such as "drums.wav" or "manifest.json". `manifest`: its JSON value. */
export function expectedDigests(
  name: string,
  version: Version,
  manifest: unknown,
  rows: readonly AuditRow[],
): ExpectedDigests {
  const found = new Map<Witness, string>();
  const add = (witness: Witness, sha256: string | undefined): void => {
    if (sha256 !== undefined) found.set(witness, sha256);
  };
  add("job", digestInJob(name, version));
  if (name !== "manifest.json") add("manifest", digestInManifest(name, manifest));
  for (const row of rows.filter((one) => one.version === version.number)) {
    add("audit", digestInAudit(name, parseJson(row.bodyJson)));
  }
  return found;
}

function digestInJob(name: string, { files }: Version): string | undefined {
  const entry = files?.zipEntries.find((one) => one.name === name);
  if (entry !== undefined) return entry.sha256;
  return name === "manifest.json" ? files?.manifest?.sha256 : files?.bounce?.sha256;
}

function digestInManifest(name: string, manifest: unknown): string | undefined {
  if (name === "bounce.wav") return textAt(manifest, "bounce", "sha256");
  return textAt(manifest, "stems", "files", stemOf(name), "sha256");
}

function digestInAudit(name: string, body: unknown): string | undefined {
  if (name === "manifest.json") return textAt(body, "manifestSha256");
  if (name === "bounce.wav") return textAt(body, "bounce", "sha256");
  return textAt(body, "stems", stemOf(name));
}

function stemOf(name: string): string {
  const stem = name.replace(/\.wav$/, "");
  return STEMS.has(stem) ? stem : "";
}

/** How a file compares with what is expected of it. */
export interface Comparison {
  /** Who says the same as what was downloaded. */
  readonly agree: readonly Witness[];
  /** Who says something else. */
  readonly differ: readonly Witness[];
}

export function compare(sha256: string, expected: ExpectedDigests): Comparison {
  const agree: Witness[] = [];
  const differ: Witness[] = [];
  for (const [witness, digest] of expected) (digest === sha256 ? agree : differ).push(witness);
  return { agree, differ };
}
