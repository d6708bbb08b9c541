// The listed jobs of both services, kept up to date by their events.

import type { Job } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useCallback, useEffect, useRef, useState } from "react";

import { renderJobs, separationJobs } from "../api/calls";
import { onBearerChange } from "../api/session";
import { formatFilters, isListed, type LibraryFilters, listFields, parseFilters } from "./filters";
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

function listingOf(source: MergedJobs, jobs: readonly Job[]): Listing {
  return { jobs, loading: false, hasMore: source.hasMore, problems: source.problems };
}

export function useLibrary(filters: LibraryFilters): Library {
  const [listing, setListing] = useState(EMPTY);
  const merged = useRef<MergedJobs>(undefined);
  const query = formatFilters(filters);

  const loadMore = useCallback(async (source: MergedJobs): Promise<void> => {
    setListing((before) => ({ ...before, loading: true }));
    const page = await source.next(PAGE_SIZE);
    if (merged.current !== source) return; // the filters have changed meanwhile
    // An event may have brought one of them before.
    setListing((before) =>
      listingOf(
        source,
        page.reduce((jobs, job) => withJob(jobs, job, false), before.jobs),
      ),
    );
  }, []);

  /** What was listed before stays until the answer comes. */
  const list = useCallback(async (listedQuery: string): Promise<void> => {
    const source = jobsOfBoth(listedQuery);
    merged.current = source;
    setListing((before) => ({ ...before, loading: true, hasMore: true, problems: [] }));
    const page = await source.next(PAGE_SIZE);
    if (merged.current !== source) return;
    const listed = parseFilters(listedQuery);
    const newest = page[0]?.jobId ?? "";
    // What an event has brought since the services have answered.
    const arrived = (job: Job): boolean => job.jobId > newest && isListed(job, listed);
    setListing((before) => listingOf(source, [...before.jobs.filter(arrived), ...page]));
  }, []);
  useEffect(() => {
    void list(query);
    return onBearerChange(() => {
      setListing(EMPTY); // another caller has other jobs
      void list(query);
    });
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
      if (merged.current !== undefined && !listing.loading) void loadMore(merged.current);
    },
    reload: () => void list(query),
    remove: (jobId) => change((jobs) => withoutJob(jobs, jobId)),
  };
}
