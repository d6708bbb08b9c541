// Drift reports of re-rendered versions. A stored manifest never changes, so each is fetched once.

import type { Job, Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { useEffect, useState } from "react";

import { fetchStored } from "../download/fetch_stored";
import { parseJson } from "../download/json";
import { type DriftReport, driftReport } from "./drift_report";

export interface FetchedReport {
  /** undefined while it loads, and for versions without a report. */
  readonly report: DriftReport | undefined;
  readonly problem: unknown;
  readonly isLoading: boolean;
}

const MAX_KEPT = 100;
const kept = new Map<string, DriftReport | undefined>();
const LOADING: FetchedReport = { report: undefined, problem: undefined, isLoading: true };
const NONE: FetchedReport = { report: undefined, problem: undefined, isLoading: false };

/** The report of a version: none for an original, and before its files are stored. */
export function useDriftReport(job: Pick<Job, "jobId" | "owner">, version: Version): FetchedReport {
  const { jobId, owner } = job;
  const { number, baseVersion } = version;
  const digest = baseVersion === 0 || version.deleteTime !== undefined ? "" : (version.files?.manifest?.sha256 ?? "");
  const [fetched, setFetched] = useState<FetchedReport & { readonly digest: string }>({ ...NONE, digest: "" });
  useEffect(() => {
    if (digest === "" || kept.has(digest)) return undefined;
    const leaving = new AbortController();
    const file = { job: { jobId, owner }, version: number, kind: FileKind.MANIFEST };
    fetchStored(file, { signal: leaving.signal })
      .then((bytes) => {
        const report = driftReport(parseJson(new TextDecoder().decode(bytes)));
        if (kept.size >= MAX_KEPT) kept.clear();
        kept.set(digest, report);
        setFetched({ report, problem: undefined, isLoading: false, digest });
      })
      .catch((thrown: unknown) => {
        if (!leaving.signal.aborted) setFetched({ report: undefined, problem: thrown, isLoading: false, digest });
      });
    return () => leaving.abort();
  }, [jobId, owner, number, digest]);
  if (digest === "") return NONE;
  if (kept.has(digest)) return { report: kept.get(digest), problem: undefined, isLoading: false };
  return fetched.digest === digest ? fetched : LOADING;
}
