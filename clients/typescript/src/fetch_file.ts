// Downloads a stored file through its signed URL and checks its digest.

import { createHash } from "node:crypto";
import { link, open, rm } from "node:fs/promises";

import type { CreateSignedUrlResponse } from "./gen/sonichaos/jobs/v1/jobs_service_pb.js";

/**
 * Writes the file that `signed` names to `path`, which must not exist. Nothing is left at `path` if the download fails.
 * Throws if the size or the SHA-256 differs from what the service stored.
 */
export async function fetchFile(signed: CreateSignedUrlResponse, path: string): Promise<void> {
  const stored = signed.file;
  if (stored === undefined) throw new Error("CreateSignedUrlResponse must have a file, got none");
  const response = await fetch(signed.url);
  if (!response.ok || response.body === null) {
    throw new Error(`${stored.key}: expected HTTP 200, got ${response.status}; request a new signed URL`);
  }
  const part = `${path}.part`;
  const file = await open(part, "wx");
  try {
    const digest = createHash("sha256");
    let sizeBytes = 0n;
    for await (const chunk of response.body) {
      digest.update(chunk);
      sizeBytes += BigInt(chunk.byteLength);
      await file.appendFile(chunk); // unlike write, which may write only a part on a disk that is nearly full
    }
    const sha256 = digest.digest("hex");
    if (sizeBytes !== stored.sizeBytes || sha256 !== stored.sha256) {
      const expected = `${stored.sizeBytes} bytes with SHA-256 ${stored.sha256}`;
      throw new Error(`${stored.key}: expected ${expected}, got ${sizeBytes} bytes with ${sha256}`);
    }
    await file.sync();
    await link(part, path); // fails if the file exists, unlike rename
  } finally {
    await file.close();
    await rm(part, { force: true });
  }
}
