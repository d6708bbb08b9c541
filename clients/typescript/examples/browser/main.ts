// The whole flow in a page: create a take, follow it across a disconnect, fetch one stem, re-render the vocals, fetch the new one.
// Run it with `npm run web`, beside `sonichaos up` and Envoy (docs/clients/typescript.md).

import { createClient } from "@connectrpc/connect";
import { callError, entryOfZip, watchJob } from "@sonichaos/client";
import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { EventKind, JobState, Stage } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { FileKind, JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { SeparationService } from "@sonichaos/client/gen/sonichaos/separation/v1/separation_pb.js";
import { connect, fetchEntry } from "@sonichaos/client/web";

const DISCONNECT_AFTER = 3; // events
const STEM = "vocals";

async function renderTake(form: FormData): Promise<object> {
  const value = (name: string): string => String(form.get(name) ?? "");
  const credentials = value("token") === "" ? {} : { bearer: value("token") };
  const transport = connect(value("address"), credentials);
  const renders = createClient(RenderService, transport);
  const jobs = createClient(JobsService, transport);
  const separations = createClient(
    SeparationService,
    connect(value("address"), { ...credentials, service: "separation" }),
  );
  const [renderer, separator] = await Promise.all([renders.getModelInfo({}), separations.getModelInfo({})]);

  // With a request id a call that creates work can be repeated, as after a lost answer: there is still one job.
  const personas = (await renders.listPersonas({})).personas.map((persona) => persona.id);
  const personaId = value("persona") || (personas[0] ?? "");
  const requestId = crypto.randomUUID();
  const brief = { prompt: value("prompt"), personaId, seed: 7, seconds: Number(value("seconds")), stems: true };
  const { job } = await renders.createRender({ requestId, brief });
  const repeated = await renders.createRender({ requestId, brief });
  if (job === undefined) throw new Error("CreateRenderResponse must have a job, got none");
  if (repeated.job?.jobId !== job.jobId) throw new Error(`expected job ${job.jobId} again, got ${repeated.job?.jobId}`);
  const { jobId } = job;

  // A page that remembers the last sequence number resumes here after a reload. watchJob does so by itself where a connection breaks.
  let lastSequence = 0n;
  async function follow(version: number, maxEvents = Number.POSITIVE_INFINITY): Promise<void> {
    let received = 0;
    for await (const event of watchJob(jobs, jobId, { version, afterSequence: lastSequence })) {
      if (event.sequence !== lastSequence + 1n)
        throw new Error(`expected event ${lastSequence + 1n}, got ${event.sequence}`);
      lastSequence = event.sequence;
      if (event.kind === EventKind.PROGRESS) showProgress(event.version, Stage[event.stage] ?? "", event.fraction);
      received += 1;
      if (received === maxEvents) return;
    }
  }

  // The files of a version that is done: one stem of its ZIP, by a Range request.
  async function playStem(number: number): Promise<string> {
    const version = (await jobs.getJob({ jobId })).job?.versions.find((one) => one.number === number);
    if (version?.state !== JobState.DONE) {
      throw new Error(`v${number}: expected DONE, got ${JobState[version?.state ?? 0]}: ${version?.error?.message}`);
    }
    const entry = entryOfZip(version, `${STEM}.wav`);
    const signed = await jobs.createSignedUrl({ jobId, version: number, kind: FileKind.ZIP });
    addPlayer(`v${number} ${entry.name}`, await fetchEntry(signed, entry), signed.url);
    return entry.sha256;
  }

  await follow(1, DISCONNECT_AFTER);
  const resumedAfter = lastSequence;
  await follow(1);
  const stemSha256 = await playStem(1);

  // Other vocals for the same take, as its next version. v1 stays as it is.
  const rerendered = await renders.rerenderStem({
    requestId: crypto.randomUUID(),
    jobId,
    baseVersion: 1,
    stem: Stem.VOCALS,
    personaId: personas.find((id) => id !== personaId) ?? personaId,
    seed: 8,
    allowDrift: true, // an example must not depend on how well the new vocals follow the grid
  });
  await follow(rerendered.version);
  const rerenderedSha256 = await playStem(rerendered.version);
  return {
    jobId,
    versions: [1, rerendered.version],
    stem: STEM,
    stemSha256,
    events: Number(lastSequence),
    resumedAfter: Number(resumedAfter),
    rerenderedSha256,
    models: [renderer.name, separator.name],
  };
}

function element<T extends Element>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return found;
}

function showProgress(version: number, stage: string, fraction: number): void {
  element<HTMLProgressElement>("progress").value = fraction;
  element("#stage").textContent = `v${version} ${stage}`;
}

/** A player of the fetched bytes, and a link to the whole ZIP. */
function addPlayer(name: string, wav: Uint8Array<ArrayBuffer>, zipUrl: string): void {
  const player = document.createElement("audio");
  player.controls = true;
  player.src = URL.createObjectURL(new Blob([wav], { type: "audio/wav" }));
  const link = document.createElement("a");
  link.href = zipUrl;
  link.textContent = "ZIP";
  element("#players").append(name, player, link);
}

element<HTMLFormElement>("form").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const result = element("#result");
  const button = element<HTMLButtonElement>("button");
  result.textContent = "";
  button.disabled = true;
  renderTake(new FormData(element<HTMLFormElement>("form")))
    .then((done) => {
      result.textContent = JSON.stringify(done, undefined, 2);
    })
    .catch((thrown: unknown) => {
      const { message, reason } = callError(thrown);
      result.textContent = reason === "" ? `error: ${message}` : `error: ${message} (${reason})`;
    })
    .finally(() => {
      button.disabled = false;
    });
});
