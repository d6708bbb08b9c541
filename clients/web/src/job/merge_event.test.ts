import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  EventKind,
  JobEventSchema,
  JobSchema,
  JobState,
  ProgressTrack,
  Stage,
} from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { mergeEvent, needsRead } from "./merge_event";

const JOB = create(JobSchema, {
  jobId: "j-1",
  state: JobState.QUEUED,
  versions: [{ number: 1, state: JobState.QUEUED, queuePosition: 2 }],
  latest: { number: 1, state: JobState.QUEUED },
  lastSequence: 1n,
});

function event(sequence: bigint, fields: MessageInitShape<typeof JobEventSchema>) {
  return create(JobEventSchema, { jobId: "j-1", version: 1, sequence, state: JobState.RUNNING, ...fields });
}

const started = event(2n, { kind: EventKind.STATE, eventTime: { seconds: 10n } });
const denoising = event(3n, {
  kind: EventKind.PROGRESS,
  track: ProgressTrack.RENDER,
  stage: Stage.DENOISE,
  fraction: 0.5,
});

describe("merging an event into a job", () => {
  it("moves version, job and latest to the state of the event and ends the wait in the queue", () => {
    const job = mergeEvent(JOB, started);
    expect(job.state).toBe(JobState.RUNNING);
    expect(job.latest?.state).toBe(JobState.RUNNING);
    expect(job.versions[0]?.state).toBe(JobState.RUNNING);
    expect(job.versions[0]?.queuePosition).toBeUndefined();
    expect(job.versions[0]?.startTime?.seconds).toBe(10n);
    expect(job.lastSequence).toBe(2n);
  });

  it("keeps the newest event of each track", () => {
    const stems = event(5n, { kind: EventKind.PROGRESS, track: ProgressTrack.STEMS, stage: Stage.SEPARATE });
    const later = event(4n, { kind: EventKind.PROGRESS, track: ProgressTrack.RENDER, fraction: 0.8 });
    const job = [started, denoising, later, stems].reduce(mergeEvent, JOB);
    const fractions = job.versions[0]?.progress.map((progress) => [progress.track, progress.fraction]);
    expect(fractions).toEqual([
      [ProgressTrack.RENDER, 0.8],
      [ProgressTrack.STEMS, 0],
    ]);
  });

  it("changes nothing for an event that the job contains, and never the job that it was given", () => {
    const job = [started, denoising].reduce(mergeEvent, JOB);
    expect(mergeEvent(job, started)).toBe(job);
    expect(JOB.versions[0]?.state).toBe(JobState.QUEUED);
  });

  it("shows why a version waits until its work goes on", () => {
    const waits = event(3n, {
      kind: EventKind.PROGRESS,
      track: ProgressTrack.RENDER,
      error: { message: "store down" },
    });
    const job = [started, waits].reduce(mergeEvent, JOB);
    expect(job.versions[0]?.waiting?.message).toBe("store down");
    expect(job.versions[0]?.error).toBeUndefined();
    const goesOn = event(4n, { kind: EventKind.PROGRESS, track: ProgressTrack.RENDER });
    expect(mergeEvent(job, goesOn).versions[0]?.waiting).toBeUndefined();
  });

  it("takes the error of a failure, and forgets it when the version is tried again", () => {
    const failed = event(3n, { kind: EventKind.STATE, state: JobState.FAILED, error: { message: "no memory" } });
    const job = [started, failed].reduce(mergeEvent, JOB);
    expect(job.versions[0]?.error?.message).toBe("no memory");
    expect(job.versions[0]?.waiting).toBeUndefined();
    const again = event(4n, { kind: EventKind.STATE, state: JobState.QUEUED });
    expect(mergeEvent(job, again).versions[0]?.error).toBeUndefined();
  });

  it("leaves the state of the job to its first version", () => {
    const two = create(JobSchema, {
      jobId: "j-1",
      state: JobState.DONE,
      versions: [
        { number: 1, state: JobState.DONE },
        { number: 2, state: JobState.QUEUED },
      ],
      latest: { number: 2, state: JobState.QUEUED },
      lastSequence: 1n,
    });
    const job = mergeEvent(two, event(2n, { version: 2, kind: EventKind.STATE }));
    expect(job.state).toBe(JobState.DONE);
    expect(job.latest?.state).toBe(JobState.RUNNING);
  });
});

describe("reading a job again", () => {
  it("is needed for states, files and new versions, not for progress", () => {
    expect(needsRead(JOB, started)).toBe(true);
    expect(needsRead(JOB, denoising)).toBe(false);
    expect(needsRead(JOB, event(4n, { kind: EventKind.BOUNCE_READY }))).toBe(true);
    expect(needsRead(JOB, event(4n, { kind: EventKind.PROGRESS, version: 2 }))).toBe(true);
  });
});
