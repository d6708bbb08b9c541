import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ResolvedBriefSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { JobSchema, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { ageText, retentionText, stateText, tempoText, titleOf } from "./job_words";

const NOW = new Date("2026-11-29T12:00:00Z");

describe("the title of a job", () => {
  it("is its prompt, or the name of its file", () => {
    expect(titleOf(create(JobSchema, { brief: { prompt: "slow", personaId: "p" } }))).toBe("slow");
    expect(titleOf(create(JobSchema, { brief: { fileName: "song.wav" } }))).toBe("song.wav");
  });

  it("is there also without either", () => {
    expect(titleOf(create(JobSchema, { brief: { personaId: "p" } }))).not.toBe("");
    expect(titleOf(create(JobSchema, {}))).not.toBe("");
  });
});

describe("the age of a job", () => {
  it.each([
    [5, "now"],
    [90, "1 minute ago"],
    [2 * 3600, "2 hours ago"],
    [86_400, "yesterday"],
    [3 * 86_400, "3 days ago"],
  ])("%i s", (seconds, words) => {
    expect(ageText(new Date(NOW.getTime() - seconds * 1000), NOW)).toBe(words);
  });

  it("is its day after two weeks", () => {
    expect(ageText(new Date("2026-01-31T12:00:00Z"), NOW)).toContain("2026");
  });
});

describe("the words of a job", () => {
  it("say until when it is kept, once nothing is being worked on", () => {
    const purgeTime = timestampFromDate(new Date("2026-12-24T18:00:00Z"));
    expect(retentionText(create(JobSchema, { purgeTime }))).toContain("Dec 24, 2026");
    expect(retentionText(create(JobSchema, { versions: [{ state: JobState.DONE }] }))).toBe("Kept until you delete it");
    expect(retentionText(create(JobSchema, { versions: [{ state: JobState.RUNNING }] }))).toBe("");
  });

  it("name the version that a state is about, and what is ahead of it", () => {
    const versions = [
      { number: 1, state: JobState.DONE },
      { number: 2, state: JobState.QUEUED, queuePosition: 3 },
    ];
    expect(stateText(create(JobSchema, { versions, latest: { number: 2 } }))).toBe("v2: Waiting, 3 ahead");
    expect(stateText(create(JobSchema, { versions: versions.slice(0, 1) }))).toBe("Done");
  });

  it("say that the newest version was deleted, whatever its state is", () => {
    const versions = [{ number: 1 }, { number: 2, state: JobState.DONE, deleteTime: timestampFromDate(new Date(0)) }];
    expect(stateText(create(JobSchema, { versions, latest: { number: 2, state: JobState.DONE } }))).toBe("v2: Deleted");
  });

  it("say that a tempo changes", () => {
    const points = [{ bpm: 90 }, { startSeconds: 4, bpm: 120.5 }];
    expect(tempoText(create(ResolvedBriefSchema, { tempoMap: { points } }))).toBe("from 90 BPM");
    expect(tempoText(create(ResolvedBriefSchema, { tempoMap: { points: points.slice(1) } }))).toBe("120.5 BPM");
    expect(tempoText(create(ResolvedBriefSchema, {}))).toBe("");
  });
});
