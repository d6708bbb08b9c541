// API keys and tokens, sent with each call.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** An API key or a JSON Web Token, or a function that returns one and is asked before each call. */
export type Bearer = string | (() => string | Promise<string>);

/** Adds the key or token to each call. */
export function sendBearer(bearer: Bearer): Interceptor {
  return (next) => async (request) => {
    const text = typeof bearer === "string" ? bearer : await bearer();
    if (!/^[\x21-\x7e]+$/.test(text)) {
      const problem = `a key or token must be printable ASCII without spaces, got ${text.length} characters`;
      throw new ConnectError(problem, Code.InvalidArgument);
    }
    request.header.set("authorization", `Bearer ${text}`);
    return next(request);
  };
}
