// Fetch a stored file through its signed URL: complete and checked, or not at all.

import { createHash } from "node:crypto";
import { link, open, rm } from "node:fs/promises";

import type { CreateSignedUrlResponse } from "./gen/sonichaos/jobs/v1/jobs_service_pb.js";

/** Write the signed file to `path`, which must not exist. Throws where the bytes are not those that the service stored. */
export async function fetchFile(signed: CreateSignedUrlResponse, path: string): Promise<void> {
  const stored = signed.file;
  if (stored === undefined) throw new Error("the service signed a URL without saying of which file");
  const response = await fetch(signed.url);
  if (!response.ok || response.body === null) throw new Error(`${stored.key}: the store answered ${response.status}`);
  const part = `${path}.part`;
  const file = await open(part, "wx");
  try {
    const digest = createHash("sha256");
    let sizeBytes = 0n;
    for await (const chunk of response.body) {
      digest.update(chunk);
      sizeBytes += BigInt(chunk.byteLength);
      await file.write(chunk);
    }
    const sha256 = digest.digest("hex");
    if (sizeBytes !== stored.sizeBytes || sha256 !== stored.sha256) {
      throw new Error(`${stored.key}: wanted ${stored.sizeBytes} bytes, SHA-256 ${stored.sha256}; came ${sizeBytes}, ${sha256}`);
    }
    await file.sync();
    await link(part, path); // unlike a rename it fails where the name is taken
  } finally {
    await file.close();
    await rm(part, { force: true });
  }
}
