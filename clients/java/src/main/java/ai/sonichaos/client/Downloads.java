package ai.sonichaos.client;

import ai.sonichaos.jobs.v1.ZipEntry;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.DigestInputStream;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.HexFormat;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Downloads files through signed URLs. */
public final class Downloads {
  private static final int PARTIAL_CONTENT = 206;

  private Downloads() {}

  /**
   * Downloads one file out of a ZIP with a Range request. Nothing is left at {@code path} if it fails.
   *
   * @param url a signed URL of the ZIP
   * @param ca PEM file of the authority of an https URL; null: the public authorities
   * @throws IOException also if the bytes do not have the SHA-256 of the entry
   */
  public static void entry(String url, ZipEntry entry, Path path, File ca)
      throws IOException, InterruptedException, GeneralSecurityException {
    Path part = path.resolveSibling(path.getFileName() + ".part");
    try {
      String sha256 = fetchRange(url, entry, part, ca);
      if (!sha256.equals(entry.getSha256())) {
        throw new IOException(entry.getName() + ": expected SHA-256 " + entry.getSha256() + ", got " + sha256);
      }
      Files.move(part, path, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(part);
    }
  }

  private static String fetchRange(String url, ZipEntry entry, Path part, File ca)
      throws IOException, InterruptedException, GeneralSecurityException {
    HttpClient.Builder client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10));
    if (ca != null) {
      client.sslContext(trusting(ca));
    }
    long last = entry.getOffsetBytes() + entry.getSizeBytes() - 1;
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(url))
            .header("Range", "bytes=" + entry.getOffsetBytes() + "-" + last)
            .timeout(Duration.ofMinutes(1))
            .build();
    HttpResponse<InputStream> response = client.build().send(request, HttpResponse.BodyHandlers.ofInputStream());
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    try (InputStream body = new DigestInputStream(response.body(), digest);
        OutputStream file = Files.newOutputStream(part)) {
      if (response.statusCode() != PARTIAL_CONTENT) {
        throw new IOException(
            entry.getName() + ": expected HTTP 206, got " + response.statusCode() + "; request a new signed URL");
      }
      body.transferTo(file);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private static SSLContext trusting(File ca) throws IOException, GeneralSecurityException {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    try (InputStream pem = Files.newInputStream(ca.toPath())) {
      for (Certificate certificate : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
        store.setCertificateEntry("ca" + store.size(), certificate);
      }
    }
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }
}
