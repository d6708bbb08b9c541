import { create } from "@bufbuild/protobuf";
import { Stem } from "@sonichaos/client/gen/sonichaos/jobs/v1/brief_pb.js";
import { JobSchema, type Version } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { barCount } from "./bars";
import { fieldNamed, problemsOf, type RerenderDraft, requestOf, startDraft } from "./rerender_draft";

const BRIEF = {
  prompt: "a waltz",
  personaId: "velvet-lounge",
  seconds: 20,
  tempoMap: { points: [{ bpm: 79, beatsPerBar: 4, beatUnit: 4 }] },
};
const TAKE = create(JobSchema, { jobId: "j-1", brief: BRIEF, versions: [{ number: 1, brief: BRIEF }] });
const UPLOAD = create(JobSchema, {
  jobId: "j-2",
  brief: { fileName: "mix.wav" },
  versions: [{ number: 1, brief: {} }],
});

function firstOf(job: typeof TAKE): Version {
  const [version] = job.versions;
  if (version === undefined) throw new Error("the job must have a version, got none");
  return version;
}

function draft(fields: Partial<RerenderDraft>): RerenderDraft {
  return { ...startDraft(TAKE, firstOf(TAKE), 7), seed: "7", ...fields };
}

const problems = (fields: Partial<RerenderDraft>) =>
  Object.fromEntries(problemsOf(draft(fields), TAKE, firstOf(TAKE), 7));

describe("the form of a re-render", () => {
  it("starts with the vocals of the version as they are, and another seed", () => {
    const start = startDraft(TAKE, firstOf(TAKE), 7);
    expect(start).toMatchObject({ stem: Stem.VOCALS, personaId: "velvet-lounge", prompt: "a waltz", toBar: "7" });
    expect(Number(start.seed)).toBeGreaterThanOrEqual(0);
    expect(problemsOf(start, TAKE, firstOf(TAKE), 7).size).toBe(0);
  });

  it("counts the bars of the take", () => {
    expect(barCount(firstOf(TAKE).brief)).toBe(7);
    expect(barCount(firstOf(UPLOAD).brief)).toBe(0);
  });

  it.each([
    [{ seed: "4294967296" }, "seed"],
    [{ seed: "-1" }, "seed"],
    [{ seed: "" }, "seed"],
    [{ prompt: "x".repeat(2001) }, "prompt"],
    [{ someBars: true, fromBar: "0" }, "from_bar"],
    [{ someBars: true, fromBar: "8" }, "from_bar"],
    [{ someBars: true, fromBar: "3", toBar: "2" }, "to_bar"],
    [{ someBars: true, toBar: "1.5" }, "to_bar"],
  ])("refuses %j at its field", (fields, name) => {
    expect(Object.keys(problems(fields))).toEqual([name]);
  });

  it("does not check bars that are not used", () => {
    expect(problems({ fromBar: "99" })).toEqual({});
  });

  it("asks an upload for everything that it lacks", () => {
    const found = problemsOf(draft({ personaId: "", prompt: " ", bpm: "", key: "" }), UPLOAD, firstOf(UPLOAD), 0);
    expect(new Set(found.keys())).toEqual(new Set(["persona_id", "prompt", "bpm", "key"]));
    const complete = draft({ bpm: "92.5", key: "A minor" });
    expect(problemsOf(complete, UPLOAD, firstOf(UPLOAD), 0).size).toBe(0);
    expect(requestOf(complete, UPLOAD, firstOf(UPLOAD), "r")).toMatchObject({
      tempo: { case: "bpm", value: 92.5 },
      key: "A minor",
    });
  });

  it("starts an upload with the tempo and key that it got before", () => {
    const known = create(JobSchema, {
      jobId: "j-2",
      brief: { fileName: "mix.wav" },
      versions: [
        { number: 1, brief: {} },
        { number: 2, brief: { tempoMap: { points: [{ bpm: 92.5 }] }, key: "A minor" } },
      ],
    });
    expect(startDraft(known, firstOf(known), 0)).toMatchObject({ bpm: "92.5", key: "A minor" });
    expect(startDraft(UPLOAD, firstOf(UPLOAD), 0)).toMatchObject({ bpm: "", key: "" });
  });

  it("asks for a prompt where that of the take was erased", () => {
    const erased = create(JobSchema, { jobId: "j-3", versions: [{ number: 1, brief: { ...BRIEF, prompt: "" } }] });
    const found = problemsOf(draft({ prompt: "" }), erased, firstOf(erased), 7);
    expect([...found.keys()]).toEqual(["prompt"]);
    expect(problemsOf(draft({ prompt: "new words" }), erased, firstOf(erased), 7).size).toBe(0);
  });

  it("leaves out what is as before, and tempo and key of a take", () => {
    const request = requestOf(draft({ bpm: "100", key: "C major" }), TAKE, firstOf(TAKE), "r-1");
    expect(request).toMatchObject({
      requestId: "r-1",
      jobId: "j-1",
      baseVersion: 1,
      stem: Stem.VOCALS,
      personaId: "",
      prompt: "",
      seed: 7,
      key: "",
      fromBar: 0,
      toBar: 0,
    });
    expect(request.tempo.case).toBeUndefined();
  });

  it("sends what was changed", () => {
    const changed = { personaId: "harbour-brass", prompt: "loud", someBars: true, fromBar: "2", toBar: "4" };
    expect(requestOf(draft({ ...changed, newPart: true }), TAKE, firstOf(TAKE), "r")).toMatchObject({
      personaId: "harbour-brass",
      prompt: "loud",
      fromBar: 2,
      toBar: 4,
      newPart: true,
    });
  });

  it("finds the field of a refusal", () => {
    expect(fieldNamed("from_bar")).toBe("from_bar");
    expect(fieldNamed("tempo_map.points[0].bpm")).toBe("bpm");
    expect(fieldNamed("request_id")).toBeUndefined();
  });
});
