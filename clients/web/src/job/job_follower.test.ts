import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport, type HandlerContext } from "@connectrpc/connect";
import {
  EventKind,
  type Job,
  JobEventSchema,
  JobSchema,
  JobState,
  ProgressTrack,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { JobsService, type WatchJobRequest } from "@sonichaos/client/gen/sonichaos/jobs/v1/jobs_service_pb.js";
import { describe, expect, it } from "vitest";

import { JobFollower, type JobSnapshot } from "./job_follower";

const JOB_ID = "j-00000000000000000000000001";
const RUNNING = create(JobSchema, {
  jobId: JOB_ID,
  versions: [{ number: 1, state: JobState.RUNNING }],
  lastSequence: 1n,
});
const DONE = create(JobSchema, {
  jobId: JOB_ID,
  versions: [{ number: 1, state: JobState.DONE, files: { bounce: { key: "bounce.wav" } } }],
  lastSequence: 4n,
});

function event(sequence: bigint, kind: EventKind, state = JobState.RUNNING) {
  return create(JobEventSchema, {
    jobId: JOB_ID,
    version: 1,
    sequence,
    kind,
    state,
    track: kind === EventKind.PROGRESS ? ProgressTrack.RENDER : ProgressTrack.UNSPECIFIED,
    fraction: 0.25,
  });
}

interface SmallService {
  readonly getJob: () => Job;
  readonly watchJob?: (request: WatchJobRequest, context: HandlerContext) => AsyncGenerator<object>;
}

/** JobsService in this process. */
function serve(service: SmallService) {
  const transport = createRouterTransport(({ service: add }) => {
    add(JobsService, {
      getJob: () => ({ job: service.getJob() }),
      ...(service.watchJob === undefined ? {} : { watchJob: service.watchJob }),
    });
  });
  return createClient(JobsService, transport);
}

const nowhere = serve({
  getJob: () => {
    throw new ConnectError("no such job", Code.NotFound);
  },
});

/** Follows until a snapshot fits; every snapshot before it, and that one. */
async function followUntil(follower: JobFollower, fits: (snapshot: JobSnapshot) => boolean): Promise<JobSnapshot[]> {
  const seen: JobSnapshot[] = [];
  await new Promise<void>((resolve) => {
    const stop = follower.subscribe(() => {
      seen.push(follower.snapshot());
      if (!fits(follower.snapshot())) return;
      stop();
      resolve();
    });
  });
  return seen;
}

describe("following a job", () => {
  it("resumes by sequence after a broken stream, and reads the files when the version is done", async () => {
    const asked: bigint[] = [];
    let isDone = false;
    const jobs = serve({
      getJob: () => (isDone ? DONE : RUNNING),
      async *watchJob({ afterSequence }) {
        asked.push(afterSequence);
        if (afterSequence === 1n) {
          yield { event: event(2n, EventKind.PROGRESS) };
          throw new ConnectError("killed", Code.Unavailable);
        }
        yield { event: event(3n, EventKind.PROGRESS) };
        isDone = true;
        yield { event: event(4n, EventKind.STATE, JobState.DONE) };
      },
    });
    const seen = await followUntil(
      new JobFollower(JOB_ID, [nowhere, jobs]),
      ({ job }) => job?.versions[0]?.files?.bounce !== undefined,
    );
    expect(asked).toEqual([1n, 2n]);
    expect(seen.at(-1)).toMatchObject({ connected: true, problem: undefined, job: { lastSequence: 4n } });
    const sequences = seen.map(({ job }) => job?.lastSequence ?? 0n);
    expect(sequences).toEqual([...sequences].sort((a, b) => Number(a - b)));
  });

  it("says that the connection is lost, and asks until the service answers again", async () => {
    let calls = 0;
    const jobs = serve({
      getJob: () => {
        calls += 1;
        if (calls < 3) throw new ConnectError("refused", Code.Unavailable);
        return DONE;
      },
    });
    const seen = await followUntil(new JobFollower(JOB_ID, [jobs]), ({ job }) => job !== undefined);
    expect(seen[0]).toMatchObject({ connected: false, job: undefined });
    expect(seen[0]?.problem).toBeInstanceOf(ConnectError);
    expect(seen.at(-1)).toMatchObject({ connected: true, problem: undefined });
  });

  it("knows a job that never was from one that was deleted", async () => {
    const unknown = await followUntil(new JobFollower(JOB_ID, [nowhere]), ({ absent }) => absent !== undefined);
    expect(unknown.at(-1)?.absent).toBe("unknown");

    const stored = new Set([JOB_ID]);
    const jobs = serve({
      getJob: () => {
        if (stored.has(JOB_ID)) return DONE;
        throw new ConnectError("no such job", Code.NotFound);
      },
    });
    const follower = new JobFollower(JOB_ID, [jobs]);
    const stop = follower.subscribe(() => undefined);
    await followUntil(follower, ({ job }) => job !== undefined);
    stored.clear();
    follower.refresh();
    const deleted = await followUntil(follower, ({ absent }) => absent !== undefined);
    stop();
    expect(deleted.at(-1)).toMatchObject({ absent: "deleted", job: { jobId: JOB_ID } });
  });

  it("does not take a service that does not answer for a job that does not exist", async () => {
    const down = serve({
      getJob: () => {
        throw new ConnectError("refused", Code.Unavailable);
      },
    });
    const seen = await followUntil(new JobFollower(JOB_ID, [nowhere, down]), ({ problem }) => problem !== undefined);
    expect(seen.at(-1)).toMatchObject({ absent: undefined, connected: false });
  });

  it("watches a version that was added after all had ended", async () => {
    const withSecond = (state: JobState, lastSequence: bigint) =>
      create(JobSchema, {
        jobId: JOB_ID,
        versions: [
          { number: 1, state: JobState.DONE },
          { number: 2, state, baseVersion: 1 },
        ],
        lastSequence,
      });
    let current = DONE;
    const watched: number[] = [];
    const jobs = serve({
      getJob: () => current,
      async *watchJob({ version }) {
        watched.push(version);
        yield { event: create(JobEventSchema, { ...event(6n, EventKind.PROGRESS), version: 2 }) };
        current = withSecond(JobState.DONE, 7n);
      },
    });
    const follower = new JobFollower(JOB_ID, [jobs]);
    const stop = follower.subscribe(() => undefined);
    await followUntil(follower, ({ job }) => job !== undefined);
    current = withSecond(JobState.RUNNING, 5n);
    follower.refresh();
    await followUntil(follower, ({ job }) => job?.versions[1]?.state === JobState.DONE);
    stop();
    expect(watched).toEqual([2]);
  });

  it("holds no stream while the page is hidden, and goes on after the last event when it is seen again", async () => {
    const streams: { readonly afterSequence: bigint; readonly signal: AbortSignal }[] = [];
    const jobs = serve({
      getJob: () => RUNNING,
      async *watchJob({ afterSequence }, { signal }) {
        streams.push({ afterSequence, signal });
        yield { event: event(afterSequence + 1n, EventKind.PROGRESS) };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    });
    const follower = new JobFollower(JOB_ID, [jobs]);
    const stop = follower.subscribe(() => undefined);
    await followUntil(follower, ({ job }) => job?.lastSequence === 2n);
    follower.setHidden(true);
    await expect.poll(() => streams.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(follower.snapshot()).toMatchObject({ connected: true, problem: undefined });
    follower.setHidden(false);
    await followUntil(follower, ({ job }) => job?.lastSequence === 3n);
    stop();
    expect(streams.map(({ afterSequence }) => afterSequence)).toEqual([1n, 2n]);
  });
});
