// The events of both services, applied to the list of jobs.

import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import { EventKind, type Job, type JobEvent } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { useEffect, useEffectEvent } from "react";

import { renderJobs, separationJobs } from "../api/calls";
import { onBearerChange } from "../api/session";
import { mergeEvent, needsRead } from "../job/merge_event";
import { isListed, type LibraryFilters } from "./filters";
import { isDeletable, withJob, withoutJob } from "./job_list";
import { JobsWatch } from "./jobs_watch";

const FLUSH_MS = 500;
const MAX_READS_PER_FLUSH = 8;
const REFRESH_MS = 20_000;
const NEWEST_MS = 3000;
const SERVICES = [renderJobs, separationJobs];

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

/** Applies events in batches, so that a busy service does not render the list at each step of its work. */
export function useLiveJobs(
  jobs: readonly Job[],
  filters: LibraryFilters,
  change: (edit: (jobs: readonly Job[], hasMore: boolean) => readonly Job[]) => void,
  refreshNewest: () => Promise<void>,
): void {
  const shown = useEffectEvent(() => ({ jobs, filters }));
  const newest = useEffectEvent(refreshNewest);
  useEffect(() => {
    const progress = new Map<string, JobEvent>();
    const stale = new Set<string>();
    const deleted = new Set<string>();
    const onEvent = (event: JobEvent): void => {
      if (event.kind === EventKind.DELETED) {
        deleted.add(event.jobId);
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
        // One that is not listed is read when its state changes: it may be listed then.
        if (known !== undefined && needsRead(known, event)) stale.add(event.jobId);
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
        const isShown = job !== undefined && !deleted.has(jobId) && isListed(job, shown().filters);
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
    const onVisibility = (): void => {
      watchIfVisible();
      if (!document.hidden) void newest();
    };
    const restart = (): void => {
      for (const watch of watches) watch.stop();
      watchIfVisible();
    };
    watchIfVisible();
    // What was accepted between the list and the start of the watch is in neither.
    const newestTimer = setTimeout(() => void newest(), NEWEST_MS);
    document.addEventListener("visibilitychange", onVisibility);
    const forgetBearer = onBearerChange(restart);
    const flushTimer = setInterval(flush, FLUSH_MS);
    const refreshTimer = setInterval(refresh, REFRESH_MS);
    return () => {
      for (const watch of watches) watch.stop();
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(newestTimer);
      forgetBearer();
      clearInterval(flushTimer);
      clearInterval(refreshTimer);
    };
  }, [change]);
}
