// Renders a take, follows it through a cut connection, downloads the vocals out of the ZIP, renders them again, and
// downloads those.
//
//   build/whole_flow --address 127.0.0.1:50071 --seconds 8 --out out
//
// Progress goes to stdout; its last line is one JSON object.

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>

#include "sonichaos/connection.h"
#include "sonichaos/download.h"
#include "sonichaos/errors.h"
#include "sonichaos/jobs/v1/jobs_service.grpc.pb.h"
#include "sonichaos/render/v1/render.grpc.pb.h"
#include "sonichaos/watch_job.h"

namespace {

using sonichaos::Check;
using sonichaos::jobs::v1::Job;
using sonichaos::jobs::v1::JobEvent;
using sonichaos::jobs::v1::JobsService;
using sonichaos::jobs::v1::Version;
using sonichaos::jobs::v1::ZipEntry;
using sonichaos::render::v1::RenderService;

constexpr std::uint64_t kCutAfter = 3;
constexpr std::uint32_t kSeed = 7;

// The options with their defaults; all of them take a value.
std::map<std::string, std::string> ParseOptions(int argc, char** argv) {
  std::map<std::string, std::string> options{{"--address", "127.0.0.1:50071"},
                                             {"--separation-address", ""},  // only uploads need it
                                             {"--ca", ""},
                                             {"--api-key-file", ""},
                                             {"--prompt", "slow dusty boom bap with a warm bass"},
                                             {"--persona", ""},
                                             {"--seconds", "8"},
                                             {"--out", ""}};
  for (int index = 1; index < argc; index += 2) {
    const std::string name = argv[index];
    if (options.count(name) == 0 || index + 1 == argc) {
      std::string known;
      for (const auto& option : options) known += " " + option.first;
      throw std::invalid_argument("unexpected argument " + name + "; the options, each with a value:" + known);
    }
    options[name] = argv[index + 1];
  }
  if (options["--out"].empty()) throw std::invalid_argument("--out DIR is required");
  return options;
}

std::string DefaultPersona(RenderService::StubInterface& renders) {
  grpc::ClientContext context;
  sonichaos::render::v1::ListPersonasResponse response;
  Check(renders.ListPersonas(&context, {}, &response));
  if (response.personas().empty()) throw std::runtime_error("the service has no personas");
  return response.personas(0).id();
}

Job CreateRender(RenderService::StubInterface& renders, const sonichaos::render::v1::CreateRenderRequest& request) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  sonichaos::render::v1::CreateRenderResponse response;
  Check(renders.CreateRender(&context, request, &response));
  return response.job();
}

// The version, which must be done.
Version FinishedVersion(JobsService::StubInterface& jobs, const std::string& job_id, int number) {
  grpc::ClientContext context;
  sonichaos::jobs::v1::GetJobRequest request;
  request.set_job_id(job_id);
  sonichaos::jobs::v1::GetJobResponse response;
  Check(jobs.GetJob(&context, request, &response));
  Version version = response.job().versions(number - 1);
  if (version.state() != sonichaos::jobs::v1::JOB_STATE_DONE) {
    throw std::runtime_error("v" + std::to_string(number) + ": expected DONE, got " +
                             sonichaos::jobs::v1::JobState_Name(version.state()) + ": " + version.error().message());
  }
  std::cout << "v" << number << " is done: ZIP with SHA-256 " << version.files().zip().sha256() << std::endl;
  return version;
}

ZipEntry EntryOf(const Version& version, const std::string& name) {
  for (const auto& entry : version.files().zip_entries()) {
    if (entry.name() == name) return entry;
  }
  throw std::runtime_error("the ZIP has no " + name);
}

std::string SignedZipUrl(JobsService::StubInterface& jobs, const std::string& job_id, std::uint32_t version) {
  grpc::ClientContext context;
  sonichaos::jobs::v1::CreateSignedUrlRequest request;
  request.set_job_id(job_id);
  request.set_version(version);
  request.set_kind(sonichaos::jobs::v1::FILE_KIND_ZIP);
  sonichaos::jobs::v1::CreateSignedUrlResponse response;
  Check(jobs.CreateSignedUrl(&context, request, &response));
  return response.url();
}

// One stem of the ZIP, by a Range request. Returns the digest, with which the file was compared.
std::string Download(JobsService::StubInterface& jobs, const std::string& job_id, const Version& version,
                     const std::string& name, const std::map<std::string, std::string>& options) {
  const ZipEntry entry = EntryOf(version, name);
  const std::string number = std::to_string(version.number());
  const std::string path = options.at("--out") + "/" + job_id + "-v" + number + "-" + name;
  std::filesystem::create_directories(options.at("--out"));
  sonichaos::DownloadEntry(SignedZipUrl(jobs, job_id, version.number()), entry, path, options.at("--ca"));
  std::cout << path << ": SHA-256 " << entry.sha256() << ", as stored" << std::endl;
  return entry.sha256();
}

void Print(const JobEvent& event) {
  std::cout << event.sequence() << " v" << event.version() << " ";
  if (event.kind() == sonichaos::jobs::v1::EVENT_KIND_PROGRESS) {
    const int percent = static_cast<int>(std::lround(100 * event.fraction()));
    std::cout << sonichaos::jobs::v1::Stage_Name(event.stage()) << " " << percent << " %" << std::endl;
  } else {
    std::cout << sonichaos::jobs::v1::EventKind_Name(event.kind()) << " "
              << sonichaos::jobs::v1::JobState_Name(event.state()) << std::endl;
  }
}

std::uint32_t RerenderVocals(RenderService::StubInterface& renders, const std::string& job_id) {
  grpc::ClientContext context;
  sonichaos::render::v1::RerenderStemRequest request;
  request.set_request_id(job_id + "-vocals");
  request.set_job_id(job_id);
  request.set_base_version(1);
  request.set_stem(sonichaos::jobs::v1::STEM_VOCALS);
  request.set_seed(kSeed + 1);
  request.set_allow_drift(true);  // an example keeps the stem even if its timing exceeds the limits
  sonichaos::render::v1::RerenderStemResponse response;
  Check(renders.RerenderStem(&context, request, &response));
  return response.version();
}

void Run(std::map<std::string, std::string> options) {
  sonichaos::Credentials credentials;
  if (!options["--ca"].empty()) credentials.ca_pem = sonichaos::ReadText(options["--ca"]);
  if (!options["--api-key-file"].empty()) credentials.api_key = sonichaos::ReadText(options["--api-key-file"]);
  const auto channel = sonichaos::Connect(options["--address"], credentials);
  const auto renders = RenderService::NewStub(channel);
  const auto jobs = JobsService::NewStub(channel);

  // A repeated call with the same request id returns the same job: a retry creates nothing twice.
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  sonichaos::render::v1::CreateRenderRequest request;
  request.set_request_id("cpp-" + std::to_string(getpid()) + "-" + std::to_string(now.count()));
  auto& brief = *request.mutable_brief();
  brief.set_prompt(options["--prompt"]);
  brief.set_persona_id(options["--persona"].empty() ? DefaultPersona(*renders) : options["--persona"]);
  brief.set_seed(kSeed);
  brief.set_seconds(std::stod(options["--seconds"]));
  brief.set_stems(true);
  const std::string job_id = CreateRender(*renders, request).job_id();
  if (CreateRender(*renders, request).job_id() != job_id) throw std::runtime_error("a retry created another job");
  // An id of a server becomes part of a path here, so its form is checked.
  if (!std::regex_match(job_id, std::regex("j-[0-9a-z]{26}"))) {
    throw std::runtime_error("expected an id such as j-..., got " + job_id);
  }
  std::cout << "job " << job_id << std::endl;

  // The stream is cut once on purpose. Sequence numbers have no gaps, so a lost or repeated event would show.
  std::uint64_t events = 0;
  std::optional<std::uint64_t> resumed_after;
  sonichaos::WatchOptions watch;
  watch.version = 1;
  watch.on_disconnect = [&](std::uint64_t after, const grpc::Status& status) {
    if (!resumed_after) resumed_after = after;
    std::cout << "disconnected after event " << after << " (" << status.error_message() << "), watching on"
              << std::endl;
  };
  const auto on_event = [&](const JobEvent& event, grpc::ClientContext& stream) {
    if (event.sequence() != ++events) throw std::runtime_error("expected event " + std::to_string(events));
    Print(event);
    if (events == kCutAfter) stream.TryCancel();
  };
  sonichaos::WatchJob(*jobs, job_id, on_event, watch);
  if (!resumed_after) throw std::runtime_error("expected a disconnect, got none");

  const std::string sha256 = Download(*jobs, job_id, FinishedVersion(*jobs, job_id, 1), "vocals.wav", options);

  const std::uint32_t next = RerenderVocals(*renders, job_id);
  watch.version = next;
  watch.after_sequence = events;
  sonichaos::WatchJob(*jobs, job_id, on_event, watch);
  Download(*jobs, job_id, FinishedVersion(*jobs, job_id, static_cast<int>(next)), "vocals.wav", options);

  std::cout << R"({"jobId":")" << job_id << R"(","versions":[1,)" << next << R"(],"stem":"vocals","stemSha256":")"
            << sha256 << R"(","events":)" << events << R"(,"resumedAfter":)" << *resumed_after << "}" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    Run(ParseOptions(argc, argv));
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
}
