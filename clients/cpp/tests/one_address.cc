// What a client reads through one address that serves both services, as one JSON object: one_address ADDRESS TAKE_ID
// UPLOAD_ID. The upload's job has ended.

#include <grpcpp/client_context.h>

#include <iostream>
#include <string>

#include "sonichaos/connection.h"
#include "sonichaos/errors.h"
#include "sonichaos/jobs/v1/jobs_service.grpc.pb.h"
#include "sonichaos/watch_job.h"

namespace {

using sonichaos::jobs::v1::JobsService;

std::string Read(JobsService::StubInterface& jobs, const std::string& job_id) {
  grpc::ClientContext context;
  sonichaos::jobs::v1::GetJobRequest request;
  request.set_job_id(job_id);
  sonichaos::jobs::v1::GetJobResponse response;
  sonichaos::Check(jobs.GetJob(&context, request, &response));
  return response.job().job_id();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string address = argv[1];
  const auto takes = JobsService::NewStub(sonichaos::Connect(address, {}, sonichaos::Service::kRender));
  const auto uploads = JobsService::NewStub(sonichaos::Connect(address, {}, sonichaos::Service::kSeparation));
  int events = 0;
  sonichaos::WatchJob(*uploads, argv[3], [&](const sonichaos::jobs::v1::JobEvent&, grpc::ClientContext&) { ++events; });
  std::cout << R"({"take":")" << Read(*takes, argv[2]) << R"(","upload":")" << Read(*uploads, argv[3])
            << R"(","events":)" << events << "}" << std::endl;
}
