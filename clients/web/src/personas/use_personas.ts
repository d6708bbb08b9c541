// The built-in personas and the tenant's own.

import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";
import type { Persona } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useEffect, useState } from "react";

import { renders } from "../api/calls";
import { onBearerChange } from "../api/session";

const PAGE_SIZE = 200;
const MAX_PAGES = 50;
const RETRY_MS = 5000;
const FINAL_CODES: ReadonlySet<Code> = new Set([Code.Unauthenticated, Code.PermissionDenied]);

export interface Personas {
  /** All of them by id. Not set until they are read. */
  readonly personas: readonly Persona[] | undefined;
  readonly problem: unknown;
}

/** `ready`: whether the service answers; they are read once it does, and for each credential anew. */
export function usePersonas(ready: boolean): Personas {
  const [state, setState] = useState<Personas>({ personas: undefined, problem: undefined });
  useEffect(() => {
    if (!ready) return;
    let controller = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const read = async (signal: AbortSignal): Promise<void> => {
      try {
        const personas = await listPersonas(signal);
        if (!signal.aborted) setState({ personas, problem: undefined });
      } catch (problem) {
        if (signal.aborted) return;
        setState((before) => ({ ...before, problem }));
        // Another credential starts anew; without the right there is nothing to read.
        if (!FINAL_CODES.has(callError(problem).code)) timer = setTimeout(() => void read(signal), RETRY_MS);
      }
    };
    const stop = (): void => {
      controller.abort();
      clearTimeout(timer);
    };
    const forgetBearer = onBearerChange(() => {
      stop();
      controller = new AbortController();
      void read(controller.signal);
    });
    void read(controller.signal);
    return () => {
      stop();
      forgetBearer();
    };
  }, [ready]);
  return state;
}

async function listPersonas(signal: AbortSignal): Promise<readonly Persona[]> {
  const personas: Persona[] = [];
  let pageToken = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const response = await renders.listPersonas({ pageSize: PAGE_SIZE, pageToken }, { signal });
    personas.push(...response.personas);
    pageToken = response.nextPageToken;
    if (pageToken === "") break;
  }
  return personas;
}
