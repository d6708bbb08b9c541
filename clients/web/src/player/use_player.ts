// The engine of a mounted player, and what it shows.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { jobsOf } from "../api/calls";
import type { LaneName } from "./engine/mix";
import { PlayerEngine } from "./engine/player_engine";
import type { Take } from "./engine/player_state";
import type { FileLoudness } from "./manifest_loudness";
import { fetchLoudness, type JobRef, takeAudioOf, takeKey } from "./take_audio";

/** The peaks of one file: -1 to 1. */
export interface Peaks {
  readonly minima: Float32Array;
  readonly maxima: Float32Array;
}

const PEAK_POINTS = 8192;
const FULL_SCALE = 32_768;

/** What calls need of a job; the same object as long as it is the same job. */
export function useJobRef({ jobId, owner }: Job): JobRef {
  return useMemo(() => ({ jobId, owner }), [jobId, owner]);
}

/** An engine for as long as the component is mounted. */
export function useEngine(take: Take | undefined): PlayerEngine {
  const [engine] = useState(() => new PlayerEngine());
  useEffect(() => () => engine.close(), [engine]);
  useEffect(() => {
    if (take !== undefined) engine.setTake(take);
  }, [engine, take]);
  return engine;
}

export function usePlayerState(engine: PlayerEngine) {
  return useSyncExternalStore(engine.subscribe, engine.getState);
}

/** The audio of a job's version; the same object until its files change. */
export function useTakeAudio(job: Job, version: number, against: number | undefined): Take | undefined {
  const now = takeAudioOf(job, version, against);
  const key = `${job.jobId} ${takeKey(now)}`;
  const kept = useRef({ key, take: now });
  if (kept.current.key !== key) kept.current = { key, take: now };
  return kept.current.take;
}

/** The peaks of all files of the versions, by SHA-256. Without them the lanes stay flat. */
export function usePeaks(job: JobRef, take: Take | undefined): ReadonlyMap<string, Peaks> {
  const [peaks, setPeaks] = useState<ReadonlyMap<string, Peaks>>(new Map());
  useEffect(() => {
    const abort = new AbortController();
    for (const version of [take?.main.version, take?.against?.version]) {
      if (version === undefined) continue;
      jobsOf(job)
        .getWaveforms({ jobId: job.jobId, version, points: PEAK_POINTS }, { signal: abort.signal })
        .then(({ waveforms }) => {
          const scaled = (values: readonly number[]) => Float32Array.from(values, (value) => value / FULL_SCALE);
          const found = waveforms.map(
            (one) => [one.sha256, { minima: scaled(one.minima), maxima: scaled(one.maxima) }] as const,
          );
          setPeaks((before) => new Map([...before, ...found]));
        })
        .catch(() => undefined);
    }
    return () => abort.abort();
  }, [job, take]);
  return peaks;
}

/** The largest sample of all files, so that their waveforms fill the lanes and stay comparable. 1 without peaks. */
export function highestPeak(peaks: ReadonlyMap<string, Peaks>): number {
  let highest = 0;
  for (const { minima, maxima } of peaks.values()) {
    for (const value of minima) highest = Math.max(highest, -value);
    for (const value of maxima) highest = Math.max(highest, value);
  }
  return highest || 1;
}

/** Loudness of the files of a version. Nothing until its manifest has come. */
export function useLoudness(
  job: JobRef,
  version: number,
  stemsReady: boolean,
): Partial<Record<LaneName, FileLoudness>> {
  const [loudness, setLoudness] = useState<Partial<Record<LaneName, FileLoudness>>>({});
  useEffect(() => {
    const abort = new AbortController();
    setLoudness({});
    if (stemsReady)
      fetchLoudness(job, version, abort.signal)
        .then(setLoudness)
        .catch(() => undefined);
    return () => abort.abort();
  }, [job, version, stemsReady]);
  return loudness;
}
