import { Code } from "@connectrpc/connect";
import { callError } from "@sonichaos/client";

import { en } from "../messages/en";
import style from "./call_problem.module.css";

interface CallProblemProps {
  /** What a call has thrown. */
  readonly thrown: unknown;
}

/** The error of a call: the service's own message, its reason, and when to retry. */
export function CallProblem({ thrown }: CallProblemProps) {
  const { code, message, reason, retryAfterMs } = callError(thrown);
  const unreachable = reason === "" && (code === Code.Unavailable || code === Code.Unknown);
  return (
    <div className={style.problem} role="alert">
      <p>{unreachable ? en.errors.unreachable : message}</p>
      {reason !== "" && <p className="muted">{en.errors.reason(reason)}</p>}
      {retryAfterMs !== undefined && <p>{en.errors.retryAfter(Math.ceil(retryAfterMs / 1000))}</p>}
    </div>
  );
}
