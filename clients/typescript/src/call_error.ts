// The details of an error of the services, as one plain value.

import { type Code, ConnectError } from "@connectrpc/connect";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** A field of the request that was refused. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** An error of a call. `docs/errors.md` lists the reasons, what they mean and their metadata. */
export interface CallError {
  readonly code: Code;
  /** What was expected, what was received and what to do. */
  readonly message: string;
  /** Such as "JOB_NOT_FOUND". Empty if no service raised the error, but a proxy or the connection. */
  readonly reason: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The first ten refused fields of INVALID_FIELD; `metadata.violations` is their number if there are more. */
  readonly violations: readonly FieldViolation[];
  /** Milliseconds after which to retry. undefined: retrying does not help. */
  readonly retryAfterMs: number | undefined;
}

/** The error that a call has thrown. */
export function callError(thrown: unknown): CallError {
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const violations = error.findDetails(BadRequestSchema).flatMap((refused) => refused.fieldViolations);
  return {
    code: error.code,
    message: error.rawMessage,
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    violations: violations.map(({ field, description }) => ({ field, description })),
    retryAfterMs: delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
  };
}
