package ai.sonichaos.client;

import ai.sonichaos.jobs.v1.JobsServiceGrpc;
import ai.sonichaos.jobs.v1.ZipEntry;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Path;

/**
 * What a client does in trouble that its caller can see:
 *
 * <pre>
 * watch ADDRESS JOB_ID HEARTBEAT   how often a handler that throws is called, and what JobWatch throws
 * download URL SIZE SHA256 PATH    the first SIZE bytes; prints "saved", or "refused: " and why
 * </pre>
 */
public final class ClientFaults {
  private ClientFaults() {}

  private static int calls;

  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("watch")) {
      watch(arguments[1], arguments[2], Integer.parseInt(arguments[3]));
    } else {
      download(arguments[1], Long.parseLong(arguments[2]), arguments[3], Path.of(arguments[4]));
    }
  }

  private static void watch(String address, String jobId, int heartbeatSeconds) throws Exception {
    ManagedChannel channel = Connections.to(address, null, null).build();
    String message = "none";
    try {
      JobWatch.follow(
          JobsServiceGrpc.newBlockingStub(channel),
          jobId,
          0,
          0,
          heartbeatSeconds,
          (event, cut) -> {
            calls++;
            throw Status.UNAVAILABLE.withDescription("of the handler").asRuntimeException();
          },
          (after, error) -> {});
    } catch (StatusRuntimeException error) {
      message = error.getStatus().getDescription();
    } finally {
      channel.shutdownNow();
    }
    System.out.printf("{\"calls\":%d,\"error\":\"%s\"}%n", calls, message);
  }

  private static void download(String url, long sizeBytes, String sha256, Path path) throws Exception {
    ZipEntry entry = ZipEntry.newBuilder().setName("vocals.wav").setSizeBytes(sizeBytes).setSha256(sha256).build();
    try {
      Downloads.entry(url, entry, path, null);
      System.out.println("saved");
    } catch (IOException error) {
      System.out.println("refused: " + error.getMessage());
    }
  }
}
