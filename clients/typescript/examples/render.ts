// Renders a take with stems and downloads its ZIP. Disconnects its own event stream once, on purpose, and checks that no event is
// lost or repeated. Prints progress on stderr and one JSON object on stdout.
//
// SONICHAOS_CA, SONICHAOS_API_KEY and the other variables of the sonichaos command name its credentials.
//
//   npm run build && npm run render -- --persona neon-drift --prompt "slow dusty boom bap" --seconds 8 --out out

import { createClient } from "@connectrpc/connect";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { connect, credentialsFromEnvironment } from "../src/credentials.js";
import { fetchFile } from "../src/fetch_file.js";
import { EventKind, JobState, Stage, type JobEvent } from "../src/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind, JobsService } from "../src/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "../src/gen/sonichaos/render/v1/render_pb.js";
import { watchJob } from "../src/watch_job.js";

const { values: options } = parseArgs({
  options: {
    "render-address": { type: "string", default: process.env["SONICHAOS_RENDER_ADDRESS"] ?? "127.0.0.1:50071" },
    prompt: { type: "string", default: "slow dusty boom bap with a warm bass" },
    persona: { type: "string" },
    seed: { type: "string", default: "7" },
    seconds: { type: "string", default: "8" },
    "disconnect-after": { type: "string", default: "3" },
    out: { type: "string", default: "out" },
  },
});
const disconnectAfter = Number(options["disconnect-after"]);

const credentials = credentialsFromEnvironment();
const connection = connect(options["render-address"], credentials);
const renders = createClient(RenderService, connection.transport);
const jobs = createClient(JobsService, connection.transport);

const personaId = options.persona ?? (await renders.listPersonas({})).personas[0]?.id ?? "";
const { job } = await renders.createRender({
  brief: {
    prompt: options.prompt,
    personaId,
    seed: Number(options.seed),
    seconds: Number(options.seconds),
    stems: true,
  },
});
if (job === undefined) throw new Error("CreateRenderResponse must have a job, got none");

const disconnect = new AbortController();
const sequences: bigint[] = [];
let disconnects = 0;
let bounceReady = false;

function show(event: JobEvent): void {
  sequences.push(event.sequence);
  bounceReady ||= event.kind === EventKind.BOUNCE_READY;
  if (event.kind === EventKind.PROGRESS) {
    console.error(`${event.sequence} ${Stage[event.stage]} ${(100 * event.fraction).toFixed(0)} %`);
  }
  if (sequences.length === disconnectAfter) disconnect.abort();
}

const events = watchJob(jobs, job.jobId, {
  version: 1,
  signalFor: (stream) => (stream === 0 ? disconnect.signal : undefined),
  onDisconnect: (afterSequence, reason) => {
    disconnects += 1;
    console.error(`disconnected after event ${afterSequence} (${reason}), resuming`);
  },
});
for await (const event of events) show(event);

// The events of the interrupted watch must be those of a second watch from the start.
const expected: bigint[] = [];
for await (const event of watchJob(jobs, job.jobId, { version: 1 })) expected.push(event.sequence);
if (disconnects === 0) throw new Error(`expected a disconnect after event ${disconnectAfter}, got none`);
if (sequences.join() !== expected.join()) throw new Error(`expected events ${expected.join()}, got ${sequences.join()}`);
if (!bounceReady) throw new Error("expected a BOUNCE_READY event, got none");

const version = (await jobs.getJob({ jobId: job.jobId })).job?.versions[0];
if (version?.state !== JobState.DONE) {
  throw new Error(`${job.jobId}: expected DONE, got ${JobState[version?.state ?? 0]}: ${version?.error?.message}`);
}

const signed = await jobs.createSignedUrl({ jobId: job.jobId, version: 1, kind: FileKind.ZIP });
await mkdir(options.out, { recursive: true });
if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/.test(job.jobId)) throw new Error(`expected a plain job id, got ${job.jobId}`);
const path = join(options.out, `${job.jobId}-v1.zip`);
await fetchFile(signed, path, credentials.ca);
console.log(
  JSON.stringify({
    jobId: job.jobId,
    events: sequences.length,
    disconnects,
    path,
    sizeBytes: Number(signed.file?.sizeBytes),
    sha256: signed.file?.sha256,
  }),
);
connection.close();
