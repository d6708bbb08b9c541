import { create } from "@bufbuild/protobuf";
import { type Job, JobSchema } from "@sonichaos/client/gen/sonichaos/jobs/v1/job_pb.js";
import { describe, expect, it } from "vitest";

import { MergedJobs, type PageReader } from "./merged_jobs";

function jobsOf(...ids: readonly string[]): Job[] {
  return ids.map((jobId) => create(JobSchema, { jobId }));
}

/** A service with these pages; the token of a page is its number. */
function service(...pages: readonly (readonly string[])[]): PageReader {
  return async (pageToken) => {
    const page = Number(pageToken || "0");
    return { jobs: jobsOf(...(pages[page] ?? [])), nextPageToken: page + 1 < pages.length ? String(page + 1) : "" };
  };
}

async function ids(merged: MergedJobs, count: number): Promise<readonly string[]> {
  return (await merged.next(count)).map(({ jobId }) => jobId);
}

describe("the jobs of both services", () => {
  it("come newest first, whatever pages they are on", async () => {
    const merged = new MergedJobs([service(["j-9", "j-5"], ["j-2"]), service(["j-8"], ["j-7", "j-1"])]);
    expect(await ids(merged, 4)).toEqual(["j-9", "j-8", "j-7", "j-5"]);
    expect(merged.hasMore).toBe(true);
    expect(await ids(merged, 4)).toEqual(["j-2", "j-1"]);
    expect(merged.hasMore).toBe(false);
    expect(await ids(merged, 4)).toEqual([]);
  });

  it("come once also where both services list one", async () => {
    const merged = new MergedJobs([service(["j-3", "j-2"]), service(["j-3", "j-1"])]);
    expect(await ids(merged, 10)).toEqual(["j-3", "j-2", "j-1"]);
  });

  it("skip empty pages, and say that there may be more after many of them", async () => {
    const empty = Array.from({ length: 50 }, () => []);
    const merged = new MergedJobs([service(...empty, ["j-1"]), service([])]);
    expect(await ids(merged, 5)).toEqual([]);
    expect(merged.hasMore).toBe(true);
    const found = [...(await ids(merged, 5)), ...(await ids(merged, 5)), ...(await ids(merged, 5))];
    expect(found).toEqual(["j-1"]);
    expect(merged.hasMore).toBe(false);
  });

  it("are those of one service while the other does not answer", async () => {
    const merged = new MergedJobs([service(["j-2", "j-1"]), () => Promise.reject(new Error("down"))]);
    expect(await ids(merged, 5)).toEqual(["j-2", "j-1"]);
    expect(merged.problems).toEqual([new Error("down")]);
  });
});
