// The events of all jobs of one service, across disconnects.

import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import type { JobEvent } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import type { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";

const HEARTBEAT_SECONDS = 20;
const SILENCE_MS = 3 * HEARTBEAT_SECONDS * 1000;
const MAX_BACKOFF_MS = 10_000;

/** Milliseconds before the next stream, after `failures` that brought nothing. */
export function backoffMs(failures: number, retryAfterMs: number | undefined): number {
  return Math.max(Math.min(500 * 2 ** failures, MAX_BACKOFF_MS), retryAfterMs ?? 0);
}

export class JobsWatch {
  private cursor = "";
  private running: AbortController | undefined;

  constructor(
    private readonly jobs: Client<typeof JobsService>,
    private readonly onEvent: (event: JobEvent) => void,
  ) {}

  /** Watch from the next event on, or after the last event before `stop`. */
  start(): void {
    if (this.running !== undefined) return;
    const controller = new AbortController();
    this.running = controller;
    void this.watch(controller.signal);
  }

  stop(): void {
    this.running?.abort();
    this.running = undefined;
  }

  private async watch(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.readStream(signal, () => {
          failures = 0;
        });
      } catch (thrown) {
        const { code, reason, retryAfterMs } = callError(thrown);
        // A new credential starts the watch anew; without the method or the right there is nothing to watch.
        if (code === Code.Unauthenticated || code === Code.PermissionDenied || code === Code.Unimplemented) return;
        if (reason === "INVALID_TOKEN") this.cursor = "";
        await sleep(backoffMs(failures, retryAfterMs), signal);
        failures += 1;
      }
    }
  }

  /** Throws when the stream ends, which it does not by itself. */
  private async readStream(outer: AbortSignal, onMessage: () => void): Promise<never> {
    const stream = new AbortController();
    const abort = (): void => stream.abort();
    outer.addEventListener("abort", abort);
    let silence = setTimeout(abort, SILENCE_MS);
    try {
      const request = { cursor: this.cursor, heartbeatSeconds: HEARTBEAT_SECONDS };
      for await (const { event } of this.jobs.watchJobs(request, { signal: stream.signal })) {
        clearTimeout(silence);
        silence = setTimeout(abort, SILENCE_MS);
        onMessage();
        if (event === undefined || outer.aborted) continue;
        this.cursor = event.cursor;
        this.onEvent(event);
      }
      throw new ConnectError("the stream has ended", Code.Unavailable);
    } finally {
      clearTimeout(silence);
      outer.removeEventListener("abort", abort);
      abort();
    }
  }
}

function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
