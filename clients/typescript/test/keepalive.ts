// What keepalive pings do to a connection, counted in the frames of HTTP/2.

import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { connect } from "@sonichaos/client/node";

import type { Input } from "./facts.js";

const PING = 6;
const GOAWAY = 7;
const HEADER_BYTES = 9;
const ACK = 1;
const PREFACE_BYTES = 24;
const ENOUGH_PINGS = 4; // the defaults of gRPC end the connection at the third
// Clients ping every 10 s; here they follow each other as fast as the service's own limit (one a second) allows.
const SESSION = { pingIntervalMs: 1_050, pingIdleConnection: true };

/** Connections through a proxy, and the pings and GOAWAY frames on them. */
interface Counts {
  connections: number;
  pings: number;
  acknowledged: number;
  goaways: number;
}

/** Pings with a call, and without one. Each on a connection of its own, until there were enough of them. */
export async function keepalive(address: string, { jobId }: Input): Promise<unknown> {
  const [withCall, withoutCall] = await Promise.all([pinged(address, jobId), pinged(address, undefined)]);
  return { withCall, withoutCall };
}

async function pinged(address: string, waitingJobId: string | undefined): Promise<Counts> {
  const counts: Counts = { connections: 0, pings: 0, acknowledged: 0, goaways: 0 };
  const proxy = await countingProxy(address, counts);
  const { transport, close } = connect(proxy.address, {}, { session: SESSION });
  const jobs = createClient(JobsService, transport);
  const watch = waitingJobId === undefined ? undefined : jobs.watchJob({ jobId: waitingJobId })[Symbol.asyncIterator]();
  await (watch === undefined ? jobs.listJobs({}) : watch.next());
  while (counts.acknowledged < ENOUGH_PINGS && counts.goaways === 0) await sleep(50);
  await jobs.listJobs({});
  const ended = { ...counts };
  close();
  proxy.server.close();
  return ended;
}

async function countingProxy(address: string, counts: Counts): Promise<{ address: string; server: Server }> {
  const [host = "", port = ""] = address.split(":");
  const server = createServer((near) => {
    counts.connections += 1;
    const far = connectSocket(Number(port), host);
    pass(near, far, PREFACE_BYTES, (type, flags) => {
      counts.pings += type === PING && flags !== ACK ? 1 : 0;
    });
    pass(far, near, 0, (type, flags) => {
      counts.acknowledged += type === PING && flags === ACK ? 1 : 0;
      counts.goaways += type === GOAWAY ? 1 : 0;
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error(`expected a port, got ${bound}`);
  return { address: `127.0.0.1:${bound.port}`, server };
}

/** Passes on what `from` sends, and reports each HTTP/2 frame after the first `skip` bytes. */
function pass(from: Socket, to: Socket, skip: number, onFrame: (type: number, flags: number) => void): void {
  let data = Buffer.alloc(0);
  let next = skip;
  from.on("data", (chunk: Buffer) => {
    to.write(chunk);
    data = Buffer.concat([data, chunk]);
    while (data.length >= next + HEADER_BYTES) {
      onFrame(data.readUInt8(next + 3), data.readUInt8(next + 4));
      next += HEADER_BYTES + data.readUIntBE(next, 3);
    }
  });
  from.on("close", () => void to.destroy());
  from.on("error", () => void to.destroy());
}
