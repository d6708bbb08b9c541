// Facts about a client with the default options of its channel, as one JSON object: client_limits ADDRESS JOB_ID
// KEEPALIVE_SECONDS. The job must not end. With KEEPALIVE_SECONDS above 0 it reports on keepalive only: one channel
// with a call and one without, for so many seconds.

#include <grpcpp/create_channel.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <limits>
#include <string>

#include "sonichaos/connection.h"
#include "sonichaos/errors.h"
#include "sonichaos/jobs/v1/jobs_service.grpc.pb.h"
#include "sonichaos/render/v1/render.grpc.pb.h"

namespace {

using sonichaos::jobs::v1::JobsService;
using sonichaos::jobs::v1::WatchJobRequest;
using sonichaos::jobs::v1::WatchJobResponse;
using std::chrono::seconds;
using std::chrono::system_clock;

void ReportLimits(const std::string& address, const std::string& job_id) {
  const auto channel = sonichaos::Connect(address);
  const auto jobs = JobsService::NewStub(channel);
  int pages = 0;
  int count = 0;
  sonichaos::jobs::v1::ListJobsRequest list;
  list.set_page_size(200);
  do {
    grpc::ClientContext context;
    sonichaos::jobs::v1::ListJobsResponse page;
    sonichaos::Check(jobs->ListJobs(&context, list, &page));
    count += page.jobs_size();
    ++pages;
    list.set_page_token(page.next_page_token());
  } while (!list.page_token().empty());

  sonichaos::render::v1::CreateRenderRequest create;
  create.mutable_brief()->set_persona_id("tone");
  create.mutable_brief()->set_prompt("p");
  for (int index = 0; index < 32; ++index) {
    (*create.mutable_brief()->mutable_labels())["label" + std::to_string(index)] = std::string(300, 'x');
  }
  grpc::ClientContext create_context;
  sonichaos::render::v1::CreateRenderResponse created;
  const auto renders = sonichaos::render::v1::RenderService::NewStub(channel);
  const grpc::Status refused = renders->CreateRender(&create_context, create, &created);
  const sonichaos::ErrorDetails details = sonichaos::DetailsOf(refused);

  // A job that goes on is followed for a second: it has no event after the largest number.
  grpc::ClientContext watch_context;
  watch_context.set_deadline(system_clock::now() + seconds(1));
  WatchJobRequest watch;
  watch.set_job_id(job_id);
  watch.set_after_sequence(std::numeric_limits<std::uint64_t>::max());
  int events = 0;
  WatchJobResponse response;
  const auto reader = jobs->WatchJob(&watch_context, watch);
  while (reader->Read(&response)) ++events;
  const grpc::Status watched = reader->Finish();

  std::cout << R"({"jobs":)" << count << R"(,"pages":)" << pages << R"(,"refusalCode":)" << refused.error_code()
            << R"(,"refusalReason":")" << details.reason << R"(","namedViolations":)" << details.violations.size()
            << R"(,"violations":")" << details.metadata.at("violations") << R"(","watchCode":)" << watched.error_code()
            << R"(,"watchEvents":)" << events << "}" << std::endl;
}

std::shared_ptr<grpc::Channel> PingingChannel(const std::string& address, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt("test.number", number);  // channels with other arguments do not share a connection
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void ReportKeepalive(const std::string& address, const std::string& job_id, int window_seconds) {
  const auto deadline = system_clock::now() + seconds(window_seconds);
  const auto idle = PingingChannel(address, 1);
  const auto busy = PingingChannel(address, 2);
  if (!idle->WaitForConnected(deadline)) throw std::runtime_error("expected a connection, got none");
  grpc::ClientContext context;
  context.set_deadline(deadline);
  WatchJobRequest request;
  request.set_job_id(job_id);
  const auto reader = JobsService::NewStub(busy)->WatchJob(&context, request);
  WatchJobResponse response;
  while (reader->Read(&response)) {
  }
  const bool stays_connected = idle->GetState(false) == GRPC_CHANNEL_READY;
  std::cout << R"({"watchCode":)" << reader->Finish().error_code() << R"(,"idleConnected":)"
            << (stays_connected ? "true" : "false") << "}" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int window_seconds = std::stoi(argv[3]);
  if (window_seconds > 0) {
    ReportKeepalive(argv[1], argv[2], window_seconds);
  } else {
    ReportLimits(argv[1], argv[2]);
  }
}
