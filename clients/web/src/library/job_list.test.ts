import { create } from "@bufbuild/protobuf";
import { type Job, JobSchema, JobState, ProgressTrack } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { doneFraction, isDeletable, withJob, withNewest, withoutJob } from "./job_list";

function job(jobId: string, ...states: readonly JobState[]): Job {
  const versions = states.map((state, index) => ({ number: index + 1, state }));
  return create(JobSchema, { jobId, versions, latest: { number: versions.length } });
}

function ids(jobs: readonly Job[]): readonly string[] {
  return jobs.map(({ jobId }) => jobId);
}

describe("the list", () => {
  const listed = [job("j-5"), job("j-3")];

  it("takes a job in where its time of creation puts it", () => {
    expect(ids(withJob(listed, job("j-9"), true))).toEqual(["j-9", "j-5", "j-3"]);
    expect(ids(withJob(listed, job("j-4"), true))).toEqual(["j-5", "j-4", "j-3"]);
  });

  it("leaves a job that is older than all loaded ones for a later page, if there is one", () => {
    expect(ids(withJob(listed, job("j-1"), true))).toEqual(["j-5", "j-3"]);
    expect(ids(withJob(listed, job("j-1"), false))).toEqual(["j-5", "j-3", "j-1"]);
  });

  it("has a changed job in the place of the old one", () => {
    const changed = job("j-3", JobState.DONE);
    expect(withJob(listed, changed, false)).toEqual([listed[0], changed]);
    expect(ids(withoutJob(listed, "j-5"))).toEqual(["j-3"]);
  });
});

describe("the newest jobs read again", () => {
  const listed = [job("j-9"), job("j-7"), job("j-5"), job("j-3")];

  it("take the place of those that were listed, and keep the older ones", () => {
    expect(ids(withNewest(listed, [job("j-A"), job("j-9"), job("j-5")], false))).toEqual(["j-A", "j-9", "j-5", "j-3"]);
  });

  it("are all if there are no more", () => {
    expect(ids(withNewest(listed, [job("j-9")], true))).toEqual(["j-9"]);
    expect(ids(withNewest(listed, [], true))).toEqual([]);
  });
});

describe("a job", () => {
  it("is not replaced by an answer that is older than its events", () => {
    const now = { ...job("j-3", JobState.DONE), lastSequence: 9n };
    expect(withJob([now], { ...job("j-3", JobState.RUNNING), lastSequence: 8n }, false)).toEqual([now]);
  });

  it("can be deleted once none of its versions is being worked on", () => {
    expect(isDeletable(job("j-1", JobState.DONE, JobState.FAILED, JobState.CANCELLED))).toBe(true);
    expect(isDeletable(job("j-1", JobState.DONE, JobState.QUEUED))).toBe(false);
    expect(isDeletable(job("j-1", JobState.CANCELLING))).toBe(false);
  });

  it("is half done when a take with stems is rendered", () => {
    const progress = [{ track: ProgressTrack.RENDER, fraction: 1 }];
    const [version] = create(JobSchema, { versions: [{ number: 1, progress, stemsWanted: true }] }).versions;
    const [upload] = create(JobSchema, {
      versions: [{ number: 1, stemsWanted: true, progress: [{ track: ProgressTrack.STEMS, fraction: 0.25 }] }],
    }).versions;
    expect(version && doneFraction(version, false)).toBe(0.5);
    expect(version && doneFraction({ ...version, stemsWanted: false }, false)).toBe(1);
    expect(upload && doneFraction(upload, true)).toBe(0.25);
  });
});
