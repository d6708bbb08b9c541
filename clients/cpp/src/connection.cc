#include "sonichaos/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/client_interceptor.h>

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sonichaos {
namespace {

using grpc::experimental::ClientInterceptorFactoryInterface;
using grpc::experimental::ClientRpcInfo;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::Interceptor;
using grpc::experimental::InterceptorBatchMethods;

// Adds the name of a service to the metadata of a call.
class ServiceNamer final : public Interceptor {
 public:
  explicit ServiceNamer(const char* name) : name_(name) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("sonichaos-service", name_);
    }
    methods->Proceed();
  }

 private:
  const char* name_;
};

class ServiceNamerFactory final : public ClientInterceptorFactoryInterface {
 public:
  explicit ServiceNamerFactory(const char* name) : name_(name) {}

  Interceptor* CreateClientInterceptor(ClientRpcInfo*) override { return new ServiceNamer(name_); }

 private:
  const char* name_;
};

std::shared_ptr<grpc::Channel> Open(const std::string& target,
                                    const std::shared_ptr<grpc::ChannelCredentials>& credentials, Service service) {
  std::vector<std::unique_ptr<ClientInterceptorFactoryInterface>> interceptors;
  if (service != Service::kAny) {
    const char* name = service == Service::kRender ? "render" : "separation";
    interceptors.push_back(std::make_unique<ServiceNamerFactory>(name));
  }
  return grpc::experimental::CreateCustomChannelWithInterceptors(target, credentials, {}, std::move(interceptors));
}

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const Credentials& credentials, Service service) {
  const std::string scheme = "https://";
  if (address.compare(0, scheme.size(), scheme) != 0) {
    if (!credentials.api_key.empty()) {
      throw std::invalid_argument("an API key needs an address https://host:port, got " + address);
    }
    return Open(address, grpc::InsecureChannelCredentials(), service);
  }
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = credentials.ca_pem;
  auto channel_credentials = grpc::SslCredentials(options);
  if (!credentials.api_key.empty()) {
    channel_credentials =
        grpc::CompositeChannelCredentials(channel_credentials, grpc::AccessTokenCredentials(credentials.api_key));
  }
  return Open(address.substr(scheme.size()), channel_credentials, service);
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text;
}

}  // namespace sonichaos
