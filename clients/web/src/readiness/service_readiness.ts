// What is known about the two services: as `sonichaos up` reports them, and as their calls answer.

import { Code } from "@connectrpc/connect";
import type { CallError } from "@sonichaos/client";

const REPORTED_STATES = ["starting", "loading", "warming", "serving", "restarting", "stopped", "failed"] as const;

type ReportedState = (typeof REPORTED_STATES)[number];
export type ServiceState = ReportedState | "unknown" | "draining" | "unreachable" | "signed-out";

/** One service now. */
export interface ServiceReadiness {
  readonly state: ServiceState;
  /** Since when it is in this state. */
  readonly since: Date | undefined;
  /** Why it stopped, in its own words. Often empty. */
  readonly detail: string;
}

/** What /readiness.json says. Without it, both services are not set and the release is empty. */
export interface ReadinessReport {
  readonly release: string;
  readonly render: ServiceReadiness | undefined;
  readonly separation: ServiceReadiness | undefined;
}

export const UNKNOWN: ServiceReadiness = { state: "unknown", since: undefined, detail: "" };
export const NO_REPORT: ReadinessReport = { release: "", render: undefined, separation: undefined };

const FIRST_DELAY_MS = 1000;
const MAX_DELAY_MS = 10_000;
const READY_DELAY_MS = 30_000;
const DELAY_FACTOR = 1.5;

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function parseTime(value: unknown): Date | undefined {
  // Seconds since 1970, or RFC 3339.
  const time = typeof value === "number" ? new Date(value * 1000) : new Date(text(value));
  return Number.isNaN(time.getTime()) ? undefined : time;
}

function parseService(value: unknown): ServiceReadiness | undefined {
  const state = REPORTED_STATES.find((known) => known === member(value, "state"));
  if (state === undefined) return undefined;
  return {
    state,
    since: parseTime(member(value, "since")),
    detail: text(member(value, "detail")),
  };
}

/** Reads the JSON value of /readiness.json. What is missing or unknown is left out. */
export function parseReport(value: unknown): ReadinessReport {
  const services = member(value, "services");
  return {
    release: text(member(value, "release")),
    render: parseService(member(services, "render_service")),
    separation: parseService(member(services, "separation_service")),
  };
}

/** The state of a service from the report and from its answer to a call; `error` is not set if it answered. */
export function combine(reported: ServiceReadiness | undefined, error: CallError | undefined): ServiceReadiness {
  // A caller without the scope for this one call has still reached a service that serves.
  if (error === undefined || (error.code === Code.PermissionDenied && error.reason !== ""))
    return { ...(reported ?? UNKNOWN), state: "serving" };
  if (error.code === Code.Unauthenticated) return { ...UNKNOWN, state: "signed-out", detail: error.message };
  if (reported !== undefined && reported.state !== "serving") return reported;
  if (error.reason === "WARMING") return { ...UNKNOWN, state: "warming" };
  if (error.reason === "DRAINING") return { ...UNKNOWN, state: "draining" };
  return { ...UNKNOWN, state: "unreachable", detail: error.reason === "" ? "" : error.message };
}

const STEPS: readonly ServiceState[] = ["starting", "loading", "warming", "serving"];

/** How many of the steps to a service that serves are done, of three; undefined if it is not on the way. */
export function stepsDone(state: ServiceState): number | undefined {
  const step = STEPS.indexOf(state === "restarting" ? "starting" : state);
  return step < 0 ? undefined : step;
}

export const STEP_COUNT = STEPS.length - 1;

/** Milliseconds until the services are asked again, after `attempts` questions without a change. */
export function pollDelayMs(attempts: number, ready: boolean): number {
  return ready ? READY_DELAY_MS : Math.min(FIRST_DELAY_MS * DELAY_FACTOR ** attempts, MAX_DELAY_MS);
}

/** The device of an execution fingerprint as a person writes it: "CPU, x86_64 AVX512", "NVIDIA H200". */
export function deviceName(fingerprint: Readonly<Record<string, string>> | undefined): string {
  const device = fingerprint?.device ?? "";
  return device.startsWith("cpu ") ? `CPU, ${device.slice("cpu ".length)}` : device;
}
