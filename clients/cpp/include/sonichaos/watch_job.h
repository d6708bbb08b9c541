#pragma once

#include <grpcpp/client_context.h>

#include <cstdint>
#include <functional>
#include <string>

#include "sonichaos/jobs/v1/jobs_service.grpc.pb.h"

namespace sonichaos {

// Options of WatchJob.
struct WatchOptions {
  // The version whose final state ends the watch. 0: the newest version at the time of the call.
  std::uint32_t version = 0;
  // Sequence number of the last event that the caller has. 0: all events.
  std::uint64_t after_sequence = 0;
  // Seconds of silence after which the service sends a heartbeat. After three times as many the stream is reopened: the
  // connection is dead, although nothing says so.
  std::uint32_t heartbeat_seconds = 20;
  // Called after each disconnect with the sequence number that the next stream resumes after.
  std::function<void(std::uint64_t after_sequence, const grpc::Status& status)> on_disconnect;
  // Number of consecutive disconnects without an event or heartbeat after which WatchJob throws.
  int max_retries = 20;
};

// Receives each event, and the stream that it came on, which may be cancelled.
using EventHandler = std::function<void(const jobs::v1::JobEvent& event, grpc::ClientContext& stream)>;

// Passes on every event of a job, once and in order, until the version reaches a final state. Reopens a broken stream
// after the last event, by the rules of docs/errors.md. Throws CallError if the stream cannot be resumed, and what
// on_event throws.
void WatchJob(jobs::v1::JobsService::StubInterface& jobs, const std::string& job_id, const EventHandler& on_event,
              const WatchOptions& options = {});

}  // namespace sonichaos
