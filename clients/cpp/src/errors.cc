#include "sonichaos/errors.h"

#include <google/rpc/error_details.pb.h>
#include <google/rpc/status.pb.h>

#include <utility>

namespace sonichaos {
namespace {

std::string Describe(const grpc::Status& status) {
  const ErrorDetails details = DetailsOf(status);
  std::string text = "status " + std::to_string(static_cast<int>(status.error_code()));
  if (!details.reason.empty()) text += " " + details.reason;
  text += ": " + status.error_message();
  for (const auto& violation : details.violations) text += "\n  " + violation;
  return text;
}

}  // namespace

ErrorDetails DetailsOf(const grpc::Status& status) {
  ErrorDetails found;
  google::rpc::Status message;
  if (!message.ParseFromString(status.error_details())) return found;
  for (const auto& detail : message.details()) {
    google::rpc::ErrorInfo info;
    google::rpc::BadRequest bad_request;
    google::rpc::RetryInfo retry;
    if (detail.UnpackTo(&info)) {
      found.reason = info.reason();
      found.metadata.insert(info.metadata().begin(), info.metadata().end());
    } else if (detail.UnpackTo(&bad_request)) {
      for (const auto& violation : bad_request.field_violations()) {
        found.violations.push_back(violation.field() + ": " + violation.description());
      }
    } else if (detail.UnpackTo(&retry)) {
      const auto& delay = retry.retry_delay();
      found.retry_after = std::chrono::milliseconds(delay.seconds() * 1000 + delay.nanos() / 1000000);
    }
  }
  return found;
}

CallError::CallError(grpc::Status status) : std::runtime_error(Describe(status)), status_(std::move(status)) {}

void Check(const grpc::Status& status) {
  if (!status.ok()) throw CallError(status);
}

}  // namespace sonichaos
