// Where the two services are if one address is known. Both serve JobsService, each for the jobs that it owns.

import type { Interceptor } from "@connectrpc/connect";

/** render_service owns takes, separation_service uploads that were never re-rendered. */
export type ServiceName = "render" | "separation";

/**
 * The address of separation_service beside render_service: port 50072 for 50071, "separation.sock" for "render.sock". Any other
 * address is that of a proxy that serves both.
 */
export function separationAddress(renderAddress: string): string {
  return renderAddress.replace(/:50071\/?$/, ":50072").replace(/^(unix:.*\/)render\.sock$/, "$1separation.sock");
}

/**
 * Adds the header by which docker/envoy.yaml routes the calls that both services serve: the path of a JobsService call does not say
 * whose job it is about. The services ignore it.
 */
export function forService(service: ServiceName): Interceptor {
  return (next) => (request) => {
    request.header.set("sonichaos-service", service);
    return next(request);
  };
}
