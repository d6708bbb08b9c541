"""The exit statuses of the command."""

from __future__ import annotations

from enum import IntEnum

import grpc

from sonichaos_client.errors import SonichaosError


class ExitStatus(IntEnum):
    """The exit status of the process."""

    DONE = 0
    FAILED = 1
    INVALID_INPUT = 2
    MISMATCH = 3
    TRY_AGAIN = 75
    INTERRUPTED = 130


# A changed request can succeed.
_INVALID_INPUT_CODES = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
    }
)
_INVALID_INPUT_REASONS = frozenset(
    {"WRONG_STATE", "SWITCHED_OFF", "UNSUPPORTED_BY_RENDERER", "TOO_LARGE", "WEBHOOK_DISABLED"}
)


def exit_status(error: SonichaosError) -> ExitStatus:
    """The exit status for an error."""
    if error.retry_after_s is not None or error.code is grpc.StatusCode.UNAVAILABLE:
        return ExitStatus.TRY_AGAIN
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED and error.reason != "EXPIRED":
        return ExitStatus.TRY_AGAIN
    if error.code is grpc.StatusCode.DATA_LOSS:
        return ExitStatus.MISMATCH
    if error.code in _INVALID_INPUT_CODES or error.reason in _INVALID_INPUT_REASONS:
        return ExitStatus.INVALID_INPUT
    return ExitStatus.FAILED
