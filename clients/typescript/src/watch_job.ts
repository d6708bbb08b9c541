// Watches a job across disconnects: every event once, in order.

import { Code, ConnectError, type Client } from "@connectrpc/connect";
import { setTimeout as sleep } from "node:timers/promises";

import type { JobEvent } from "./gen/sonichaos/jobs/v1/job_pb.js";
import type { JobsService } from "./gen/sonichaos/jobs/v1/jobs_service_pb.js";

/** Options of `watchJob`. */
export interface WatchOptions {
  /** The version whose final state ends the watch. 0: the newest version at the time of the call. Default: 0. */
  readonly version?: number;
  /** Sequence number of the last event that the caller has. Default: 0, for all events. */
  readonly afterSequence?: bigint;
  /** Called after each disconnect with the sequence number that the next stream resumes after. */
  readonly onDisconnect?: (afterSequence: bigint, reason: string) => void;
  /** Returns a signal that aborts the stream about to be opened. Streams are counted from 0. */
  readonly signalFor?: (stream: number) => AbortSignal | undefined;
  /** Number of consecutive disconnects without a new event after which the error is thrown. Default: 20. */
  readonly maxRetries?: number;
}

const INITIAL_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 5000;
// A proxy or a stopping server ends a stream with one of these; an aborted signal ends it with Canceled.
const DISCONNECTS: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Canceled, Code.Aborted, Code.Unknown]);

/** Yields the events of a job until the version reaches a final state. Reopens a broken stream after the last event. */
export async function* watchJob(
  jobs: Client<typeof JobsService>,
  jobId: string,
  options: WatchOptions = {},
): AsyncGenerator<JobEvent> {
  let afterSequence = options.afterSequence ?? 0n;
  let retries = 0;
  for (let stream = 0; ; stream += 1) {
    const signal = options.signalFor?.(stream);
    const request = { jobId, version: options.version ?? 0, afterSequence };
    try {
      for await (const { event } of jobs.watchJob(request, signal === undefined ? {} : { signal })) {
        if (event === undefined || event.sequence <= afterSequence) continue;
        afterSequence = event.sequence;
        retries = 0;
        yield event;
      }
      return;
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      retries += 1;
      if (!DISCONNECTS.has(error.code) || retries > (options.maxRetries ?? 20)) throw error;
      options.onDisconnect?.(afterSequence, error.message);
      await sleep(Math.min(INITIAL_BACKOFF_MS * 2 ** (retries - 1), MAX_BACKOFF_MS));
    }
  }
}
