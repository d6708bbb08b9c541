#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace sonichaos {

// What the services say about an error: see docs/errors.md.
struct ErrorDetails {
  // Name of an ErrorReason without its prefix, such as "JOB_NOT_FOUND". Empty if no service raised the error.
  std::string reason;
  std::map<std::string, std::string> metadata;
  // The rejected fields, each "field: description".
  std::vector<std::string> violations;
  // How long to wait before a retry. Not set if a retry cannot help.
  std::optional<std::chrono::milliseconds> retry_after;
};

// The details in a status.
ErrorDetails DetailsOf(const grpc::Status& status);

// A call that failed. what() has its code, reason, message and rejected fields.
class CallError : public std::runtime_error {
 public:
  explicit CallError(grpc::Status status);
  const grpc::Status& status() const { return status_; }

 private:
  grpc::Status status_;
};

// Throws CallError unless the status is OK.
void Check(const grpc::Status& status);

}  // namespace sonichaos
