import { create } from "@bufbuild/protobuf";
import { type Job, JobSchema, JobState } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import {
  formatFilters,
  isListed,
  type LibraryFilters,
  listFields,
  NO_FILTERS,
  parseFilters,
  parseLabel,
} from "./filters";

const all: LibraryFilters = {
  text: "slow & dark = 100 % “Moll”",
  personaId: "midnight-808",
  label: "project=a=b&c",
  state: "active",
};

function job(prompt: string, state = JobState.DONE): Job {
  return create(JobSchema, { state, brief: { prompt, personaId: "midnight-808", labels: { project: "night" } } });
}

describe("filters in the address", () => {
  it("read back to what was written", () => {
    expect(parseFilters(formatFilters(all))).toEqual(all);
    for (const state of ["any", "done", "failed", "cancelled"] as const)
      expect(parseFilters(formatFilters({ ...NO_FILTERS, state }))).toEqual({ ...NO_FILTERS, state });
  });

  it("are an empty query if there are none", () => {
    expect(formatFilters(NO_FILTERS)).toBe("");
    expect(parseFilters("")).toEqual(NO_FILTERS);
  });

  it("ignore what no service would take", () => {
    expect(parseFilters(`q=${"x".repeat(257)}&state=dancing&page=2`)).toEqual(NO_FILTERS);
  });
});

describe("a label", () => {
  it.each([
    ["project=night", ["project", "night"]],
    [" project = night drive ", ["project", "night drive"]],
    ["a=b=c", ["a", "b=c"]],
    ["a=", ["a", ""]],
  ])("is read from %o", (text, label) => {
    expect(parseLabel(text)).toEqual(label);
  });

  it.each(["", "project", "=night"])("is not complete in %o", (text) => {
    expect(parseLabel(text)).toBeUndefined();
    expect(listFields({ ...NO_FILTERS, label: text }).labels).toEqual({});
  });
});

describe("a job that has changed", () => {
  it.each<[Partial<LibraryFilters>, boolean]>([
    [{}, true],
    [{ text: "STRINGS" }, true],
    [{ text: "brass" }, false],
    [{ personaId: "midnight-808" }, true],
    [{ personaId: "neon-drift" }, false],
    [{ label: "project=night" }, true],
    [{ label: "project=day" }, false],
    [{ label: "unfinished" }, true],
    [{ state: "done" }, true],
    [{ state: "active" }, false],
    [{ text: "strings", label: "project=day" }, false],
  ])("stays listed as the services would list it: %o", (filters, listed) => {
    expect(isListed(job("slow Strings"), { ...NO_FILTERS, ...filters })).toBe(listed);
  });

  it("is active while it waits, runs or is being cancelled", () => {
    const active = [JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING];
    expect(active.every((state) => isListed(job("x", state), { ...NO_FILTERS, state: "active" }))).toBe(true);
  });
});
