# frozen_string_literal: true

require 'grpc'

module Sonichaos
  # For a stub: adds the name of a service to the metadata of each call. An interceptor cannot do so for a call that returns its
  # operation.
  module ServiceNamer
    attr_writer :service_name

    %i[request_response client_streamer server_streamer bidi_streamer].each do |kind|
      define_method(kind) do |*arguments, metadata: {}, **options, &block|
        super(*arguments, metadata: { 'sonichaos-service' => @service_name, **metadata }, **options, &block)
      end
    end
  end
  private_constant :ServiceNamer

  # One service: https://host:port (TLS), host:port (plain text) or unix:///path. It connects at the first call.
  class Connection
    # The service that calls are for, where one address serves both: render_service owns takes, separation_service uploads.
    SERVICES = %i[render separation].freeze

    # `ca` is the PEM of the authority that signed the server's certificate; nil: the public authorities. `api_key` is sent with
    # each call. With a `service`, each call has the metadata by which a proxy in front of both chooses (docker/envoy.yaml); calls
    # of JobsService need it, because both services serve them. `channel_args` are options of gRPC. Raises ArgumentError if the API
    # key would be sent in plain text.
    def initialize(address, ca: nil, api_key: nil, service: nil, channel_args: {})
      raise ArgumentError, "an API key needs an address https://host:port, got #{address}" if api_key && !tls?(address)
      raise ArgumentError, "service must be one of #{SERVICES}, got #{service}" unless [nil, *SERVICES].include?(service)

      @service = service
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

    def stub(type)
      made = type.new(@target, @credentials, channel_override: @channel)
      made.extend(ServiceNamer).service_name = @service.to_s if @service
      made
    end

    def tls_credentials(authority, api_key)
      channel = GRPC::Core::ChannelCredentials.new(*[authority].compact)
      return channel if api_key.nil?

      channel.compose(GRPC::Core::CallCredentials.new(proc { { authorization: "Bearer #{api_key}" } }))
    end
  end
end
