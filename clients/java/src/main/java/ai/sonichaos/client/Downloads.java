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
import java.nio.file.StandardOpenOption;
import java.security.DigestInputStream;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.HexFormat;
import java.util.Set;
import java.util.UUID;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Downloads files through signed URLs. */
public final class Downloads {
  private static final int PARTIAL_CONTENT = 206;
  private static final int BUFFER_BYTES = 1 << 16;
  private static final Set<String> SCHEMES = Set.of("http", "https");

  private Downloads() {}

  /**
   * Downloads one file out of a ZIP with a Range request. A file at {@code path} is replaced; if the download fails, it stays.
   *
   * @param url a signed URL of the ZIP
   * @param ca PEM file of the authority of an https URL; null: the public authorities
   * @throws IOException also if the bytes do not have the size and the SHA-256 of the entry
   */
  public static void entry(String url, ZipEntry entry, Path path, File ca)
      throws IOException, InterruptedException, GeneralSecurityException {
    // A name of its own: another download to the same path does not write to it, and it is no link that somebody has put there.
    Path part = path.resolveSibling(path.getFileName() + "." + UUID.randomUUID() + ".part");
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
    URI location = URI.create(url);
    if (!SCHEMES.contains(location.getScheme())) {
      throw new IOException("expected an http or https URL from the service, got the scheme " + location.getScheme());
    }
    HttpClient.Builder client = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10));
    if (ca != null) {
      client.sslContext(trusting(ca));
    }
    long last = entry.getOffsetBytes() + entry.getSizeBytes() - 1;
    HttpRequest request =
        HttpRequest.newBuilder(location)
            .header("Range", "bytes=" + entry.getOffsetBytes() + "-" + last)
            .timeout(Duration.ofMinutes(1))
            .build();
    HttpResponse<InputStream> response = client.build().send(request, HttpResponse.BodyHandlers.ofInputStream());
    MessageDigest digest = MessageDigest.getInstance("SHA-256");
    try (InputStream body = new DigestInputStream(response.body(), digest);
        OutputStream file = Files.newOutputStream(part, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      if (response.statusCode() != PARTIAL_CONTENT) {
        throw new IOException(
            entry.getName() + ": expected HTTP 206, got " + response.statusCode() + "; request a new signed URL");
      }
      copy(body, file, entry);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** A server that sends more than the entry cannot fill the disk. */
  private static void copy(InputStream body, OutputStream file, ZipEntry entry) throws IOException {
    byte[] buffer = new byte[BUFFER_BYTES];
    long left = entry.getSizeBytes();
    for (int count = body.read(buffer); count >= 0; count = body.read(buffer)) {
      left -= count;
      if (left < 0) {
        throw new IOException(entry.getName() + ": expected " + entry.getSizeBytes() + " bytes, got more");
      }
      file.write(buffer, 0, count);
    }
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
