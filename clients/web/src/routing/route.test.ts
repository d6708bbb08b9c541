import { describe, expect, it } from "vitest";

import { hrefOf, parseRoute, type Route } from "./route";

const JOB = "j-0123456789abcdefghijklmnop";

describe("addresses", () => {
  const routes: Route[] = [
    { page: "compose" },
    { page: "compose", fromJobId: JOB },
    { page: "library" },
    { page: "library", query: "q=slow%20strings&state=done" },
    { page: "take", jobId: JOB },
  ];

  it.each(routes)("read back to the route that wrote them: %o", (route) => {
    expect(parseRoute(hrefOf(route))).toEqual(route);
  });

  it.each(["", "#", "#/nowhere", "#/takes/j-short", `#/takes/${JOB}/x`, `#/?from=${JOB}x`, "#/?from=../x"])(
    "that are unknown show the start page: %s",
    (hash) => {
      expect(parseRoute(hash)).toEqual({ page: "compose" });
    },
  );

  it("of the library without a filter have no question mark", () => {
    expect(parseRoute("#/library?")).toEqual({ page: "library" });
    expect(hrefOf({ page: "library", query: "" })).toBe("#/library");
  });
});
