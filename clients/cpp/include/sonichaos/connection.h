#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

namespace sonichaos {

// Who calls, and which servers the caller trusts.
struct Credentials {
  // PEM of the authority that signed the servers' certificates. Empty: the public authorities.
  std::string ca_pem;
  // An API key, sent with each call. Empty: none.
  std::string api_key;
};

// The service that a call is for, where one address serves both: render_service owns takes, separation_service uploads.
enum class Service { kAny, kRender, kSeparation };

// A channel to https://host:port (TLS), host:port (plain text) or unix:///path. It connects at the first call. With a
// `service`, each call has the metadata by which a proxy in front of both chooses (docker/envoy.yaml); calls of
// JobsService need it, because both services serve them. Throws std::invalid_argument if an API key would be sent in
// plain text.
std::shared_ptr<grpc::Channel> Connect(const std::string& address, const Credentials& credentials = {},
                                       Service service = Service::kAny);

// The text of a file, such as a PEM file or a key, without white space at its end. Throws std::runtime_error if it
// cannot be read.
std::string ReadText(const std::string& path);

}  // namespace sonichaos
