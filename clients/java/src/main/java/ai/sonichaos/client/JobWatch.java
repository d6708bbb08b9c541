package ai.sonichaos.client;

import ai.sonichaos.jobs.v1.JobEvent;
import ai.sonichaos.jobs.v1.JobsServiceGrpc.JobsServiceBlockingStub;
import ai.sonichaos.jobs.v1.WatchJobRequest;
import ai.sonichaos.jobs.v1.WatchJobResponse;
import io.grpc.Context;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.EnumSet;
import java.util.Iterator;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** Watches jobs across disconnects. */
public final class JobWatch {
  private static final Duration INITIAL_BACKOFF = Duration.ofMillis(200);
  private static final Duration MAX_BACKOFF = Duration.ofSeconds(5);
  private static final Duration MAX_RETRY_DELAY = Duration.ofMinutes(2);
  // Below the 60 s after which proxies end a quiet stream.
  private static final int HEARTBEAT_SECONDS = 20;
  private static final int MISSED_HEARTBEATS = 3;
  private static final int MAX_RETRIES = 20;
  private static final Set<Status.Code> RESUMABLE_WITHOUT_REASON =
      EnumSet.of(Status.Code.ABORTED, Status.Code.CANCELLED, Status.Code.INTERNAL, Status.Code.UNKNOWN);

  private JobWatch() {}

  /** Receives the events. */
  @FunctionalInterface
  public interface EventHandler {
    /** Called for each event; {@code cut} breaks the stream that it came on. */
    void onEvent(JobEvent event, Runnable cut);
  }

  /** Called at each disconnect. */
  @FunctionalInterface
  public interface DisconnectHandler {
    /** Called with the sequence number that the next stream resumes after. */
    void onDisconnect(long afterSequence, StatusRuntimeException error);
  }

  /**
   * Passes on every event of a job, once and in order, until the version reaches a final state. Reopens a broken stream after the last
   * event, by the rules of docs/errors.md.
   *
   * @param version the version whose final state ends the watch; 0: the newest version at the time of the call
   * @param afterSequence sequence number of the last event that the caller has, unsigned; 0: all events
   * @throws StatusRuntimeException if the stream cannot be resumed; what {@code events} throws is thrown too
   */
  public static void follow(
      JobsServiceBlockingStub jobs,
      String jobId,
      int version,
      long afterSequence,
      EventHandler events,
      DisconnectHandler disconnects)
      throws InterruptedException {
    follow(jobs, jobId, version, afterSequence, HEARTBEAT_SECONDS, events, disconnects);
  }

  /**
   * As above.
   *
   * @param heartbeatSeconds seconds of silence after which the service sends a heartbeat, 20 by default. After three times as many the
   *     stream is reopened: the connection is dead, although nothing says so.
   */
  public static void follow(
      JobsServiceBlockingStub jobs,
      String jobId,
      int version,
      long afterSequence,
      int heartbeatSeconds,
      EventHandler events,
      DisconnectHandler disconnects)
      throws InterruptedException {
    WatchJobRequest.Builder request =
        WatchJobRequest.newBuilder()
            .setJobId(jobId)
            .setVersion(version)
            .setAfterSequence(afterSequence)
            .setHeartbeatSeconds(heartbeatSeconds);
    AtomicInteger retries = new AtomicInteger();
    while (true) {
      StatusRuntimeException error = readStream(jobs, request, events, () -> retries.set(0));
      if (error == null) {
        return;
      }
      ErrorDetails details = ErrorDetails.of(error);
      if (!isResumable(error.getStatus().getCode(), details) || retries.incrementAndGet() > MAX_RETRIES) {
        throw error;
      }
      disconnects.onDisconnect(request.getAfterSequence(), error);
      Thread.sleep(delay(retries.get(), details).toMillis());
    }
  }

  /**
   * Reads one stream to its end; returns the error that it ended with, or null. An error of the handler is thrown.
   *
   * @param progress called for each event and heartbeat
   */
  private static StatusRuntimeException readStream(
      JobsServiceBlockingStub jobs, WatchJobRequest.Builder request, EventHandler events, Runnable progress) {
    try (Context.CancellableContext stream = Context.current().withCancellation();
        Silence silence = new Silence(MISSED_HEARTBEATS * request.getHeartbeatSeconds(), () -> stream.cancel(null))) {
      Context previous = stream.attach();
      try {
        Iterator<WatchJobResponse> responses = jobs.watchJob(request.build());
        while (true) {
          WatchJobResponse response;
          silence.start();
          try {
            if (!responses.hasNext()) {
              return null;
            }
            response = responses.next();
          } catch (StatusRuntimeException error) {
            return error;
          }
          silence.stop(); // the handler may take its time
          JobEvent event = response.getEvent();
          if (response.hasEvent() && Long.compareUnsigned(event.getSequence(), request.getAfterSequence()) <= 0) {
            continue;
          }
          progress.run();
          if (!response.hasEvent()) { // a heartbeat
            continue;
          }
          request.setAfterSequence(event.getSequence());
          events.onEvent(event, () -> stream.cancel(null));
        }
      } finally {
        stream.detach(previous);
      }
    }
  }

  /** Calls something once so many seconds have passed since the last start, unless it was stopped. */
  private static final class Silence implements AutoCloseable {
    private final ScheduledExecutorService timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "sonichaos watch");
              thread.setDaemon(true);
              return thread;
            });
    private final int limitSeconds;
    private final Runnable onSilence;
    private Future<?> due = CompletableFuture.completedFuture(null);

    Silence(int limitSeconds, Runnable onSilence) {
      this.limitSeconds = limitSeconds;
      this.onSilence = onSilence;
    }

    void start() {
      due = timer.schedule(onSilence, limitSeconds, TimeUnit.SECONDS);
    }

    void stop() {
      due.cancel(false);
    }

    @Override
    public void close() {
      timer.shutdownNow();
    }
  }

  /** Whether a stream that ended so may be resumed. An error that a service raised has a reason. */
  private static boolean isResumable(Status.Code code, ErrorDetails details) {
    if (code == Status.Code.UNAVAILABLE || details.retryAfter() != null) {
      return true;
    }
    return details.reason().isEmpty() && RESUMABLE_WITHOUT_REASON.contains(code);
  }

  private static Duration delay(int retries, ErrorDetails details) {
    Duration backoff = min(INITIAL_BACKOFF.multipliedBy(1L << Math.min(retries - 1, 10)), MAX_BACKOFF);
    Duration asked = details.retryAfter() == null ? Duration.ZERO : details.retryAfter();
    return min(asked.compareTo(backoff) > 0 ? asked : backoff, MAX_RETRY_DELAY);
  }

  private static Duration min(Duration first, Duration second) {
    return first.compareTo(second) < 0 ? first : second;
  }
}
