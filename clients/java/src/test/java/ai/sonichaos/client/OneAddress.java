package ai.sonichaos.client;

import ai.sonichaos.jobs.v1.GetJobRequest;
import ai.sonichaos.jobs.v1.JobsServiceGrpc;
import ai.sonichaos.jobs.v1.JobsServiceGrpc.JobsServiceBlockingStub;
import io.grpc.ManagedChannel;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Prints what a client reads through one address that serves both services, as one JSON object. Arguments: address, id of a take, id of
 * an upload's job that has ended.
 */
public final class OneAddress {
  private OneAddress() {}

  public static void main(String[] arguments) throws Exception {
    String address = arguments[0];
    ManagedChannel render =
        Connections.to(address, null, null).intercept(Connections.forService(Connections.Service.RENDER)).build();
    ManagedChannel separation =
        Connections.to(address, null, null).intercept(Connections.forService(Connections.Service.SEPARATION)).build();
    JobsServiceBlockingStub uploads = JobsServiceGrpc.newBlockingStub(separation);
    String take = read(JobsServiceGrpc.newBlockingStub(render), arguments[1]);
    String upload = read(uploads, arguments[2]);
    AtomicInteger events = new AtomicInteger();
    JobWatch.follow(uploads, arguments[2], 0, 0, (event, cut) -> events.incrementAndGet(), (after, error) -> {});
    render.shutdownNow();
    separation.shutdownNow();
    System.out.printf("{\"take\":\"%s\",\"upload\":\"%s\",\"events\":%d}%n", take, upload, events.get());
  }

  private static String read(JobsServiceBlockingStub jobs, String jobId) {
    return jobs.getJob(GetJobRequest.newBuilder().setJobId(jobId).build()).getJob().getJobId();
  }
}
