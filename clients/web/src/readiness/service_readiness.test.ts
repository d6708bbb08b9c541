import { Code } from "@connectrpc/connect";
import type { CallError } from "@sonichaos/client";
import { describe, expect, it } from "vitest";

import {
  combine,
  deviceName,
  NO_REPORT,
  parseReport,
  pollDelayMs,
  STEP_COUNT,
  stepsDone,
  UNKNOWN,
} from "./service_readiness";

function refused(code: Code, reason = ""): CallError {
  return { code, reason, message: "in words", metadata: {}, violations: [], retryAfterMs: undefined };
}

describe("the report of the services", () => {
  it("gives state, time and detail of each", () => {
    const report = parseReport({
      release: "1.2.3",
      services: {
        render_service: { state: "loading", stage: "loads its models", since: "2026-11-29T12:00:00Z", detail: "" },
        separation_service: { state: "failed", stage: "", since: 1_790_000_000, detail: "exit status 2" },
      },
    });
    expect(report.release).toBe("1.2.3");
    expect(report.render).toEqual({
      state: "loading",
      since: new Date("2026-11-29T12:00:00Z"),
      detail: "",
    });
    expect(report.separation?.since).toEqual(new Date(1_790_000_000_000));
    expect(report.separation?.detail).toBe("exit status 2");
  });

  it.each([null, [], "x", {}, { services: { render_service: { state: "dancing" } } }])(
    "is left out where it is not one: %o",
    (value) => {
      expect(parseReport(value)).toEqual(NO_REPORT);
    },
  );
});

describe("the state of a service", () => {
  it("is serving once it answers, whatever the report says", () => {
    expect(combine({ ...UNKNOWN, state: "warming" }, undefined).state).toBe("serving");
    expect(combine(undefined, refused(Code.PermissionDenied, "SCOPE_MISSING")).state).toBe("serving");
  });

  it("is that of the report while it does not answer", () => {
    expect(combine({ ...UNKNOWN, state: "loading" }, refused(Code.Unavailable)).state).toBe("loading");
  });

  it("follows from the error where the report is missing or of an earlier moment", () => {
    expect(combine(undefined, refused(Code.Unavailable)).state).toBe("unreachable");
    expect(combine({ ...UNKNOWN, state: "serving" }, refused(Code.Unavailable)).state).toBe("unreachable");
    expect(combine(undefined, refused(Code.PermissionDenied)).state).toBe("unreachable"); // by a proxy
    expect(combine(undefined, refused(Code.Unavailable, "WARMING")).state).toBe("warming");
    expect(combine(undefined, refused(Code.Unavailable, "DRAINING")).state).toBe("draining");
    expect(combine(undefined, refused(Code.Unauthenticated)).state).toBe("signed-out");
  });
});

describe("the steps to a service that serves", () => {
  it("are counted from its start", () => {
    const states = ["restarting", "starting", "loading", "warming", "serving"] as const;
    expect(states.map(stepsDone)).toEqual([0, 0, 1, 2, STEP_COUNT]);
  });

  it.each(["unknown", "stopped", "failed", "draining", "unreachable", "signed-out"] as const)(
    "are not shown for one that is not on the way: %s",
    (state) => {
      expect(stepsDone(state)).toBeUndefined();
    },
  );
});

describe("polling", () => {
  it("slows down while nothing changes, up to a limit", () => {
    const delays = [0, 1, 2, 3, 50].map((attempts) => pollDelayMs(attempts, false));
    expect(delays).toEqual([...delays].sort((a, b) => a - b));
    expect(delays.at(-1)).toBe(10_000);
  });

  it("goes on slowly once all is ready, to notice a service that stops", () => {
    expect(pollDelayMs(0, true)).toBeGreaterThan(pollDelayMs(50, false));
  });
});

describe("the device", () => {
  it("reads as a person writes it", () => {
    expect(deviceName({ device: "cpu x86_64 AVX512" })).toBe("CPU, x86_64 AVX512");
    expect(deviceName({ device: "NVIDIA H200" })).toBe("NVIDIA H200");
    expect(deviceName(undefined)).toBe("");
  });
});
