// The listed jobs of both services, kept up to date by their events.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useCallback, useEffect, useRef, useState } from "react";

import { renderJobs, separationJobs } from "../api/calls";
import { onBearerChange } from "../api/session";
import { formatFilters, type LibraryFilters, listFields, parseFilters } from "./filters";
import { withJob, withNewest, withoutJob } from "./job_list";
import { MergedJobs } from "./merged_jobs";
import { useLiveJobs } from "./use_live_jobs";

const PAGE_SIZE = 30;
const SERVICES = [renderJobs, separationJobs];

export interface Library {
  readonly jobs: readonly Job[];
  readonly loading: boolean;
  readonly hasMore: boolean;
  /** What the services have thrown: their jobs are missing. */
  readonly problems: readonly unknown[];
  readonly loadMore: () => void;
  readonly reload: () => void;
  readonly remove: (jobId: string) => void;
}

interface Listing {
  readonly jobs: readonly Job[];
  readonly loading: boolean;
  readonly hasMore: boolean;
  readonly problems: readonly unknown[];
}

const EMPTY: Listing = { jobs: [], loading: true, hasMore: false, problems: [] };

function jobsOfBoth(query: string): MergedJobs {
  const fields = listFields(parseFilters(query));
  return new MergedJobs(
    SERVICES.map((service) => (pageToken) => service.listJobs({ ...fields, pageSize: PAGE_SIZE, pageToken })),
  );
}

export function useLibrary(filters: LibraryFilters): Library {
  const [listing, setListing] = useState(EMPTY);
  const merged = useRef<MergedJobs>(undefined);
  const query = formatFilters(filters);

  const load = useCallback(async (source: MergedJobs): Promise<void> => {
    setListing((before) => ({ ...before, loading: true }));
    const page = await source.next(PAGE_SIZE);
    if (merged.current !== source) return; // the filters have changed meanwhile
    setListing((before) => ({
      // An event may have brought one of them before.
      jobs: page.reduce((jobs, job) => withJob(jobs, job, false), before.jobs),
      loading: false,
      hasMore: source.hasMore,
      problems: source.problems,
    }));
  }, []);

  const list = useCallback(
    (listedQuery: string): void => {
      const source = jobsOfBoth(listedQuery);
      merged.current = source;
      setListing(EMPTY);
      void load(source);
    },
    [load],
  );
  useEffect(() => {
    list(query);
    return onBearerChange(() => list(query)); // another caller has other jobs
  }, [list, query]);

  const change = useCallback((edit: (jobs: readonly Job[], hasMore: boolean) => readonly Job[]): void => {
    setListing((before) => ({ ...before, jobs: edit(before.jobs, before.hasMore) }));
  }, []);
  const refreshNewest = useCallback(async (): Promise<void> => {
    const listed = merged.current;
    const source = jobsOfBoth(query);
    const page = await source.next(PAGE_SIZE);
    if (merged.current === listed && source.problems.length === 0)
      change((jobs) => withNewest(jobs, page, !source.hasMore));
  }, [query, change]);
  useLiveJobs(listing.jobs, filters, change, refreshNewest);

  return {
    ...listing,
    loadMore: () => {
      if (merged.current !== undefined && !listing.loading) void load(merged.current);
    },
    reload: () => list(query),
    remove: (jobId) => change((jobs) => withoutJob(jobs, jobId)),
  };
}
