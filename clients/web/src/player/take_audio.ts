// The stored files of a job's versions, as the engine loads them: through signed URLs, stems by a Range of the ZIP.

import { entryOfZip, rangeOf } from "@sonichaos/client";
import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

import { jobsOf } from "../api/calls";
import { frameOfSeconds, SAMPLE_RATE_HZ } from "./engine/audio_format";
import type { WavSource } from "./engine/load_wav";
import { type LaneName, STEMS } from "./engine/mix";
import type { SideFiles, Take } from "./engine/player_state";
import { TempoGrid } from "./engine/tempo_grid";
import { type FileLoudness, loudnessOfManifest } from "./manifest_loudness";

/** Five files of this length take 1 GB decoded. Longer recordings are for download. */
export const MAX_PLAYABLE_SECONDS = 600;

/** What calls need of a job. */
export type JobRef = Pick<Job, "jobId" | "owner">;

async function fetchFile(
  job: JobRef,
  version: number,
  kind: FileKind,
  headers: HeadersInit,
  signal: AbortSignal,
): Promise<Response> {
  const { url } = await jobsOf(job).createSignedUrl({ jobId: job.jobId, version, kind }, { signal });
  const response = await fetch(url, { headers, signal, cache: "no-store" });
  const expected = "Range" in headers ? 206 : 200;
  if (response.status !== expected)
    throw new Error(`expected HTTP ${expected} from the file server, got ${response.status}`);
  return response;
}

function bounceOf(job: JobRef, version: Version): WavSource | undefined {
  const bounce = version.files?.bounce;
  if (bounce === undefined) return undefined;
  return {
    name: "bounce.wav",
    sha256: bounce.sha256,
    sizeBytes: Number(bounce.sizeBytes),
    open: (signal) => fetchFile(job, version.number, FileKind.BOUNCE, {}, signal),
  };
}

function stemOf(job: JobRef, version: Version, name: string): WavSource {
  const entry = entryOfZip(version, name);
  return {
    name,
    sha256: entry.sha256,
    sizeBytes: Number(entry.sizeBytes),
    open: (signal) => fetchFile(job, version.number, FileKind.ZIP, { Range: rangeOf(entry) }, signal),
  };
}

function sideOf(job: JobRef, version: Version): SideFiles {
  const files: Partial<Record<LaneName, WavSource>> = {};
  const bounce = bounceOf(job, version);
  if (bounce !== undefined) files.bounce = bounce;
  if (version.files?.zip !== undefined) {
    for (const stem of STEMS) files[stem] = stemOf(job, version, `${stem}.wav`);
  }
  return { version: version.number, lufs: version.loudness?.lufs, files };
}

/** A version of a job; undefined if it has none of that number. */
export function versionOf(job: Job, number: number): Version | undefined {
  return job.versions.find((one) => one.number === number);
}

/** What to play; undefined until the version has a bounce. */
export function takeAudioOf(job: Job, version: number, against: number | undefined): Take | undefined {
  const main = versionOf(job, version);
  const seconds = main?.brief?.seconds ?? 0;
  if (main?.files?.bounce === undefined || seconds <= 0) return undefined;
  const other = against === undefined || against === version ? undefined : versionOf(job, against);
  const frames = frameOfSeconds(seconds);
  const map = main.brief?.tempoMap;
  return {
    frames,
    grid: map === undefined ? undefined : new TempoGrid(map, frames / SAMPLE_RATE_HZ),
    main: sideOf(job, main),
    against: other?.files?.bounce === undefined ? undefined : sideOf(job, other),
  };
}

/** Equal for takes with the same files, so that an event of the job does not build the player again. */
export function takeKey(take: Take | undefined): string {
  if (take === undefined) return "";
  const files = [take.main, take.against].map((side) => Object.values(side?.files ?? {}).map((file) => file.sha256));
  return JSON.stringify([take.frames, take.main.version, take.against?.version, files]);
}

/** Loudness of the files of a version, from its manifest. */
export async function fetchLoudness(
  job: JobRef,
  version: number,
  signal: AbortSignal,
): Promise<Partial<Record<LaneName, FileLoudness>>> {
  const response = await fetchFile(job, version, FileKind.MANIFEST, {}, signal);
  return loudnessOfManifest(await response.json());
}
