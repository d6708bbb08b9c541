// What a client does in trouble that its caller can see:
//
//   client_faults watch ADDRESS JOB_ID HEARTBEAT   how often a handler that throws is called; what WatchJob throws
//   client_faults download URL SIZE SHA256 PATH    the first SIZE bytes; prints "saved", or "refused: " and why

#include <cstdint>
#include <exception>
#include <iostream>
#include <string>

#include "sonichaos/connection.h"
#include "sonichaos/download.h"
#include "sonichaos/errors.h"
#include "sonichaos/watch_job.h"

namespace {

void Watch(const std::string& address, const std::string& job_id, const std::string& heartbeat) {
  sonichaos::WatchOptions options;
  options.heartbeat_seconds = static_cast<std::uint32_t>(std::stoul(heartbeat));
  const auto jobs = sonichaos::jobs::v1::JobsService::NewStub(sonichaos::Connect(address));
  int calls = 0;
  std::string message = "none";
  try {
    const auto fail = [&](const auto&, auto&) {
      ++calls;
      throw sonichaos::CallError(grpc::Status(grpc::StatusCode::UNAVAILABLE, "of the handler"));
    };
    sonichaos::WatchJob(*jobs, job_id, fail, options);
  } catch (const sonichaos::CallError& error) {
    message = error.status().error_message();
  }
  std::cout << R"({"calls":)" << calls << R"(,"error":")" << message << R"("})" << std::endl;
}

void Download(const std::string& url, const std::string& size, const std::string& sha256, const std::string& path) {
  sonichaos::jobs::v1::ZipEntry entry;
  entry.set_name("vocals.wav");
  entry.set_size_bytes(std::stoull(size));
  entry.set_sha256(sha256);
  try {
    sonichaos::DownloadEntry(url, entry, path);
    std::cout << "saved" << std::endl;
  } catch (const std::exception& error) {
    std::cout << "refused: " << error.what() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 5) {
    Watch(argv[2], argv[3], argv[4]);
  } else if (argc == 6) {
    Download(argv[2], argv[3], argv[4], argv[5]);
  } else {
    return 2;
  }
}
