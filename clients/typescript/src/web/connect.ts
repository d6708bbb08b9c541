// gRPC-Web for browsers. The services speak gRPC, so a proxy such as Envoy translates (docker/envoy.yaml).

import type { Transport } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { type Bearer, sendBearer } from "../bearer.js";
import { forService, type ServiceName } from "../service_address.js";

/** Options of `connect`. */
export interface WebOptions {
  /** The service meant, as the proxy serves both. Default: "render", as for takes. */
  readonly service?: ServiceName;
  /** An API key or a JSON Web Token. A page must not contain a key; let your own server give out short-lived tokens. */
  readonly bearer?: Bearer;
}

/** A transport to the proxy at `address`, such as "https://studio.example.com" or "" for the page's own origin. */
export function connect(address: string, options: WebOptions = {}): Transport {
  const interceptors = [forService(options.service ?? "render")];
  if (options.bearer !== undefined) interceptors.push(sendBearer(options.bearer));
  return createGrpcWebTransport({ baseUrl: address.replace(/\/$/, ""), interceptors });
}
