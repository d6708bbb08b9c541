// Watches a job across disconnects: every event once, in order.

import { type Client, Code, ConnectError } from "@connectrpc/connect";

import { callError } from "./call_error.js";
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
  /** Ends the watch with the code Canceled. Leaving the loop ends it too. The job continues either way. */
  readonly signal?: AbortSignal;
  /** Number of consecutive disconnects without an event or heartbeat after which the error is thrown. Default: 20. */
  readonly maxRetries?: number;
  /** Seconds of silence after which the service sends a heartbeat. After three times as many the stream is reopened. Default: 20. */
  readonly heartbeatSeconds?: number;
}

const INITIAL_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 5000;
const MAX_RETRY_DELAY_MS = 120_000;
const HEARTBEAT_SECONDS = 20; // below the 60 s after which nginx and others end a quiet stream
const MISSED_HEARTBEATS = 3;
// The codes with which proxies, HTTP/2 libraries and dying processes end a stream.
// docs/errors.md and the Python client have the same lists.
const ALWAYS_RESUMABLE: ReadonlySet<Code> = new Set([Code.Unavailable]);
const RESUMABLE_WITHOUT_REASON: ReadonlySet<Code> = new Set([Code.Aborted, Code.Canceled, Code.Internal, Code.Unknown]);

/** Whether a stream that ended with the error may be resumed. An error that a service raised has a reason. */
function isResumable(thrown: ConnectError): boolean {
  const { code, reason, retryAfterMs } = callError(thrown);
  if (ALWAYS_RESUMABLE.has(code) || retryAfterMs !== undefined) return true;
  return RESUMABLE_WITHOUT_REASON.has(code) && reason === "";
}

/** Yields the events of a job until the version reaches a final state. Reopens a broken stream after the last event. */
export async function* watchJob(
  jobs: Client<typeof JobsService>,
  jobId: string,
  options: WatchOptions = {},
): AsyncGenerator<JobEvent, void, undefined> {
  const heartbeatSeconds = options.heartbeatSeconds ?? HEARTBEAT_SECONDS;
  let afterSequence = options.afterSequence ?? 0n;
  let retries = 0;
  for (;;) {
    const stream = new LiveStream(heartbeatSeconds * MISSED_HEARTBEATS * 1000, options.signal);
    const request = { jobId, version: options.version ?? 0, afterSequence, heartbeatSeconds };
    let accepted = false;
    try {
      for await (const { event } of jobs.watchJob(request, { signal: stream.signal })) {
        accepted = true;
        stream.stopWaiting(); // the caller may take its time
        if (event === undefined) {
          retries = 0; // a heartbeat
        } else if (event.sequence > afterSequence) {
          afterSequence = event.sequence;
          retries = 0;
          yield event;
        }
        stream.wait();
      }
      return;
    } catch (thrown) {
      const error = stream.errorOf(thrown);
      retries += 1;
      // A stream that was accepted ends so when its token expires. If there is no new one, the next stream is refused at once.
      const identityEnded = accepted && error.code === Code.Unauthenticated;
      const isOver = options.signal?.aborted === true || retries > (options.maxRetries ?? 20);
      if (isOver || !(identityEnded || isResumable(error))) throw error;
      options.onDisconnect?.(afterSequence, error.message);
      const backoffMs = Math.min(INITIAL_BACKOFF_MS * 2 ** (retries - 1), MAX_BACKOFF_MS);
      await sleep(
        Math.min(Math.max(backoffMs, callError(error).retryAfterMs ?? 0), MAX_RETRY_DELAY_MS),
        options.signal,
      );
    } finally {
      stream.close();
    }
  }
}

/** One stream: aborted by the caller's signal, by silence, and when the caller leaves the loop. */
class LiveStream {
  private readonly controller = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly abort = (): void => this.controller.abort();

  constructor(
    private readonly silenceMs: number,
    private readonly outer: AbortSignal | undefined,
  ) {
    if (outer?.aborted === true) this.abort();
    outer?.addEventListener("abort", this.abort);
    this.wait();
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Waits for the next message. Without heartbeats without a limit. */
  wait(): void {
    this.stopWaiting();
    if (this.silenceMs > 0) this.timer = setTimeout(() => this.controller.abort(this.silence()), this.silenceMs);
  }

  /** Silence is no cancellation by the caller. */
  errorOf(thrown: unknown): ConnectError {
    const { reason } = this.signal as { reason: unknown };
    return reason instanceof ConnectError ? reason : ConnectError.from(thrown);
  }

  stopWaiting(): void {
    clearTimeout(this.timer);
  }

  close(): void {
    this.stopWaiting();
    this.outer?.removeEventListener("abort", this.abort);
    this.abort();
  }

  private silence(): ConnectError {
    return new ConnectError(`no message for ${this.silenceMs / 1000} s`, Code.Unavailable);
  }
}

/** Rejects with the code Canceled if the signal is aborted. */
function sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timer);
      reject(new ConnectError("the watch was ended by its caller", Code.Canceled));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", cancel);
      resolve();
    }, delayMs);
    signal?.addEventListener("abort", cancel, { once: true });
  });
}
