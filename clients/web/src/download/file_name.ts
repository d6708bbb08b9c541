// Names under which files are saved.

import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

const SUFFIX: Readonly<Record<FileKind, string>> = {
  [FileKind.UNSPECIFIED]: ".bin",
  [FileKind.BOUNCE]: "-bounce.wav",
  [FileKind.MANIFEST]: "-manifest.json",
  [FileKind.ZIP]: ".zip",
  [FileKind.LATENTS]: "-latents.safetensors",
  [FileKind.MIDI]: ".mid",
};

/** Such as "j-...-v1-bounce.wav". */
export function fileName(jobId: string, version: number, kind: FileKind): string {
  return `${jobId}-v${version}${SUFFIX[kind]}`;
}

/** Such as "j-...-v1-drums.wav". `entry`: the file's name in the ZIP. */
export function entryFileName(jobId: string, version: number, entry: string): string {
  return `${jobId}-v${version}-${entry.replace(/[^A-Za-z0-9._-]/g, "_")}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB"] as const;

/** A size with at most three digits, such as "1.7 kB", "26.5 MB". */
export function sizeWords(bytes: bigint | number): string {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}
