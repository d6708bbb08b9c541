// Downloads a stored file, or one file of a ZIP, through its signed URL and checks its digest.

import { createHash, randomUUID } from "node:crypto";
import { link, open, rm } from "node:fs/promises";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getEncrypted } from "node:https";
import { rootCertificates } from "node:tls";

import type { ZipEntry } from "../gen/sonichaos/jobs/v1/job_pb.js";
import type { CreateSignedUrlResponse } from "../gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { checkRange, rangeOf } from "../zip_entry.js";
import { certificateAdvice } from "./credentials.js";

const TIMEOUT_MS = 60_000;

/**
 * Writes the file that `signed` names to `path`, which must not exist. Nothing is left at `path` if the download fails.
 * An https URL must have a certificate of the authority `ca` (PEM) or of a public one. Throws if the size or the SHA-256 differs
 * from what the service stored.
 */
export async function fetchFile(signed: CreateSignedUrlResponse, path: string, ca?: string): Promise<void> {
  const stored = signed.file;
  if (stored === undefined) throw new Error("CreateSignedUrlResponse must have a file, got none");
  const response = await request(new URL(signed.url), ca);
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`${stored.key}: expected HTTP 200, got ${response.statusCode}; request a new signed URL`);
  }
  await save(response, { ...stored, name: stored.key }, path);
}

/** As `fetchFile`, for one file of the ZIP that `signed` names: only its bytes are fetched. */
export async function fetchEntry(
  signed: CreateSignedUrlResponse,
  entry: ZipEntry,
  path: string,
  ca?: string,
): Promise<void> {
  const response = await request(new URL(signed.url), ca, { Range: rangeOf(entry) });
  try {
    checkRange(signed, entry, response.statusCode, response.headers["content-range"]);
  } catch (error) {
    response.destroy();
    throw error;
  }
  await save(response, entry, path);
}

interface Expected {
  readonly name: string;
  readonly sizeBytes: bigint;
  readonly sha256: string;
}

async function save(response: IncomingMessage, expected: Expected, path: string): Promise<void> {
  const part = `${path}.${randomUUID()}.part`; // what a killed process has left behind is not in the way of the next
  const file = await open(part, "wx");
  try {
    const digest = createHash("sha256");
    let sizeBytes = 0n;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += BigInt(chunk.byteLength);
      if (sizeBytes > expected.sizeBytes) {
        throw new Error(`${expected.name}: expected ${expected.sizeBytes} bytes, got more`);
      }
      digest.update(chunk);
      await file.appendFile(chunk); // unlike write, which may write only a part on a disk that is nearly full
    }
    const sha256 = digest.digest("hex");
    if (sizeBytes !== expected.sizeBytes || sha256 !== expected.sha256) {
      const stored = `${expected.sizeBytes} bytes with SHA-256 ${expected.sha256}`;
      throw new Error(`${expected.name}: expected ${stored}, got ${sizeBytes} bytes with ${sha256}`);
    }
    await file.sync();
    await link(part, path); // fails if the file exists, unlike rename
  } finally {
    response.destroy();
    await file.close();
    await rm(part, { force: true });
  }
}

/** Sends a GET request. Unlike `fetch`, `https.get` takes an authority. */
function request(url: URL, ca: string | undefined, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const trusted = ca === undefined ? {} : { ca: [...rootCertificates, ca] };
    const options = { headers, timeout: TIMEOUT_MS };
    const sent =
      url.protocol === "https:"
        ? getEncrypted(url, { ...options, ...trusted }, resolve)
        : getPlain(url, options, resolve);
    sent.on("timeout", () => sent.destroy(new Error(`${url.host}: no answer for ${TIMEOUT_MS / 1000} s`)));
    sent.on("error", (error) => {
      const advice = certificateAdvice(error);
      reject(advice === undefined ? error : new Error(`${url.host}: ${advice}`, { cause: error }));
    });
  });
}
