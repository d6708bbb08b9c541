// Follow a job's events through cuts: each once, in order.

import { Code, ConnectError, type Client } from "@connectrpc/connect";
import { setTimeout as sleep } from "node:timers/promises";

import type { JobEvent } from "./gen/sonichaos/jobs/v1/job_pb.js";
import type { JobsService } from "./gen/sonichaos/jobs/v1/jobs_service_pb.js";

/** Where a follow begins, how it is cut short on purpose, and how patient it is. */
export interface FollowOptions {
  /** The version whose end ends the follow; 0: the newest at the time of the call. */
  readonly version?: number;
  /** Only events with a greater number. */
  readonly afterSequence?: bigint;
  /** Told after each cut, with the number from which the next stream goes on. */
  readonly onCut?: (afterSequence: bigint, reason: string) => void;
  /** Gives the signal that aborts the stream about to be opened, counted from 0. */
  readonly signalFor?: (stream: number) => AbortSignal | undefined;
  /** Cuts in a row that bring nothing before the error is thrown. */
  readonly mostFruitlessCuts?: number;
}

// A proxy or a dying process ends a stream with one of these; an aborted one with Canceled.
const CUTS: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Canceled, Code.Aborted, Code.Unknown]);

/** The events of a job until the version ends; a cut stream is opened again after the last number seen. */
export async function* followJob(
  jobs: Client<typeof JobsService>,
  jobId: string,
  options: FollowOptions = {},
): AsyncGenerator<JobEvent> {
  let afterSequence = options.afterSequence ?? 0n;
  let fruitless = 0;
  for (let stream = 0; ; stream += 1) {
    const signal = options.signalFor?.(stream);
    const request = { jobId, version: options.version ?? 0, afterSequence };
    try {
      for await (const { event } of jobs.watchJob(request, signal === undefined ? {} : { signal })) {
        if (event === undefined || event.sequence <= afterSequence) continue;
        afterSequence = event.sequence;
        fruitless = 0;
        yield event;
      }
      return;
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      fruitless += 1;
      if (!CUTS.has(error.code) || fruitless > (options.mostFruitlessCuts ?? 20)) throw error;
      options.onCut?.(afterSequence, error.message);
      await sleep(Math.min(200 * 2 ** (fruitless - 1), 5000));
    }
  }
}
