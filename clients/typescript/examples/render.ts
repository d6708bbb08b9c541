// Renders a take with stems, cuts its own progress stream once on purpose, follows on without losing an event, and fetches
// the ZIP. One JSON object on stdout says what came of it; progress goes to stderr.
//
//   npm run build && npm run render -- --persona neon-drift --prompt "slow dusty boom bap" --seconds 8 --out out

import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { fetchFile } from "../src/fetch_file.js";
import { followJob } from "../src/follow.js";
import { EventKind, JobState, Stage, type JobEvent } from "../src/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind, JobsService } from "../src/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "../src/gen/sonichaos/render/v1/render_pb.js";

const { values: given } = parseArgs({
  options: {
    "render-address": { type: "string", default: process.env["SONICHAOS_RENDER_ADDRESS"] ?? "127.0.0.1:50071" },
    prompt: { type: "string", default: "slow dusty boom bap with a warm bass" },
    persona: { type: "string" },
    seed: { type: "string", default: "7" },
    seconds: { type: "string", default: "8" },
    "cut-after": { type: "string", default: "3" },
    out: { type: "string", default: "out" },
  },
});
const cutAfter = Number(given["cut-after"]);

const baseUrl = `http://${given["render-address"]}`;
const session = new Http2SessionManager(baseUrl);
const transport = createGrpcTransport({ baseUrl, sessionManager: session });
const renders = createClient(RenderService, transport);
const jobs = createClient(JobsService, transport);

const personaId = given.persona ?? (await renders.listPersonas({})).personas[0]?.id ?? "";
const { job } = await renders.createRender({
  brief: { prompt: given.prompt, personaId, seed: Number(given.seed), seconds: Number(given.seconds), stems: true },
});
if (job === undefined) throw new Error("the service accepted the brief without a job");

const cut = new AbortController();
const seen: bigint[] = [];
let cuts = 0;
let bounceReady = false;

function show(event: JobEvent): void {
  seen.push(event.sequence);
  bounceReady ||= event.kind === EventKind.BOUNCE_READY;
  if (event.kind === EventKind.PROGRESS) {
    console.error(`${event.sequence} ${Stage[event.stage]} ${(100 * event.fraction).toFixed(0)} %`);
  }
  if (seen.length === cutAfter) cut.abort();
}

const events = followJob(jobs, job.jobId, {
  version: 1,
  signalFor: (stream) => (stream === 0 ? cut.signal : undefined),
  onCut: (afterSequence, reason) => {
    cuts += 1;
    console.error(`cut after event ${afterSequence} (${reason}), going on from there`);
  },
});
for await (const event of events) show(event);

// What came in two streams must be what one stream from the beginning gives.
const whole: bigint[] = [];
for await (const event of followJob(jobs, job.jobId, { version: 1 })) whole.push(event.sequence);
if (cuts === 0) throw new Error(`the stream was to be cut after event ${cutAfter} and was not`);
if (seen.join() !== whole.join()) throw new Error(`events were lost or doubled: saw ${seen.join()}, wanted ${whole.join()}`);
if (!bounceReady) throw new Error("no event said that the bounce can be played");

const ended = (await jobs.getJob({ jobId: job.jobId })).job?.versions[0];
if (ended?.state !== JobState.DONE) throw new Error(`${job.jobId} ended ${JobState[ended?.state ?? 0]}: ${ended?.error?.message}`);

const signed = await jobs.createSignedUrl({ jobId: job.jobId, version: 1, kind: FileKind.ZIP });
await mkdir(given.out, { recursive: true });
const path = join(given.out, `${job.jobId}-v1.zip`);
await fetchFile(signed, path);
console.log(
  JSON.stringify({
    jobId: job.jobId,
    events: seen.length,
    cuts,
    path,
    sizeBytes: Number(signed.file?.sizeBytes),
    sha256: signed.file?.sha256,
  }),
);
session.abort(); // an open connection would keep the process alive
