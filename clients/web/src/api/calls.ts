// Typed calls of both services by gRPC-Web, on the page's own origin.

import { type Client, Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { callError, forService, type ServiceName } from "@sonichaos/client";
import { type Job, OwningService } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { SeparationService } from "@sonichaos/client/gen/sonichaos/separation/v1/separation_pb.js";

import { setRefusal } from "./refusal";
import { currentBearer } from "./session";

/** Sends the tab's credential with each call, and notes it if a service refuses it. */
const asCaller: Interceptor = (next) => async (request) => {
  const bearer = currentBearer();
  if (bearer !== "") request.header.set("authorization", `Bearer ${bearer}`);
  const note = (thrown: unknown): void => {
    const { code, reason, message } = callError(thrown);
    // An answer to a credential that was replaced meanwhile says nothing about the new one.
    if (code === Code.Unauthenticated && bearer === currentBearer()) setRefusal({ reason, message });
  };
  try {
    const response = await next(request);
    return response.stream ? { ...response, message: observed(response.message, note) } : response;
  } catch (thrown) {
    note(thrown);
    throw thrown;
  }
};

async function* observed<T>(messages: AsyncIterable<T>, onError: (thrown: unknown) => void): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (thrown) {
    onError(thrown);
    throw thrown;
  }
}

function transportTo(service: ServiceName) {
  return createGrpcWebTransport({ baseUrl: location.origin, interceptors: [forService(service), asCaller] });
}

const toRender = transportTo("render");
const toSeparation = transportTo("separation");

export const renders: Client<typeof RenderService> = createClient(RenderService, toRender);
export const separations: Client<typeof SeparationService> = createClient(SeparationService, toSeparation);
export const renderJobs: Client<typeof JobsService> = createClient(JobsService, toRender);
export const separationJobs: Client<typeof JobsService> = createClient(JobsService, toSeparation);

/** JobsService of the service that owns the job. */
export function jobsOf(job: Pick<Job, "owner">): Client<typeof JobsService> {
  return job.owner === OwningService.SEPARATION ? separationJobs : renderJobs;
}
