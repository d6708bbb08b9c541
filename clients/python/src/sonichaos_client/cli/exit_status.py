"""Exit statuses, and how an error is put to people and to programs."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import grpc

from sonichaos_client.cli.summary import printable
from sonichaos_client.errors import ServiceNotRunning, SonichaosError

_MOST_CHARACTERS = 2000


class ExitStatus(IntEnum):
    """What the process ends with."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    MISMATCH = 3
    TRY_AGAIN = 75
    INTERRUPTED = 130


# The caller can change the request so that it would be taken.
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
    }
)
_REFUSAL_REASONS = frozenset({"WRONG_STATE", "SWITCHED_OFF", "UNSUPPORTED_BY_RENDERER", "TOO_LARGE"})


def exit_status(error: SonichaosError) -> ExitStatus:
    """The exit status that an error stands for."""
    if error.retry_after_s is not None or error.code is grpc.StatusCode.UNAVAILABLE:
        return ExitStatus.TRY_AGAIN
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and error.reason != "EXPIRED":
        return ExitStatus.TRY_AGAIN
    if error.code is grpc.StatusCode.DATA_LOSS:
        return ExitStatus.MISMATCH
    if error.code in _REFUSALS or error.reason in _REFUSAL_REASONS:
        return ExitStatus.REFUSED
    return ExitStatus.FAILED


def in_words(error: SonichaosError) -> str:
    """The error for people: what happened, each field that was refused, what is known, when to try again."""
    lines = [f"Error: {printable(error.message, _MOST_CHARACTERS)}"]
    lines += [
        printable(f"  {v.field}: {v.description}", _MOST_CHARACTERS)
        for v in error.violations
        if v.description not in error.message
    ]
    known = printable(error.metadata.get("known", ""), _MOST_CHARACTERS)
    if known and known not in error.message:
        lines.append(f"  known: {known}")
    if error.reason:
        lines.append(f"  reason: {error.reason}")
    if error.retry_after_s is not None:
        lines.append(f"  try again in {error.retry_after_s:.0f} s")
    elif isinstance(error, ServiceNotRunning):
        lines.append(
            "  addresses: --render-address, --separation-address, SONICHAOS_RENDER_ADDRESS, SONICHAOS_SEPARATION_ADDRESS"
        )
    return "\n".join(lines)


def as_object(error: SonichaosError) -> dict[str, Any]:
    """The error for programs, one JSON object."""
    body: dict[str, Any] = {
        "code": error.code.name,
        "reason": error.reason,
        "message": error.message,
        "metadata": error.metadata,
        "violations": [{"field": v.field, "description": v.description} for v in error.violations],
    }
    if error.retry_after_s is not None:
        body["retryAfterSeconds"] = error.retry_after_s
    return {"error": body}
