// The services as another caller than the page sees them, through the same server.

import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { forService, watchJob } from "@sonichaos/client";
import { type Job, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";

import { stack } from "./stack";

const transport = createGrpcWebTransport({ baseUrl: stack.url, interceptors: [forService("render")] });

export const renders: Client<typeof RenderService> = createClient(RenderService, transport);
export const jobs: Client<typeof JobsService> = createClient(JobsService, transport);

/** Accepts a take of four seconds. */
export async function startTake(prompt: string, stems: boolean): Promise<Job> {
  const [personaId] = stack.personas;
  const { job } = await renders.createRender({ brief: { prompt, personaId, seconds: 4, seed: 7, stems } });
  if (job === undefined) throw new Error("CreateRenderResponse must have a job");
  return job;
}

/** A take of four seconds that is done. */
export async function makeTake(prompt: string, stems: boolean): Promise<Job> {
  const { jobId } = await startTake(prompt, stems);
  return endOf(jobId);
}

/** The job once all its versions have ended. */
export async function endOf(jobId: string): Promise<Job> {
  for await (const _ of watchJob(jobs, jobId, {}));
  const { job } = await jobs.getJob({ jobId });
  if (job === undefined) throw new Error("GetJobResponse must have a job");
  return job;
}

/** All jobs. */
export async function jobIds(): Promise<string[]> {
  const { jobs: found } = await jobs.listJobs({ pageSize: 100 });
  return found.map(({ jobId }) => jobId);
}

export function isDone({ versions }: Job): boolean {
  return versions.every(({ state }) => state === JobState.DONE);
}
