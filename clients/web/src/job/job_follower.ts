// Follows one job for as long as it is wanted: reads it, then watches its events, across lost connections and restarts.

import { type Client, Code } from "@connectrpc/connect";
import { callError, watchJob } from "@sonichaos/client";
import { EventKind, type Job, type JobEvent, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

import { mergeEvent, needsRead } from "./merge_event";
import { openVersion } from "./version_state";

type Jobs = Client<typeof JobsService>;

/** What is known of a job. A new object after each change. */
export interface JobSnapshot {
  /** Not set until the first answer. */
  readonly job: Job | undefined;
  /** What the last call has thrown; undefined once a call succeeds. */
  readonly problem: unknown;
  /** False while the service does not answer and is asked again. */
  readonly connected: boolean;
  /** The caller has no such job; or it had, and the job was deleted since. */
  readonly absent: "unknown" | "deleted" | undefined;
}

const PUBLISH_AFTER_MS = 33;
const READ_TIMEOUT_MS = 15_000;
const QUEUE_POLL_MS = 2000;
const INITIAL_BACKOFF_MS = 500;
const MAX_BACKOFF_MS = 8000;
const HIDDEN_POLL_MS = 5000;
const UNWATCHED: JobSnapshot = { job: undefined, problem: undefined, connected: true, absent: undefined };

/** `services`: JobsService of each service that may own the job, in the order in which they are asked. */
export class JobFollower {
  private current = UNWATCHED;
  private published = UNWATCHED;
  private readonly listeners = new Set<() => void>();
  private publishing: ReturnType<typeof setTimeout> | undefined;
  private stopping = new AbortController();
  private wake: (() => void) | undefined;
  private reading: "idle" | "reading" | "read again" = "idle";
  /** Events since the job was last read: an answer may be older than they are. */
  private recent: JobEvent[] = [];
  private owner: Jobs | undefined;
  private visibility: DocumentVisibilityState = "visible";
  private watching: AbortController | undefined;

  constructor(
    private readonly jobId: string,
    private readonly services: readonly Jobs[],
  ) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.start();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.stop();
    };
  };

  readonly snapshot = (): JobSnapshot => this.published;

  /** Read the job at once, and watch it again if a version was added. */
  readonly refresh = (): void => {
    if (this.wake !== undefined) this.wake();
    else this.readSoon();
  };

  /**
   * Says whether the page can be seen. A hidden page asks for the job now and then and holds no stream: by HTTP/1.1 a browser has six
   * connections to a server, for all tabs.
   */
  readonly setHidden = (hidden: boolean): void => {
    const visibility = hidden ? "hidden" : "visible";
    if (this.visibility === visibility) return;
    this.visibility = visibility;
    if (hidden) this.watching?.abort();
    else this.refresh();
  };

  private start(): void {
    this.stopping = new AbortController();
    this.follow(this.stopping.signal).catch((thrown: unknown) => this.change({ problem: thrown, connected: false }));
  }

  private stop(): void {
    this.stopping.abort();
    clearTimeout(this.publishing);
    this.publishing = undefined;
  }

  private async follow(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        const job = await this.read(signal);
        failures = 0;
        if (job === undefined || openVersion(job) === undefined) await this.pause(signal);
        else if (this.visibility === "hidden") await this.pause(signal, HIDDEN_POLL_MS);
        else await this.watch(job, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        this.change({ problem: thrown, connected: false });
        const waitMs = Math.min(INITIAL_BACKOFF_MS * 2 ** failures, MAX_BACKOFF_MS);
        failures += 1;
        await this.pause(signal, Math.max(waitMs, callError(thrown).retryAfterMs ?? 0));
      }
    }
  }

  /** The job as its owner has it now; undefined if the caller has no such job. */
  private async read(signal: AbortSignal): Promise<Job | undefined> {
    let refused: { readonly thrown: unknown } | undefined;
    for (const jobs of this.owner === undefined ? this.services : [this.owner, ...this.services]) {
      try {
        const { job } = await jobs.getJob({ jobId: this.jobId }, { signal, timeoutMs: READ_TIMEOUT_MS });
        if (job === undefined) continue;
        this.owner = jobs;
        const merged = this.recent.reduce(mergeEvent, job);
        this.recent = this.recent.filter((event) => event.sequence > job.lastSequence);
        this.change({ job: merged, problem: undefined, connected: true, absent: undefined });
        return merged;
      } catch (thrown) {
        if (callError(thrown).code !== Code.NotFound) refused ??= { thrown };
      }
    }
    // A service that does not answer may own the job.
    if (refused !== undefined) throw refused.thrown;
    const absent = this.current.job === undefined ? "unknown" : "deleted";
    this.change({ problem: undefined, connected: true, absent });
    return undefined;
  }

  /** Merges events until the newest open version ends, or the page is hidden. */
  private async watch(job: Job, signal: AbortSignal): Promise<void> {
    const version = openVersion(job)?.number ?? 0;
    const jobs = this.owner;
    if (jobs === undefined) return;
    const poll = setInterval(() => this.pollQueue(), QUEUE_POLL_MS);
    const watching = new AbortController();
    this.watching = watching;
    try {
      const options = {
        version,
        afterSequence: job.lastSequence,
        maxRetries: Number.POSITIVE_INFINITY,
        signal: AbortSignal.any([signal, watching.signal]),
        onDisconnect: () => {
          this.change({ connected: false });
          this.readSoon();
        },
      };
      for await (const event of watchJob(jobs, this.jobId, options)) this.merge(event);
    } catch (thrown) {
      if (signal.aborted || !watching.signal.aborted) throw thrown;
    } finally {
      this.watching = undefined;
      clearInterval(poll);
    }
  }

  private merge(event: JobEvent): void {
    const { job } = this.current;
    if (job === undefined) return;
    this.recent.push(event);
    const mustRead = needsRead(job, event);
    this.change({ job: mergeEvent(job, event), problem: undefined, connected: true });
    if (event.kind === EventKind.DELETED) this.change({ absent: "deleted" });
    else if (mustRead) this.readSoon();
  }

  /** The position in the queue changes without an event of this job. */
  private pollQueue(): void {
    const waits = this.current.job?.versions.some((version) => version.state === JobState.QUEUED) ?? false;
    if (waits || !this.current.connected) this.readSoon();
  }

  /** Reads the job beside the watch; a read that is asked for meanwhile follows it. */
  private readSoon(): void {
    if (this.reading !== "idle") {
      this.reading = "read again";
      return;
    }
    this.reading = "reading";
    const { signal } = this.stopping;
    this.read(signal)
      .then((job) => {
        // A version that was added meanwhile has to be watched.
        if (job !== undefined && openVersion(job) !== undefined) this.wake?.();
      })
      .catch((thrown: unknown) => {
        if (!signal.aborted) this.change({ problem: thrown, connected: false });
      })
      .finally(() => {
        const again = this.reading === "read again" && !signal.aborted;
        this.reading = "idle";
        if (again) this.readSoon();
      });
  }

  /** Until `refresh`, the end of the time, or the end of this follower. */
  private pause(signal: AbortSignal, afterMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        this.wake = undefined;
        resolve();
      };
      const timer = afterMs === undefined ? undefined : setTimeout(end, afterMs);
      signal.addEventListener("abort", end);
      this.wake = end;
      if (signal.aborted) end();
    });
  }

  /** Changes of the same frame are published together. */
  private change(change: Partial<JobSnapshot>): void {
    this.current = { ...this.current, ...change };
    this.publishing ??= setTimeout(() => {
      this.publishing = undefined;
      this.published = this.current;
      for (const listener of this.listeners) listener();
    }, PUBLISH_AFTER_MS);
  }
}
