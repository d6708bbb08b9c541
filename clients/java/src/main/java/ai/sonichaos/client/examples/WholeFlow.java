package ai.sonichaos.client.examples;

import ai.sonichaos.client.Connections;
import ai.sonichaos.client.Downloads;
import ai.sonichaos.client.JobWatch;
import ai.sonichaos.jobs.v1.Brief;
import ai.sonichaos.jobs.v1.CreateSignedUrlRequest;
import ai.sonichaos.jobs.v1.EventKind;
import ai.sonichaos.jobs.v1.FileKind;
import ai.sonichaos.jobs.v1.GetJobRequest;
import ai.sonichaos.jobs.v1.JobEvent;
import ai.sonichaos.jobs.v1.JobState;
import ai.sonichaos.jobs.v1.JobsServiceGrpc;
import ai.sonichaos.jobs.v1.JobsServiceGrpc.JobsServiceBlockingStub;
import ai.sonichaos.jobs.v1.Stem;
import ai.sonichaos.jobs.v1.Version;
import ai.sonichaos.jobs.v1.ZipEntry;
import ai.sonichaos.render.v1.CreateRenderRequest;
import ai.sonichaos.render.v1.ListPersonasRequest;
import ai.sonichaos.render.v1.RenderServiceGrpc;
import ai.sonichaos.render.v1.RenderServiceGrpc.RenderServiceBlockingStub;
import ai.sonichaos.render.v1.RerenderStemRequest;
import ai.sonichaos.render.v1.RerenderStemResponse;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/**
 * Renders a take, follows it through a cut connection, downloads the vocals out of the ZIP, renders them again, and downloads those.
 * Progress goes to stdout; its last line is one JSON object.
 *
 * <pre>--address 127.0.0.1:50071 --seconds 8 --out out</pre>
 */
public final class WholeFlow {
  private static final int CUT_AFTER = 3;
  private static final int SEED = 7;
  private static final List<String> OPTIONS =
      List.of("--address", "--separation-address", "--ca", "--api-key-file", "--prompt", "--persona", "--seconds", "--out");

  private final RenderServiceBlockingStub renders;
  private final JobsServiceBlockingStub jobs;
  private long events;
  private long resumedAfter;

  private WholeFlow(ManagedChannel channel) {
    renders = RenderServiceGrpc.newBlockingStub(channel);
    jobs = JobsServiceGrpc.newBlockingStub(channel);
  }

  public static void main(String[] arguments) throws Exception {
    Map<String, String> options = new HashMap<>();
    for (int index = 0; index < arguments.length; index += 2) {
      if (!OPTIONS.contains(arguments[index]) || index + 1 == arguments.length) {
        String problem = "unexpected argument " + arguments[index] + "; the options, each with a value: ";
        throw new IllegalArgumentException(problem + String.join(" ", OPTIONS));
      }
      options.put(arguments[index], arguments[index + 1]);
    }
    if (!options.containsKey("--out")) {
      throw new IllegalArgumentException("--out DIR is required");
    }
    File ca = options.containsKey("--ca") ? new File(options.get("--ca")) : null;
    String keyFile = options.get("--api-key-file");
    String apiKey = keyFile == null ? null : Files.readString(Path.of(keyFile)).strip();
    String address = options.getOrDefault("--address", "127.0.0.1:50071");
    ManagedChannel channel = Connections.to(address, ca, apiKey).build();
    try {
      new WholeFlow(channel).run(options, ca);
    } catch (StatusRuntimeException error) {
      Throwable cause = error.getStatus().getCause();
      System.err.println(address + ": " + error.getMessage() + (cause == null ? "" : ": " + cause.getMessage()));
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  private void run(Map<String, String> options, File ca) throws Exception {
    String jobId = createRender(options);
    System.out.println("job " + jobId);

    // The stream is cut once on purpose. Sequence numbers have no gaps, so a lost or repeated event would show.
    JobWatch.follow(jobs, jobId, 1, 0, this::onEvent, this::onDisconnect);
    if (resumedAfter == 0) {
      throw new IllegalStateException("expected a disconnect, got none");
    }

    Path out = Files.createDirectories(Path.of(options.get("--out")));
    String stemSha256 = download(jobId, finishedVersion(jobId, 1), "vocals.wav", out, ca);

    RerenderStemResponse again =
        renders.rerenderStem(
            RerenderStemRequest.newBuilder()
                .setRequestId(UUID.randomUUID().toString())
                .setJobId(jobId)
                .setBaseVersion(1)
                .setStem(Stem.STEM_VOCALS)
                .setSeed(SEED + 1)
                .setAllowDrift(true) // an example keeps the stem even if its timing exceeds the limits
                .build());
    JobWatch.follow(jobs, jobId, again.getVersion(), events, this::onEvent, this::onDisconnect);
    download(jobId, finishedVersion(jobId, again.getVersion()), "vocals.wav", out, ca);
    System.out.printf(
        "{\"jobId\":\"%s\",\"versions\":[1,%d],\"stem\":\"vocals\",\"stemSha256\":\"%s\",\"events\":%d,\"resumedAfter\":%d}%n",
        jobId, again.getVersion(), stemSha256, events, resumedAfter);
  }

  /** Creates the job and repeats the call: with the same request id a retry creates nothing twice. */
  private String createRender(Map<String, String> options) {
    String persona = options.get("--persona");
    if (persona == null) {
      persona = renders.listPersonas(ListPersonasRequest.getDefaultInstance()).getPersonas(0).getId();
    }
    Brief brief =
        Brief.newBuilder()
            .setPrompt(options.getOrDefault("--prompt", "slow dusty boom bap with a warm bass"))
            .setPersonaId(persona)
            .setSeed(SEED)
            .setSeconds(Double.parseDouble(options.getOrDefault("--seconds", "8")))
            .setStems(true)
            .build();
    CreateRenderRequest request =
        CreateRenderRequest.newBuilder().setRequestId(UUID.randomUUID().toString()).setBrief(brief).build();
    String jobId = renders.createRender(request).getJob().getJobId();
    if (!renders.createRender(request).getJob().getJobId().equals(jobId)) {
      throw new IllegalStateException("a retry created another job");
    }
    // An id of a server becomes part of a path here, so its form is checked.
    if (!jobId.matches("j-[0-9a-z]{26}")) {
      throw new IllegalStateException("expected an id such as j-..., got " + jobId);
    }
    return jobId;
  }

  private void onEvent(JobEvent event, Runnable cut) {
    events++;
    if (event.getSequence() != events) {
      throw new IllegalStateException("expected event " + events + ", got " + event.getSequence());
    }
    boolean progress = event.getKind() == EventKind.EVENT_KIND_PROGRESS;
    String what =
        progress
            ? event.getStage() + " " + Math.round(100 * event.getFraction()) + " %"
            : event.getKind() + " " + event.getState();
    System.out.println(event.getSequence() + " v" + event.getVersion() + " " + what);
    if (events == CUT_AFTER) {
      cut.run();
    }
  }

  private void onDisconnect(long after, StatusRuntimeException error) {
    if (resumedAfter == 0) {
      resumedAfter = after;
    }
    System.out.println("disconnected after event " + after + " (" + error.getStatus().getCode() + "), watching on");
  }

  /** The version, which must be done. */
  private Version finishedVersion(String jobId, int number) {
    GetJobRequest request = GetJobRequest.newBuilder().setJobId(jobId).build();
    Version version = jobs.getJob(request).getJob().getVersions(number - 1);
    if (version.getState() != JobState.JOB_STATE_DONE) {
      String problem = version.getState() + ": " + version.getError().getMessage();
      throw new IllegalStateException("v" + number + ": expected DONE, got " + problem);
    }
    System.out.println("v" + number + " is done: ZIP with SHA-256 " + version.getFiles().getZip().getSha256());
    return version;
  }

  /** One stem of the ZIP, by a Range request. Returns the digest, with which the file was compared. */
  private String download(String jobId, Version version, String name, Path folder, File ca) throws Exception {
    ZipEntry entry =
        version.getFiles().getZipEntriesList().stream()
            .filter(one -> one.getName().equals(name))
            .findFirst()
            .orElseThrow();
    CreateSignedUrlRequest sign =
        CreateSignedUrlRequest.newBuilder()
            .setJobId(jobId)
            .setVersion(version.getNumber())
            .setKind(FileKind.FILE_KIND_ZIP)
            .build();
    Path path = folder.resolve(jobId + "-v" + version.getNumber() + "-" + name);
    Downloads.entry(jobs.createSignedUrl(sign).getUrl(), entry, path, ca);
    System.out.println(path + ": SHA-256 " + entry.getSha256() + ", as stored");
    return entry.getSha256();
  }
}
