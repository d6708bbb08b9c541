// Who calls, and which servers the caller trusts: TLS, API keys, tokens and client certificates for Connect's gRPC transport.

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { ClientSessionOptions, SecureClientSessionOptions } from "node:http2";
import { connect as connectSocket, isIP } from "node:net";
import { Code, ConnectError, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager, type Http2SessionOptions } from "@connectrpc/connect-node";

import { type Bearer, sendBearer } from "../bearer.js";
import { forService, type ServiceName } from "../service_address.js";

/**
 * The HTTP/2 session of a connection, unless `connect` is given another: a ping after 20 s without data while calls run, none without a
 * call. A connection that does not answer one within 15 s is closed, and its calls end with Unavailable. Connect by itself sends none.
 */
export const DEFAULT_SESSION: Readonly<Http2SessionOptions> = {
  pingIntervalMs: 20_000,
  pingTimeoutMs: 15_000,
  pingIdleConnection: false,
};

/** How a client identifies itself, and which servers it trusts. */
export interface Credentials {
  /** PEM of the authority that signed the servers' certificates. Default: the public authorities. */
  readonly ca?: string;
  /** PEM of a client certificate with its chain, and of its private key. */
  readonly certificate?: string;
  readonly key?: string;
  /** An API key or a JSON Web Token, or a function that returns one and is asked before each call. */
  readonly bearer?: Bearer;
  /** Sends `bearer` even where the connection is not encrypted and leaves this machine. Default: false. */
  readonly allowPlaintextCredentials?: boolean;
}

/** Options of `connect`. */
export interface ConnectOptions {
  /** The service meant at an address that serves both (docker/envoy.yaml). Not needed for an address of one service. */
  readonly service?: ServiceName;
  /** Options of Connect's HTTP/2 session. Default: `DEFAULT_SESSION`. The services accept a ping every second. */
  readonly session?: Http2SessionOptions;
}

/** A connection to one service. */
export interface Connection {
  readonly transport: Transport;
  /** Ends running calls. An open connection would keep the process running. */
  close(): void;
}

/**
 * The credentials that the environment names, with the variables of the `sonichaos` command: `SONICHAOS_API_KEY`,
 * `SONICHAOS_API_KEY_FILE` or `SONICHAOS_TOKEN_FILE`; `SONICHAOS_CA`; `SONICHAOS_CERTIFICATE` with `SONICHAOS_KEY`. Key and token
 * files are read before each call, PEM files here. Throws if the variables do not fit together or a PEM file cannot be read.
 */
export function credentialsFromEnvironment(environment: NodeJS.ProcessEnv = process.env): Credentials {
  const bearers = ["SONICHAOS_API_KEY", "SONICHAOS_API_KEY_FILE", "SONICHAOS_TOKEN_FILE"];
  const named = bearers.filter((name) => environment[name]);
  if (named.length > 1) throw new Error(`expected one key or token, got ${named.join(" and ")}; unset all but one`);
  const bearerFile = environment.SONICHAOS_API_KEY_FILE || environment.SONICHAOS_TOKEN_FILE;
  // The error of a file that is not there would show its name.
  if (bearerFile && /^(sonichaos_[a-z2-7]{12}_|eyJ)/.test(bearerFile)) {
    throw new Error("expected the name of a file with a key or token, got what looks like the secret itself");
  }
  const readBearer = async (path: string): Promise<string> => (await readFile(path, "ascii")).trim();
  const bearer = bearerFile ? () => readBearer(bearerFile) : environment.SONICHAOS_API_KEY;
  const pem = (name: string): string | undefined => {
    const path = environment[name];
    return path ? readFileSync(path, "ascii") : undefined;
  };
  const ca = pem("SONICHAOS_CA");
  const certificate = pem("SONICHAOS_CERTIFICATE");
  const key = pem("SONICHAOS_KEY");
  return {
    ...(ca && { ca }),
    ...(certificate && { certificate }),
    ...(key && { key }),
    ...(bearer && { bearer }),
  };
}

/**
 * Connects to `https://host:port` (TLS), `host:port` (plain text) or `unix:///path`. The connection opens at the first call. Throws
 * if the credentials cannot be used there: a key or token is not sent in plain text over a network, unless that is allowed.
 */
export function connect(address: string, credentials: Credentials = {}, options: ConnectOptions = {}): Connection {
  if ((credentials.certificate === undefined) !== (credentials.key === undefined)) {
    throw new Error("a client certificate needs its private key: expected both, got one of them");
  }
  const { baseUrl, socket, isExposed } = parse(address, credentials);
  if (isExposed && credentials.bearer !== undefined && credentials.allowPlaintextCredentials !== true) {
    throw new Error(`${address} is plain text, so anyone on the way could read the key or token; expected https://`);
  }
  if (credentials.certificate !== undefined && !baseUrl.startsWith("https:")) {
    throw new Error(`a client certificate needs an address https://host:port, got ${address}`);
  }
  const session = new Http2SessionManager(baseUrl, options.session ?? DEFAULT_SESSION, socket);
  const interceptors = [explainHandshake(address)];
  if (options.service !== undefined) interceptors.push(forService(options.service));
  if (credentials.bearer !== undefined) interceptors.push(sendBearer(credentials.bearer));
  const transport = createGrpcTransport({ baseUrl, sessionManager: session, interceptors });
  return { transport, close: () => session.abort() };
}

interface Endpoint {
  readonly baseUrl: string;
  readonly socket: ClientSessionOptions | SecureClientSessionOptions;
  /** Whether others may read what is sent. */
  readonly isExposed: boolean;
}

function parse(address: string, credentials: Credentials): Endpoint {
  if (address.startsWith("unix:")) {
    const path = address.replace(/^unix:(\/\/(?=\/))?/, "");
    return { baseUrl: "http://localhost", socket: { createConnection: () => connectSocket(path) }, isExposed: false };
  }
  const url = new URL(/^https?:\/\//.test(address) ? address : `http://${address}`);
  if (url.pathname !== "/" || url.search !== "" || url.username !== "") {
    throw new Error(`an address must be https://host:port without a path, got ${address}`);
  }
  if (url.protocol === "http:") return { baseUrl: url.origin, socket: {}, isExposed: !isLoopback(url.hostname) };
  const { ca, certificate, key } = credentials;
  const socket = { ...(ca && { ca }), ...(certificate && key && { cert: certificate, key }) };
  return { baseUrl: url.origin, socket, isExposed: false };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || (isIP(host) === 4 && host.startsWith("127."));
}

// Node.js' codes: https://nodejs.org/api/tls.html#x509-certificate-error-codes
const OTHER_HOST = "ERR_TLS_CERT_ALTNAME_INVALID";
const OUT_OF_DATE: ReadonlySet<string> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);
const NOT_TRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** What to do about the certificate of a server; undefined if `error` is no error of a certificate. */
export function certificateAdvice(error: unknown): string | undefined {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? "";
  if (code === OTHER_HOST) return "its certificate is for another host; connect to a name that is in the certificate";
  if (OUT_OF_DATE.has(code)) return "its certificate is out of date; check this machine's clock, or have it renewed";
  if (NOT_TRUSTED.has(code))
    return "its certificate is not trusted; pass the authority that signed it (ca, SONICHAOS_CA)";
  return undefined;
}

/** A server that is not trusted is no server that does not answer: the code is Unauthenticated, which is not retried. */
function explainHandshake(address: string): Interceptor {
  return (next) => async (request) => {
    try {
      return await next(request);
    } catch (thrown) {
      const error = ConnectError.from(thrown);
      const advice = certificateAdvice(error.cause);
      if (advice === undefined) throw error;
      throw new ConnectError(`${address}: ${advice}`, Code.Unauthenticated, undefined, undefined, error.cause);
    }
  };
}
