// What is loaded, what is still warming, what does not answer. One poller for the whole tab.

import { useSyncExternalStore } from "react";

import { onBearerChange } from "../api/session";
import { type Readiness, ReadinessPoller } from "./readiness_poller";

const poller = new ReadinessPoller();
onBearerChange(poller.recheck);

/** Both services now, and after each change. */
export function useReadiness(): Readiness {
  return useSyncExternalStore(poller.subscribe, poller.current);
}

/** Ask the services now, for example after a call did not reach them. */
export function recheckReadiness(): void {
  poller.recheck();
}
