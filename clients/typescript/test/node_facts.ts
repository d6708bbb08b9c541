// node node_facts.js ADDRESS: answers the questions on stdin (a JSON list) with a JSON list on stdout. Connects as users do, with the
// credentials of the environment.

import { join } from "node:path";
import { text } from "node:stream/consumers";
import { createClient, type Transport } from "@connectrpc/connect";
import { entryOfZip, watchJob } from "@sonichaos/client";
import { FileKind, JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { connect, credentialsFromEnvironment, fetchEntry, fetchFile } from "@sonichaos/client/node";

import { answer, facts, type Input, type Question } from "./facts.js";
import { keepalive } from "./keepalive.js";

const [address = ""] = process.argv.slice(2);
const credentials = credentialsFromEnvironment();

/** Renders a take, follows it and fetches its ZIP and one file of it, each into the folder `out`. */
async function fetchTake(transport: Transport, { out = "" }: Input): Promise<unknown> {
  const jobs = createClient(JobsService, transport);
  const brief = { prompt: "dusty", personaId: "ember", seconds: 8, stems: true };
  const { job } = await createClient(RenderService, transport).createRender({ brief });
  const jobId = job?.jobId ?? "";
  const sequences: string[] = [];
  const disconnects: string[] = [];
  const onDisconnect = (_: bigint, reason: string): void => void disconnects.push(reason);
  for await (const event of watchJob(jobs, jobId, { version: 1, onDisconnect })) {
    sequences.push(String(event.sequence));
  }
  const version = (await jobs.getJob({ jobId })).job?.versions[0];
  if (version === undefined) throw new Error("expected a version, got none");
  const signed = await jobs.createSignedUrl({ jobId, version: 1, kind: FileKind.ZIP });
  await fetchEntry(signed, entryOfZip(version, "vocals.wav"), join(out, "vocals.wav"), credentials.ca);
  await fetchFile(signed, join(out, "v1.zip"), credentials.ca);
  return { sequences, disconnects };
}

const known = { ...facts, fetchTake, keepalive: (_: Transport, input: Input) => keepalive(address, input) };
const answers: unknown[] = [];
for (const question of JSON.parse(await text(process.stdin)) as Question[]) {
  const { transport, close } = connect(address, credentials, { service: question.service });
  answers.push(await answer(transport, question, known));
  close();
}
console.log(JSON.stringify(answers));
