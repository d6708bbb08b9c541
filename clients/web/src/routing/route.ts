// The page's addresses, after "#": reloading and sharing them works with any file server.

import { useSyncExternalStore } from "react";

export type Route =
  | { readonly page: "compose" }
  | { readonly page: "library" }
  | { readonly page: "take"; readonly jobId: string };

const TAKE = /^#\/takes\/(j-[0-9a-z]{26})$/;

/** The route of an address's fragment. What is unknown is the start page. */
export function parseRoute(hash: string): Route {
  const jobId = TAKE.exec(hash)?.[1];
  if (jobId !== undefined) return { page: "take", jobId };
  return hash === "#/library" ? { page: "library" } : { page: "compose" };
}

/** The fragment of a route, for links. */
export function hrefOf(route: Route): string {
  if (route.page === "take") return `#/takes/${route.jobId}`;
  return route.page === "library" ? "#/library" : "#/";
}

export function navigate(route: Route): void {
  location.hash = hrefOf(route);
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

/** The route that the address bar shows. */
export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => location.hash));
}
