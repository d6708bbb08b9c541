// The built-in personas and the tenant's own.

import type { Persona } from "@sonichaos/client/gen/sonichaos/render/v1/render_pb.js";
import { useEffect, useState } from "react";

import { renders } from "../api/calls";

const PAGE_SIZE = 200;
const MAX_PAGES = 50;

export interface Personas {
  /** All of them by id. Not set until they are read. */
  readonly personas: readonly Persona[] | undefined;
  readonly problem: unknown;
}

/** `ready`: whether the service answers; they are read once it does. */
export function usePersonas(ready: boolean): Personas {
  const [state, setState] = useState<Personas>({ personas: undefined, problem: undefined });
  useEffect(() => {
    if (!ready) return;
    const controller = new AbortController();
    const read = async (): Promise<void> => {
      try {
        const personas = await listPersonas(controller.signal);
        if (!controller.signal.aborted) setState({ personas, problem: undefined });
      } catch (problem) {
        if (!controller.signal.aborted) setState((before) => ({ ...before, problem }));
      }
    };
    void read();
    return () => controller.abort();
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
