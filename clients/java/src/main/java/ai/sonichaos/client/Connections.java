package ai.sonichaos.client;

import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.CompositeChannelCredentials;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.Executor;

/** Opens channels to the services. */
public final class Connections {
  private static final String TLS = "https://";
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private static final Metadata.Key<String> SERVICE =
      Metadata.Key.of("sonichaos-service", Metadata.ASCII_STRING_MARSHALLER);

  private Connections() {}

  /** The service that a call is for, where one address serves both. */
  public enum Service {
    /** render_service, which owns takes. */
    RENDER("render"),
    /** separation_service, which owns uploads. */
    SEPARATION("separation");

    private final String text;

    Service(String text) {
      this.text = text;
    }
  }

  /**
   * An interceptor for channels to an address that serves both services: each call has the metadata by which a proxy in front of both
   * chooses (docker/envoy.yaml). Calls of JobsService need it, because both services serve them.
   */
  public static ClientInterceptor forService(Service service) {
    return new ClientInterceptor() {
      @Override
      public <Q, A> ClientCall<Q, A> interceptCall(MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
        return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
          @Override
          public void start(Listener<A> listener, Metadata headers) {
            headers.put(SERVICE, service.text);
            super.start(listener, headers);
          }
        };
      }
    };
  }

  /**
   * A builder of a channel to {@code https://host:port} (TLS) or {@code host:port} (plain text).
   *
   * @param ca PEM file of the authority that signed the server's certificate; null: the public authorities
   * @param apiKey sent with each call; null: none
   * @throws IllegalArgumentException if the API key would be sent in plain text
   * @throws IOException if the PEM file cannot be read
   */
  public static ManagedChannelBuilder<?> to(String address, File ca, String apiKey) throws IOException {
    if (!address.startsWith(TLS)) {
      if (apiKey != null) {
        throw new IllegalArgumentException("an API key needs an address https://host:port, got " + address);
      }
      return Grpc.newChannelBuilder(address, InsecureChannelCredentials.create());
    }
    TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
    if (ca != null) {
      tls.trustManager(ca);
    }
    ChannelCredentials credentials = tls.build();
    if (apiKey != null) {
      credentials = CompositeChannelCredentials.create(credentials, new Bearer(apiKey));
    }
    return Grpc.newChannelBuilder(address.substring(TLS.length()), credentials);
  }

  private static final class Bearer extends CallCredentials {
    private final String key;

    Bearer(String key) {
      this.key = key;
    }

    @Override
    public void applyRequestMetadata(RequestInfo info, Executor executor, MetadataApplier applier) {
      Metadata headers = new Metadata();
      headers.put(AUTHORIZATION, "Bearer " + key);
      applier.apply(headers);
    }

    @Override
    public void thisUsesUnstableApi() {}
  }
}
