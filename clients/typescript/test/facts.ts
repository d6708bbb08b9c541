// What a client must be able to rely on, as functions that answer with JSON: the same in Node.js and, bundled, in a browser.
// Numbers of 64 bits are decimal text in the answers.

import { toBinary } from "@bufbuild/protobuf";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import { callError, watchJob } from "@sonichaos/client";
import { JobsService, ListJobsResponseSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

/** What a fact needs to know. */
export interface Input {
  readonly jobId?: string;
  readonly afterSequence?: string;
  readonly heartbeatSeconds?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly out?: string;
}

export type Fact = (transport: Transport, input: Input) => Promise<unknown>;

/** One call of a fact. `service` is the service meant at an address of both. */
export interface Question {
  readonly fact: string;
  readonly service: "render" | "separation";
  readonly input: Input;
}

export const facts: Readonly<Record<string, Fact>> = {
  getJob,
  watch,
  watchAcrossSilence,
  leaveWatch,
  listJobs,
  createRender,
};

/** The answer; an error as the client sees it. */
export async function answer(transport: Transport, { fact, input }: Question, known = facts): Promise<unknown> {
  const ask = known[fact];
  if (ask === undefined) throw new Error(`expected one of ${Object.keys(known).join(", ")}, got ${fact}`);
  try {
    return await ask(transport, input);
  } catch (thrown) {
    return errorAnswer(thrown);
  }
}

function errorAnswer(thrown: unknown): { error: unknown } {
  const error = callError(thrown);
  return { error: { ...error, code: Code[error.code] } };
}

async function getJob(transport: Transport, { jobId = "" }: Input): Promise<unknown> {
  const { job } = await createClient(JobsService, transport).getJob({ jobId });
  const files = job?.versions[0]?.files;
  return {
    lastSequence: String(job?.lastSequence),
    zipBytes: String(files?.zip?.sizeBytes),
    entries: files?.zipEntries.map((entry) => [String(entry.offsetBytes), String(entry.sizeBytes)]),
  };
}

async function watch(transport: Transport, { jobId = "", afterSequence = "0" }: Input): Promise<unknown> {
  const sequences: string[] = [];
  const stream = createClient(JobsService, transport).watchJob({ jobId, afterSequence: BigInt(afterSequence) });
  try {
    for await (const { event } of stream) sequences.push(String(event?.sequence));
  } catch (thrown) {
    return { sequences, ...errorAnswer(thrown) };
  }
  return { sequences };
}

/** A stream that neither sends nor ends is reopened. A second disconnect without an event or heartbeat ends the watch. */
async function watchAcrossSilence(transport: Transport, input: Input): Promise<unknown> {
  const sequences: string[] = [];
  const reasons: string[] = [];
  const options = {
    heartbeatSeconds: input.heartbeatSeconds ?? 1,
    maxRetries: 1,
    onDisconnect: (_: bigint, reason: string) => void reasons.push(reason),
  };
  for await (const event of watchJob(createClient(JobsService, transport), input.jobId ?? "", options)) {
    sequences.push(String(event.sequence));
  }
  return { sequences, reasons };
}

/** A watch that is left, by `break` and by a signal, closes its stream: the service counts those that are open. */
async function leaveWatch(transport: Transport, { jobId = "" }: Input): Promise<unknown> {
  const jobs = createClient(JobsService, transport);
  const openStreams = async (): Promise<number | undefined> =>
    (await jobs.getUsage({})).limits.find((one) => one.limit === "open_streams")?.used;
  const allClosed = async (): Promise<boolean> => {
    for (let tries = 0; tries < 200; tries += 1) {
      if ((await openStreams()) === 0) return true;
      await new Promise((resolve) => void setTimeout(resolve, 50));
    }
    return false;
  };
  let open: number | undefined;
  for await (const _ of watchJob(jobs, jobId)) {
    open = await openStreams();
    break;
  }
  const closedByBreak = await allClosed();
  const controller = new AbortController();
  let code = "";
  try {
    for await (const _ of watchJob(jobs, jobId, { signal: controller.signal })) controller.abort();
  } catch (thrown) {
    code = Code[callError(thrown).code];
  }
  return { open, closedByBreak, code, closedBySignal: await allClosed() };
}

async function listJobs(transport: Transport): Promise<unknown> {
  const jobs = createClient(JobsService, transport);
  const pages: { jobs: number; bytes: number }[] = [];
  const points = new Set<number>();
  let pageToken = "";
  do {
    const page = await jobs.listJobs({ pageSize: 200, pageToken });
    pages.push({ jobs: page.jobs.length, bytes: toBinary(ListJobsResponseSchema, page).byteLength });
    for (const job of page.jobs) points.add(job.brief?.tempoMap?.points.length ?? 0);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return { pages, points: [...points] };
}

/** Refused: every label is too long. */
async function createRender(transport: Transport, { labels = {} }: Input): Promise<unknown> {
  const brief = { prompt: "dusty", personaId: "tone", seconds: 2, labels };
  const { job } = await createClient(RenderService, transport).createRender({ brief });
  return { jobId: job?.jobId };
}
