package ai.sonichaos.client;

import io.grpc.CallCredentials;
import io.grpc.ChannelCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.util.concurrent.Executor;

/** Opens channels to the services. */
public final class Connections {
  private static final String TLS = "https://";
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private Connections() {}

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
