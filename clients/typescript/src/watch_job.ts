// Watches a job across disconnects: every event once, in order.

import { Code, ConnectError, type Client } from "@connectrpc/connect";
import { setTimeout as sleep } from "node:timers/promises";

import { ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";
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
const MAX_RETRY_DELAY_MS = 120_000;
const HEARTBEAT_SECONDS = 20; // below the 60 s after which nginx and others end a quiet stream
// The codes with which proxies, HTTP/2 libraries and dying processes end a stream; an aborted signal ends it with Canceled.
// docs/errors.md and the Python client have the same lists.
const ALWAYS_RESUMABLE: ReadonlySet<Code> = new Set([Code.Unavailable]);
const RESUMABLE_WITHOUT_REASON: ReadonlySet<Code> = new Set([Code.Aborted, Code.Canceled, Code.Internal, Code.Unknown]);

/** Whether a stream that ended with the error may be resumed. An error that a service raised has a reason. */
function isResumable(error: ConnectError): boolean {
  if (ALWAYS_RESUMABLE.has(error.code) || error.findDetails(RetryInfoSchema).length > 0) return true;
  return RESUMABLE_WITHOUT_REASON.has(error.code) && error.findDetails(ErrorInfoSchema).length === 0;
}

/** Milliseconds that the service asks a caller to wait. */
function retryDelayMs(error: ConnectError): number {
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  return delay === undefined ? 0 : Number(delay.seconds) * 1000 + delay.nanos / 1e6;
}

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
    let accepted = false;
    const request = { jobId, version: options.version ?? 0, afterSequence, heartbeatSeconds: HEARTBEAT_SECONDS };
    try {
      for await (const { event } of jobs.watchJob(request, signal === undefined ? {} : { signal })) {
        accepted = true;
        if (event === undefined || event.sequence <= afterSequence) continue;
        afterSequence = event.sequence;
        retries = 0;
        yield event;
      }
      return;
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      retries += 1;
      // A stream that was accepted ends so when its token expires. If there is no new one, the next stream is refused at once.
      const identityEnded = accepted && error.code === Code.Unauthenticated;
      if (!(identityEnded || isResumable(error)) || retries > (options.maxRetries ?? 20)) throw error;
      options.onDisconnect?.(afterSequence, error.message);
      const backoffMs = Math.min(INITIAL_BACKOFF_MS * 2 ** (retries - 1), MAX_BACKOFF_MS);
      await sleep(Math.min(Math.max(backoffMs, retryDelayMs(error)), MAX_RETRY_DELAY_MS));
    }
  }
}
