import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import type { WatchJobsRequest } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { describe, expect, it } from "vitest";

import { backoffMs, JobsWatch } from "./jobs_watch";

/** A JobsService whose first stream breaks after two events, and whose later ones go on after the cursor. */
function watching(onRequest: (request: WatchJobsRequest) => void) {
  const transport = createRouterTransport(({ rpc }) => {
    rpc(JobsService.method.watchJobs, async function* (request, { signal }) {
      onRequest(request);
      const first = Number(request.cursor || "0") + 1;
      for (let number = first; number < first + 2; number += 1)
        yield { event: { jobId: "j-1", sequence: BigInt(number), cursor: String(number) } };
      if (first === 1) throw new ConnectError("restarting", Code.Unavailable);
      yield {}; // a heartbeat
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
  });
  return createClient(JobsService, transport);
}

async function take(count: number): Promise<{ cursors: string[]; sequences: bigint[] }> {
  const cursors: string[] = [];
  const sequences: bigint[] = [];
  await new Promise<void>((resolve) => {
    const watch = new JobsWatch(
      watching(({ cursor }) => cursors.push(cursor)),
      ({ sequence }) => {
        sequences.push(sequence);
        if (sequences.length < count) return;
        watch.stop();
        resolve();
      },
    );
    watch.start();
    watch.start(); // has no effect while it runs
  });
  return { cursors, sequences };
}

describe("the watch over all jobs", () => {
  it("resumes a broken stream after the last event: each event once", async () => {
    const { cursors, sequences } = await take(4);
    expect(sequences).toEqual([1n, 2n, 3n, 4n]);
    expect(cursors).toEqual(["", "2"]);
  });

  it("waits longer after each failure, up to a limit, and as long as the service asks", () => {
    expect(backoffMs(1, undefined)).toBeGreaterThan(backoffMs(0, undefined));
    expect(backoffMs(40, undefined)).toBe(10_000);
    expect(backoffMs(0, 25_000)).toBe(25_000);
  });
});
