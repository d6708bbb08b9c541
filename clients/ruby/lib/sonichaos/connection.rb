# frozen_string_literal: true

require 'grpc'

module Sonichaos
  # One service: https://host:port (TLS), host:port (plain text) or unix:///path. It connects at the first call.
  class Connection
    # `ca` is the PEM of the authority that signed the server's certificate; nil: the public authorities. `api_key` is sent with
    # each call. `channel_args` are options of gRPC. Raises ArgumentError if the API key would be sent in plain text.
    def initialize(address, ca: nil, api_key: nil, channel_args: {})
      raise ArgumentError, "an API key needs an address https://host:port, got #{address}" if api_key && !tls?(address)

      @target = address.delete_prefix('https://')
      @credentials = tls?(address) ? tls_credentials(ca, api_key) : :this_channel_is_insecure
      @channel = GRPC::Core::Channel.new(@target, channel_args.transform_keys(&:to_s), @credentials)
    end

    attr_reader :channel

    # Stubs of the services.
    def jobs = stub(Jobs::V1::JobsService::Stub)
    def renders = stub(Render::V1::RenderService::Stub)
    def separations = stub(Separation::V1::SeparationService::Stub)

    private

    def tls?(address) = address.start_with?('https://')

    def stub(type) = type.new(@target, @credentials, channel_override: @channel)

    def tls_credentials(authority, api_key)
      channel = GRPC::Core::ChannelCredentials.new(*[authority].compact)
      return channel if api_key.nil?

      channel.compose(GRPC::Core::CallCredentials.new(proc { { authorization: "Bearer #{api_key}" } }))
    end
  end
end
