// Loudness of the files of a version, as its manifest states it.

import { type LaneName, STEMS } from "./engine/mix";

/** Loudness of one file. Not set for silence. */
export interface FileLoudness {
  readonly lufs: number | undefined;
  readonly truePeakDbtp: number | undefined;
}

/** Loudness in a manifest: in `bounce`, and for each stem in `stems.files`. */
export function loudnessOfManifest(manifest: unknown): Partial<Record<LaneName, FileLoudness>> {
  const found: Partial<Record<LaneName, FileLoudness>> = { bounce: loudnessOf(fieldOf(manifest, "bounce")) };
  const files = fieldOf(fieldOf(manifest, "stems"), "files");
  for (const stem of STEMS) found[stem] = loudnessOf(fieldOf(files, stem));
  return found;
}

function loudnessOf(facts: unknown): FileLoudness {
  return { lufs: numberOf(fieldOf(facts, "lufs")), truePeakDbtp: numberOf(fieldOf(facts, "truePeakDbtp")) };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}
