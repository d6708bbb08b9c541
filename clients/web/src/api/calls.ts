// Typed calls of both services by gRPC-Web, on the page's own origin.

import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";
import { forService, type ServiceName } from "@sonichaos/client";
import { type Job, OwningService } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { JobsService } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { RenderService } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { SeparationService } from "@sonichaos/client/gen/sonichaos/separation/v1/separation_pb.js";

import { currentBearer } from "./session";

const withBearer: Interceptor = (next) => (request) => {
  const bearer = currentBearer();
  if (bearer !== "") request.header.set("authorization", `Bearer ${bearer}`);
  return next(request);
};

function transportTo(service: ServiceName) {
  return createGrpcWebTransport({ baseUrl: location.origin, interceptors: [forService(service), withBearer] });
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
