// The page's addresses, after "#": reloading and sharing them works with any file server.

import { useMemo, useSyncExternalStore } from "react";

export type Route =
  /** `fromJobId`: the take whose brief is restored. */
  | { readonly page: "compose"; readonly fromJobId?: string | undefined }
  /** `query`: the filters, as library/filters.ts writes them. */
  | { readonly page: "library"; readonly query?: string | undefined }
  | { readonly page: "take"; readonly jobId: string };

const TAKE = /^#\/takes\/(j-[0-9a-z]{26})$/;
const COMPOSE_FROM = /^#\/\?from=(j-[0-9a-z]{26})$/;
const LIBRARY = /^#\/library(?:\?(.*))?$/s;

/** The route of an address's fragment. What is unknown is the start page. */
export function parseRoute(hash: string): Route {
  const jobId = TAKE.exec(hash)?.[1];
  if (jobId !== undefined) return { page: "take", jobId };
  const library = LIBRARY.exec(hash);
  if (library !== null) return library[1] ? { page: "library", query: library[1] } : { page: "library" };
  const fromJobId = COMPOSE_FROM.exec(hash)?.[1];
  return fromJobId === undefined ? { page: "compose" } : { page: "compose", fromJobId };
}

/** The fragment of a route, for links. */
export function hrefOf(route: Route): string {
  if (route.page === "take") return `#/takes/${route.jobId}`;
  if (route.page === "library") return route.query ? `#/library?${route.query}` : "#/library";
  return route.fromJobId === undefined ? "#/" : `#/?from=${route.fromJobId}`;
}

export function navigate(route: Route): void {
  location.hash = hrefOf(route);
}

/** As `navigate`, without a step in the browser's history. */
export function replaceRoute(route: Route): void {
  if (location.hash !== hrefOf(route)) location.replace(hrefOf(route));
}

function subscribe(listener: () => void): () => void {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
}

/** The route that the address bar shows. */
export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return useMemo(() => parseRoute(hash), [hash]);
}
