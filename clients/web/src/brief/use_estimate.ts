// When a take would be done if it were requested now.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import { useEffect, useState } from "react";

import { renders } from "../api/calls";
import { recheckReadiness } from "../readiness/use_readiness";

const DEBOUNCE_MS = 300;
const REFRESH_MS = 10_000;
const TIMEOUT_MS = 10_000;

export interface Estimate {
  readonly versionsAhead: number;
  /** Seconds until the take would be done. Not set until speeds have been measured. */
  readonly seconds: number | undefined;
}

/** The estimate for a take of this length; 0 is the default length. Not set while it is not known. */
export function useEstimate(seconds: number | undefined, stems: boolean, ready: boolean): Estimate | undefined {
  const [estimate, setEstimate] = useState<Estimate>();
  useEffect(() => {
    if (seconds === undefined || !ready) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const ask = async (): Promise<void> => {
      if (!document.hidden) setEstimate(await fetchEstimate(seconds, stems, controller.signal));
      if (!controller.signal.aborted) timer = setTimeout(() => void ask(), REFRESH_MS);
    };
    timer = setTimeout(() => void ask(), DEBOUNCE_MS);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [seconds, stems, ready]);
  return ready && seconds !== undefined ? estimate : undefined;
}

async function fetchEstimate(seconds: number, stems: boolean, signal: AbortSignal): Promise<Estimate | undefined> {
  try {
    const response = await renders.estimateRender({ seconds, stems }, { signal, timeoutMs: TIMEOUT_MS });
    const end = response.estimatedEndTime;
    return {
      versionsAhead: response.versionsAhead,
      seconds: end === undefined ? undefined : (timestampMs(end) - Date.now()) / 1000,
    };
  } catch (thrown) {
    // A take is rendered without it, but not without the service.
    if (!signal.aborted && callError(thrown).code === Code.Unavailable) recheckReadiness();
    return;
  }
}
