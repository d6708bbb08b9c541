// node client_pings.js ADDRESS JOB_ID SECONDS: pings every 10 s for so many seconds, on one connection with a call and on one without,
// and prints how that ended as one JSON object. The job must not end. All other options are the client's defaults.

import { setTimeout as sleep } from "node:timers/promises";
import { ConnectError, createClient } from "@connectrpc/connect";
import { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { connect, DEFAULT_SESSION } from "@sonichaos/client/node";

const [address = "", jobId = "", seconds = ""] = process.argv.slice(2);
const session = { ...DEFAULT_SESSION, pingIntervalMs: 10_000, pingIdleConnection: true };
const idle = connect(address, {}, { session });
const busy = connect(address, {}, { session });

/** Follows the job until the time is over; the code that the call ends with. */
async function follow(): Promise<number> {
  const events = createClient(JobsService, busy.transport).watchJob({ jobId }, { timeoutMs: Number(seconds) * 1000 });
  try {
    for await (const _ of events);
  } catch (thrown) {
    return ConnectError.from(thrown).code;
  }
  return 0;
}

/** Makes a call, then none until the time is over, then another. */
async function rest(): Promise<void> {
  const jobs = createClient(JobsService, idle.transport);
  await jobs.getJob({ jobId });
  await sleep(Number(seconds) * 1000);
  await jobs.getJob({ jobId });
}

const [watchCode] = await Promise.all([follow(), rest()]);
console.log(JSON.stringify({ watchCode, idleConnected: true }));
idle.close();
busy.close();
