package ai.sonichaos.client;

import ai.sonichaos.jobs.v1.Brief;
import ai.sonichaos.jobs.v1.JobsServiceGrpc;
import ai.sonichaos.jobs.v1.JobsServiceGrpc.JobsServiceBlockingStub;
import ai.sonichaos.jobs.v1.ListJobsRequest;
import ai.sonichaos.jobs.v1.ListJobsResponse;
import ai.sonichaos.jobs.v1.WatchJobRequest;
import ai.sonichaos.jobs.v1.WatchJobResponse;
import ai.sonichaos.render.v1.CreateRenderRequest;
import ai.sonichaos.render.v1.RenderServiceGrpc;
import io.grpc.ConnectivityState;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

/**
 * Prints facts about a client with the default options of its channel, as one JSON object. Arguments: address, id of a job that does not
 * end, and seconds. With seconds above 0 it reports on keepalive only: one channel with a call and one without, for so long.
 */
public final class ClientLimits {
  private record Watched(Status.Code code, int events) {}

  private ClientLimits() {}

  public static void main(String[] arguments) throws Exception {
    int seconds = Integer.parseInt(arguments[2]);
    if (seconds > 0) {
      reportKeepalive(arguments[0], arguments[1], seconds);
    } else {
      reportLimits(arguments[0], arguments[1]);
    }
  }

  private static void reportLimits(String address, String jobId) throws IOException {
    ManagedChannel channel = Connections.to(address, null, null).build();
    JobsServiceBlockingStub client = JobsServiceGrpc.newBlockingStub(channel);
    int jobs = 0;
    int pages = 0;
    String token = "";
    do {
      ListJobsResponse page =
          client.listJobs(ListJobsRequest.newBuilder().setPageSize(200).setPageToken(token).build());
      jobs += page.getJobsCount();
      pages++;
      token = page.getNextPageToken();
    } while (!token.isEmpty());

    Brief.Builder brief = Brief.newBuilder().setPrompt("p").setPersonaId("tone");
    for (int index = 0; index < 32; index++) {
      brief.putLabels("label" + index, "x".repeat(300));
    }
    Status refused = Status.OK;
    ErrorDetails details = null;
    try {
      RenderServiceGrpc.newBlockingStub(channel).createRender(CreateRenderRequest.newBuilder().setBrief(brief).build());
    } catch (StatusRuntimeException error) {
      refused = error.getStatus();
      details = ErrorDetails.of(error);
    }
    // -1 is the largest unsigned number.
    Watched watched = follow(client, jobId, 1, -1);
    channel.shutdownNow();
    System.out.printf(
        "{\"jobs\":%d,\"pages\":%d,\"refusalCode\":%d,\"refusalReason\":\"%s\",\"namedViolations\":%d,\"violations\":\"%s\","
            + "\"watchCode\":%d,\"watchEvents\":%d}%n",
        jobs,
        pages,
        refused.getCode().value(),
        details.reason(),
        details.violations().size(),
        details.metadata().get("violations"),
        watched.code().value(),
        watched.events());
  }

  /** Reads the events of a job that goes on until the time is over. */
  private static Watched follow(JobsServiceBlockingStub jobs, String jobId, int seconds, long after) {
    int events = 0;
    try {
      Iterator<WatchJobResponse> stream =
          jobs.withDeadlineAfter(seconds, TimeUnit.SECONDS)
              .watchJob(WatchJobRequest.newBuilder().setJobId(jobId).setAfterSequence(after).build());
      while (stream.hasNext()) {
        stream.next();
        events++;
      }
      return new Watched(Status.Code.OK, events);
    } catch (StatusRuntimeException error) {
      return new Watched(error.getStatus().getCode(), events);
    }
  }

  private static void reportKeepalive(String address, String jobId, int seconds) throws Exception {
    ManagedChannel idle = pinging(address);
    ManagedChannel busy = pinging(address);
    while (idle.getState(true) != ConnectivityState.READY) {
      Thread.sleep(20);
    }
    Watched watched = follow(JobsServiceGrpc.newBlockingStub(busy), jobId, seconds, 0);
    boolean connected = idle.getState(false) == ConnectivityState.READY;
    idle.shutdownNow();
    busy.shutdownNow();
    System.out.printf("{\"watchCode\":%d,\"idleConnected\":%b}%n", watched.code().value(), connected);
  }

  private static ManagedChannel pinging(String address) throws IOException {
    return Connections.to(address, null, null).keepAliveTime(10, TimeUnit.SECONDS).keepAliveWithoutCalls(true).build();
  }
}
