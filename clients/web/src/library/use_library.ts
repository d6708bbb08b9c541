// The listed jobs of both services, kept up to date by their events.

import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import { EventKind, type Job, type JobEvent } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useCallback, useEffect, useEffectEvent, useRef, useState } from "react";

import { renderJobs, separationJobs } from "../api/calls";
import { onBearerChange } from "../api/session";
import { mergeEvent, needsRead } from "../job/merge_event";
import { formatFilters, isListed, type LibraryFilters, listFields, parseFilters } from "./filters";
import { isDeletable, withJob, withoutJob } from "./job_list";
import { JobsWatch } from "./jobs_watch";
import { MergedJobs } from "./merged_jobs";

const PAGE_SIZE = 30;
const FLUSH_MS = 500;
const MAX_READS_PER_FLUSH = 8;
const REFRESH_MS = 20_000;
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

/** The job as it is now; undefined once it is deleted. */
async function readJob(jobId: string): Promise<Job | undefined> {
  for (const service of SERVICES) {
    try {
      return (await service.getJob({ jobId })).job;
    } catch (thrown) {
      if (callError(thrown).code !== Code.NotFound) throw thrown;
    }
  }
  return;
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
      const fields = listFields(parseFilters(listedQuery));
      const source = new MergedJobs(
        SERVICES.map((service) => (pageToken) => service.listJobs({ ...fields, pageSize: PAGE_SIZE, pageToken })),
      );
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
  useLiveJobs(listing.jobs, filters, change);

  return {
    ...listing,
    loadMore: () => {
      if (merged.current !== undefined && !listing.loading) void load(merged.current);
    },
    reload: () => list(query),
    remove: (jobId) => change((jobs) => withoutJob(jobs, jobId)),
  };
}

/** Applies events in batches, so that a busy service does not render the list at each step of its work. */
function useLiveJobs(
  jobs: readonly Job[],
  filters: LibraryFilters,
  change: (edit: (jobs: readonly Job[], hasMore: boolean) => readonly Job[]) => void,
): void {
  const shown = useEffectEvent(() => ({ jobs, filters }));
  useEffect(() => {
    const progress = new Map<string, JobEvent>();
    const stale = new Set<string>();
    const onEvent = (event: JobEvent): void => {
      if (event.kind === EventKind.DELETED) {
        stale.delete(event.jobId);
        change((listed) => withoutJob(listed, event.jobId));
      } else if (event.kind === EventKind.PROGRESS) {
        progress.set(`${event.jobId} ${event.version} ${event.track}`, event);
      } else {
        stale.add(event.jobId);
      }
    };
    const applyProgress = (): void => {
      const events = [...progress.values()];
      progress.clear();
      for (const event of events) {
        const known = shown().jobs.find(({ jobId }) => jobId === event.jobId);
        if (known === undefined || needsRead(known, event)) stale.add(event.jobId);
      }
      if (events.length === 0) return;
      change((listed) =>
        listed.map((job) => events.filter(({ jobId }) => jobId === job.jobId).reduce(mergeEvent, job)),
      );
    };
    const readStale = async (jobId: string): Promise<void> => {
      stale.delete(jobId);
      try {
        const job = await readJob(jobId);
        const isShown = job !== undefined && isListed(job, shown().filters);
        change((listed, hasMore) => (isShown ? withJob(listed, job, hasMore) : withoutJob(listed, jobId)));
      } catch {
        // Not reachable now: the next refresh reads it again.
      }
    };
    const flush = (): void => {
      applyProgress();
      for (const jobId of [...stale].slice(0, MAX_READS_PER_FLUSH)) void readStale(jobId);
    };
    const refresh = (): void => {
      if (document.hidden) return;
      for (const job of shown().jobs) if (!isDeletable(job)) stale.add(job.jobId);
    };

    const watches = SERVICES.map((service) => new JobsWatch(service, onEvent));
    // A hidden tab closes its streams: browsers allow six connections to a host over all tabs.
    const watchIfVisible = (): void => {
      for (const watch of watches) document.hidden ? watch.stop() : watch.start();
    };
    const restart = (): void => {
      for (const watch of watches) watch.stop();
      watchIfVisible();
    };
    watchIfVisible();
    document.addEventListener("visibilitychange", watchIfVisible);
    const forgetBearer = onBearerChange(restart);
    const flushTimer = setInterval(flush, FLUSH_MS);
    const refreshTimer = setInterval(refresh, REFRESH_MS);
    return () => {
      for (const watch of watches) watch.stop();
      document.removeEventListener("visibilitychange", watchIfVisible);
      forgetBearer();
      clearInterval(flushTimer);
      clearInterval(refreshTimer);
    };
  }, [change]);
}
