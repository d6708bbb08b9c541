#include "sonichaos/watch_job.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "sonichaos/errors.h"

namespace sonichaos {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kInitialBackoff{200};
constexpr milliseconds kMaxBackoff{5000};
constexpr milliseconds kMaxRetryDelay{120000};
constexpr std::uint32_t kMissedHeartbeats = 3;

// Cancels a stream for which nothing was read for some time.
class Silence {
 public:
  Silence(grpc::ClientContext& stream, std::chrono::seconds limit) : stream_(stream), limit_(limit) {
    thread_ = std::thread([this] { Watch(); });
  }
  ~Silence() {
    Set(true, std::nullopt);
    thread_.join();
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;

  void Start() { Set(false, std::chrono::steady_clock::now() + limit_); }
  void Stop() { Set(false, std::nullopt); }

 private:
  void Set(bool closed, std::optional<std::chrono::steady_clock::time_point> deadline) {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = closed;
    deadline_ = deadline;
    changed_.notify_all();
  }

  void Watch() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!closed_) {
      if (!deadline_) {
        changed_.wait(lock);
      } else if (std::chrono::steady_clock::now() >= *deadline_) {
        stream_.TryCancel();
        deadline_.reset();
      } else {
        changed_.wait_until(lock, *deadline_);
      }
    }
  }

  grpc::ClientContext& stream_;
  const std::chrono::seconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  std::thread thread_;
};

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
  request.set_heartbeat_seconds(options.heartbeat_seconds);
  milliseconds backoff = kInitialBackoff;
  int retries = 0;
  while (true) {
    grpc::ClientContext stream;
    Silence silence(stream, std::chrono::seconds(kMissedHeartbeats * options.heartbeat_seconds));
    const auto reader = jobs.WatchJob(&stream, request);
    jobs::v1::WatchJobResponse response;
    while (silence.Start(), reader->Read(&response)) {
      silence.Stop();  // the handler may take its time
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
