#include "sonichaos/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace sonichaos {

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const Credentials& credentials) {
  const std::string scheme = "https://";
  if (address.compare(0, scheme.size(), scheme) != 0) {
    if (!credentials.api_key.empty()) {
      throw std::invalid_argument("an API key needs an address https://host:port, got " + address);
    }
    return grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  }
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = credentials.ca_pem;
  auto channel_credentials = grpc::SslCredentials(options);
  if (!credentials.api_key.empty()) {
    channel_credentials =
        grpc::CompositeChannelCredentials(channel_credentials, grpc::AccessTokenCredentials(credentials.api_key));
  }
  return grpc::CreateChannel(address.substr(scheme.size()), channel_credentials);
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

}  // namespace sonichaos
