// Asks both services how they are: fast while one is not ready, slowly afterwards, not at all in a hidden tab.

import { type CallError, callError } from "@sonichaos/client";
import type { GetModelInfoResponse as RenderModel } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import type { GetModelInfoResponse as SeparationModel } from "@sonichaos/client/gen/sonichaos/separation/v1/separation_pb.js";

import { renders, separations } from "../api/calls";
import {
  combine,
  NO_REPORT,
  parseReport,
  pollDelayMs,
  type ReadinessReport,
  type ServiceReadiness,
  UNKNOWN,
} from "./service_readiness";

const CALL_TIMEOUT_MS = 5000;

/** Both services now. */
export interface Readiness {
  /** Release of the server. Empty if the page is served by something else. */
  readonly release: string;
  readonly render: ServiceReadiness;
  readonly separation: ServiceReadiness;
  /** Not set until render_service has answered once. */
  readonly renderModel: RenderModel | undefined;
  /** Not set until separation_service has answered once. */
  readonly separationModel: SeparationModel | undefined;
}

const NOTHING_KNOWN: Readiness = {
  release: "",
  render: UNKNOWN,
  separation: UNKNOWN,
  renderModel: undefined,
  separationModel: undefined,
};

type Answer<T> = { readonly model: T; readonly error?: undefined } | { readonly error: CallError };

async function answerOf<T>(call: Promise<T>): Promise<Answer<T>> {
  try {
    return { model: await call };
  } catch (thrown) {
    return { error: callError(thrown) };
  }
}

async function fetchReport(): Promise<ReadinessReport> {
  try {
    const response = await fetch("readiness.json", { cache: "no-store", signal: AbortSignal.timeout(CALL_TIMEOUT_MS) });
    return response.ok ? parseReport(await response.json()) : NO_REPORT;
  } catch {
    return NO_REPORT; // served by something else, or not reachable: the calls will tell
  }
}

function isReady({ render, separation }: Readiness): boolean {
  return render.state === "serving" && separation.state === "serving";
}

function statesOf({ render, separation }: Readiness): string {
  return `${render.state} ${separation.state}`;
}

export class ReadinessPoller {
  private readiness = NOTHING_KNOWN;
  private attempts = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private round: "none" | "running" | "to be repeated" = "none";
  private readonly listeners = new Set<() => void>();

  /** For useSyncExternalStore. Polls while somebody listens. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (this.listeners.size === 1) {
      document.addEventListener("visibilitychange", this.recheck);
      addEventListener("online", this.recheck);
      this.recheck();
    }
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      document.removeEventListener("visibilitychange", this.recheck);
      removeEventListener("online", this.recheck);
      clearTimeout(this.timer);
    };
  };

  readonly current = (): Readiness => this.readiness;

  /** Ask now, and often for a while. In a hidden tab: once it is shown. */
  readonly recheck = (): void => {
    clearTimeout(this.timer);
    if (document.hidden || this.listeners.size === 0) return;
    this.attempts = 0;
    if (this.round === "none") void this.ask();
    else this.round = "to be repeated";
  };

  private async ask(): Promise<void> {
    this.round = "running";
    const options = { timeoutMs: CALL_TIMEOUT_MS };
    const [report, render, separation] = await Promise.all([
      fetchReport(),
      answerOf(renders.getModelInfo({}, options)),
      answerOf(separations.getModelInfo({}, options)),
    ]);
    const before = this.readiness;
    this.readiness = {
      release: report.release || before.release,
      render: combine(report.render, render.error),
      separation: combine(report.separation, separation.error),
      renderModel: render.error === undefined ? render.model : before.renderModel,
      separationModel: separation.error === undefined ? separation.model : before.separationModel,
    };
    this.attempts = statesOf(before) === statesOf(this.readiness) ? this.attempts + 1 : 0;
    for (const listener of this.listeners) listener();
    this.wait();
  }

  private wait(): void {
    const repeat = this.round === "to be repeated";
    this.round = "none";
    if (repeat) {
      this.recheck();
      return;
    }
    const { render, separation } = this.readiness;
    // Wrong credentials count against this host: wait for the next one, which calls recheck.
    if (render.state === "signed-out" || separation.state === "signed-out") return;
    if (document.hidden || this.listeners.size === 0) return;
    this.timer = setTimeout(() => void this.ask(), pollDelayMs(this.attempts, isReady(this.readiness)));
  }
}
