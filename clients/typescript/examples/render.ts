// The whole flow: create a take, follow it across a disconnect, download one stem, re-render the vocals, download the new ZIP.
// Prints progress on stderr, results on stdout; the last line is one JSON object.
//
//   npm run build && node build/examples/render.js --prompt "slow dusty boom bap" --seconds 8 --out out
//
// Besides the options, SONICHAOS_RENDER_ADDRESS, SONICHAOS_CA, SONICHAOS_API_KEY and the other variables of the sonichaos command
// name the services and the credentials.

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "@connectrpc/connect";
import { entryOfZip, separationAddress, watchJob } from "@sonichaos/client";
import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { EventKind, JobState, Stage, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind, JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { SeparationService } from "@sonichaos/client/gen/sonichaos/separation/v1/separation_pb.js";
import { connect, credentialsFromEnvironment, fetchEntry, fetchFile } from "@sonichaos/client/node";

const { values: options } = parseArgs({
  options: {
    address: { type: "string", default: process.env.SONICHAOS_RENDER_ADDRESS ?? "127.0.0.1:50071" },
    "separation-address": { type: "string" },
    ca: { type: "string" },
    "api-key-file": { type: "string" },
    prompt: { type: "string", default: "slow dusty boom bap with a warm bass" },
    persona: { type: "string" },
    seconds: { type: "string", default: "8" },
    out: { type: "string", default: "out" },
  },
});
const DISCONNECT_AFTER = 3; // events
const STEM = "vocals";

const { ca: caFile, "api-key-file": keyFile } = options;
const credentials = {
  ...credentialsFromEnvironment(),
  ...(caFile && { ca: readFileSync(caFile, "ascii") }),
  ...(keyFile && { bearer: async () => (await readFile(keyFile, "ascii")).trim() }),
};
const render = connect(options.address, credentials, { service: "render" });
const separation = connect(options["separation-address"] ?? separationAddress(options.address), credentials, {
  service: "separation",
});
const renders = createClient(RenderService, render.transport);
const jobs = createClient(JobsService, render.transport);
const separations = createClient(SeparationService, separation.transport);

const [renderer, separator] = await Promise.all([renders.getModelInfo({}), separations.getModelInfo({})]);
console.error(`renderer ${renderer.name}, separator ${separator.name}`);

// With a request id a call that creates work can be repeated, as after a lost answer: there is still one job.
const personas = (await renders.listPersonas({})).personas.map((persona) => persona.id);
const personaId = options.persona ?? personas[0] ?? "";
const requestId = randomUUID();
const brief = { prompt: options.prompt, personaId, seed: 7, seconds: Number(options.seconds), stems: true };
const { job } = await renders.createRender({ requestId, brief });
const repeated = await renders.createRender({ requestId, brief });
if (job === undefined) throw new Error("CreateRenderResponse must have a job, got none");
if (repeated.job?.jobId !== job.jobId) throw new Error(`expected job ${job.jobId} again, got ${repeated.job?.jobId}`);
const { jobId } = job;
console.log(`job ${jobId}`);

// Whoever knows the last sequence number can leave a watch and resume it, from another process too. watchJob does so by itself
// where a connection breaks.
let lastSequence = 0n;
let resumedAfter = 0n;
const kinds = new Set<EventKind>();
async function follow(version: number, maxEvents = Number.POSITIVE_INFINITY): Promise<void> {
  let received = 0;
  for await (const event of watchJob(jobs, jobId, { version, afterSequence: lastSequence })) {
    if (event.sequence !== lastSequence + 1n)
      throw new Error(`expected event ${lastSequence + 1n}, got ${event.sequence}`);
    lastSequence = event.sequence;
    kinds.add(event.kind);
    if (event.kind === EventKind.PROGRESS) {
      console.error(`v${event.version} ${Stage[event.stage]} ${(100 * event.fraction).toFixed(0)} %`);
    }
    received += 1;
    if (received === maxEvents) return;
  }
}
await follow(1, DISCONNECT_AFTER);
resumedAfter = lastSequence;
console.error(`disconnected after event ${resumedAfter}, resuming`);
await follow(1);
if (!kinds.has(EventKind.BOUNCE_READY)) throw new Error("expected an event BOUNCE_READY, got none");

async function finished(number: number): Promise<Version> {
  const version = (await jobs.getJob({ jobId })).job?.versions.find((one) => one.number === number);
  if (version?.state === JobState.DONE) return version;
  throw new Error(`v${number}: expected DONE, got ${JobState[version?.state ?? 0]}: ${version?.error?.message}`);
}
const original = await finished(1);

// One stem of the ZIP, by a Range request. An id of a server becomes part of a path here, so its form is checked.
if (!/^j-[0-9a-z]{26}$/.test(jobId)) throw new Error(`expected an id such as j-..., got ${jobId}`);
await mkdir(options.out, { recursive: true });
const entry = entryOfZip(original, `${STEM}.wav`);
const signed = await jobs.createSignedUrl({ jobId, version: 1, kind: FileKind.ZIP });
const stemPath = join(options.out, `${jobId}-v1-${entry.name}`);
await fetchEntry(signed, entry, stemPath, credentials.ca);
console.log(`${stemPath} SHA-256 ${entry.sha256}`);

// Other vocals for the same take, as its next version. v1 stays as it is.
const rerendered = await renders.rerenderStem({
  requestId: randomUUID(),
  jobId,
  baseVersion: 1,
  stem: Stem.VOCALS,
  personaId: personas.find((id) => id !== personaId) ?? personaId,
  seed: 8,
  allowDrift: true, // an example must not depend on how well the new vocals follow the grid
});
await follow(rerendered.version);
const changed = await finished(rerendered.version);
const zipPath = join(options.out, `${jobId}-v${changed.number}.zip`);
await fetchFile(
  await jobs.createSignedUrl({ jobId, version: changed.number, kind: FileKind.ZIP }),
  zipPath,
  credentials.ca,
);
console.log(`${zipPath} SHA-256 ${changed.files?.zip?.sha256}`);

console.log(
  JSON.stringify({
    jobId,
    versions: [original.number, changed.number],
    stem: STEM,
    stemSha256: entry.sha256,
    events: Number(lastSequence),
    resumedAfter: Number(resumedAfter),
    zipSha256: changed.files?.zip?.sha256,
  }),
);
render.close();
separation.close();
