#include "sonichaos/watch_job.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "sonichaos/errors.h"

namespace sonichaos {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kInitialBackoff{200};
constexpr milliseconds kMaxBackoff{5000};
constexpr milliseconds kMaxRetryDelay{120000};
// Below the 60 s after which proxies end a quiet stream.
constexpr std::uint32_t kHeartbeatSeconds = 20;

// Whether a stream that ended so may be resumed. An error that a service raised has a reason.
bool IsResumable(const grpc::Status& status, const ErrorDetails& details) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE || details.retry_after) return true;
  if (!details.reason.empty()) return false;
  switch (status.error_code()) {
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
      return true;
    default:
      return false;
  }
}

}  // namespace

void WatchJob(jobs::v1::JobsService::StubInterface& jobs, const std::string& job_id, const EventHandler& on_event,
              const WatchOptions& options) {
  jobs::v1::WatchJobRequest request;
  request.set_job_id(job_id);
  request.set_version(options.version);
  request.set_after_sequence(options.after_sequence);
  request.set_heartbeat_seconds(kHeartbeatSeconds);
  milliseconds backoff = kInitialBackoff;
  int retries = 0;
  while (true) {
    grpc::ClientContext stream;
    const auto reader = jobs.WatchJob(&stream, request);
    jobs::v1::WatchJobResponse response;
    while (reader->Read(&response)) {
      if (response.has_event() && response.event().sequence() <= request.after_sequence()) continue;
      retries = 0;
      backoff = kInitialBackoff;
      if (!response.has_event()) continue;  // a heartbeat
      request.set_after_sequence(response.event().sequence());
      on_event(response.event(), stream);
    }
    const grpc::Status status = reader->Finish();
    if (status.ok()) return;
    const ErrorDetails details = DetailsOf(status);
    if (!IsResumable(status, details) || ++retries > options.max_retries) throw CallError(status);
    if (options.on_disconnect) options.on_disconnect(request.after_sequence(), status);
    std::this_thread::sleep_for(std::min(std::max(backoff, details.retry_after.value_or(backoff)), kMaxRetryDelay));
    backoff = std::min(backoff * 2, kMaxBackoff);
  }
}

}  // namespace sonichaos
