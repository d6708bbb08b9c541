"""Errors that callers see.

The tree, with the gRPC code each stands for::

    ServiceError
      InvalidFields            INVALID_ARGUMENT     INVALID_FIELD, naming each field
      InvalidAudio             INVALID_ARGUMENT     INVALID_AUDIO
      InvalidTensor            INVALID_ARGUMENT     INVALID_TENSOR
      InvalidToken             INVALID_ARGUMENT     INVALID_TOKEN
      NotFound                 NOT_FOUND            JOB_NOT_FOUND, VERSION_NOT_FOUND, PERSONA_NOT_FOUND, FILE_NOT_FOUND,
                                                    WEBHOOK_NOT_FOUND, WEBHOOK_DELIVERY_NOT_FOUND
      AlreadyExists            ALREADY_EXISTS       REQUEST_ID_REUSED, PERSONA_EXISTS
      FailedPrecondition       FAILED_PRECONDITION  WRONG_STATE, SWITCHED_OFF, UNSUPPORTED_BY_RENDERER, LEASE_LOST,
                                                    MODEL_UNUSABLE, INPUT_MISSING, TOO_MANY_ATTEMPTS, EXPIRY_TOO_SOON,
                                                    DRIFT_EXCEEDED, STEM_SILENT, WEBHOOK_DISABLED
      ResourceExhausted        RESOURCE_EXHAUSTED   QUEUE_FULL, TOO_LARGE, DISK_FULL, OUT_OF_MEMORY, LOANS_EXHAUSTED,
                                                    DESCRIPTORS_EXHAUSTED, TENANT_LIMIT, FAILED_LOGINS
      Unauthenticated          UNAUTHENTICATED      CREDENTIALS_MISSING, CREDENTIALS_INVALID, CREDENTIALS_EXPIRED
      PermissionDenied         PERMISSION_DENIED    SCOPE_MISSING, ADMISSION_REFUSED
      Unavailable              UNAVAILABLE          DRAINING, WARMING, STORE_UNAVAILABLE, SEPARATION_UNAVAILABLE,
                                                    ADMISSION_UNAVAILABLE, ISSUER_UNAVAILABLE
        OutcomeUnknown         UNAVAILABLE          STORE_UNAVAILABLE
      DataLoss                 DATA_LOSS            DIGEST_MISMATCH
      Expired                  DEADLINE_EXCEEDED    EXPIRED
      StreamTooSlow            DEADLINE_EXCEEDED    STREAM_TOO_SLOW
      Unimplemented            UNIMPLEMENTED        NOT_IMPLEMENTED
      Cancelled                CANCELLED            CANCELLED
      Internal                 INTERNAL             NOT_FINITE, INTERNAL

``reason`` is a name of ``sonichaos.jobs.v1.ErrorReason`` without its prefix; servicekit/rpc/status.py is the one table that
turns an error into ``google.rpc.Status``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc

DOMAIN = "sonichaos.ai"
MAX_VIOLATIONS = 10
"""Fields that an error names; more are counted."""


@dataclass(frozen=True)
class FieldViolation:
    """A field by its path in the request message, and the violation."""

    field: str
    description: str


class ServiceError(Exception):
    """An error with a gRPC code, a reason, and the metadata that a program needs to act on it.

    ``retry_after_s`` is set only if a retry can succeed.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    default_reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s
        self.violations: tuple[FieldViolation, ...] = ()


def cause_of(error: BaseException) -> str:
    """What caused an error, for logs and operators: it may name hosts, users and paths. Empty where nothing did."""
    return "" if error.__cause__ is None else str(error.__cause__)


class InvalidFields(ServiceError):
    """One or more fields are missing, malformed or out of range. The first ten are named, the others counted.

    ``all_violations`` has those that are only counted too.
    """

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_FIELD"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        named = tuple(violations[:MAX_VIOLATIONS])
        more = len(violations) - len(named)
        message = "; ".join(f"{v.field}: {v.description}" for v in named)
        super().__init__(f"{message}; and {more} more" if more else message)
        self.violations = named
        self.all_violations = tuple(violations)
        self.metadata = {"violations": str(len(violations))} if more else {}


class InvalidAudio(ServiceError):
    """An upload that cannot be separated or a reference clip that cannot be used."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_AUDIO"


class InvalidTensor(ServiceError):
    """A lent tensor that does not match its header."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_TENSOR"

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        found = {"detail": message, **(metadata or {})}
        super().__init__(message, reason=reason, metadata=found, retry_after_s=retry_after_s)


class InvalidToken(ServiceError):
    """A page token or cursor that this service did not issue."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    default_reason = "INVALID_TOKEN"


class NotFound(ServiceError):
    """The named resource does not exist for this caller."""

    code = grpc.StatusCode.NOT_FOUND
    default_reason = "JOB_NOT_FOUND"


class AlreadyExists(ServiceError):
    """The resource exists with other content."""

    code = grpc.StatusCode.ALREADY_EXISTS
    default_reason = "REQUEST_ID_REUSED"


class FailedPrecondition(ServiceError):
    """The system is not in the required state; the message says what to change."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    default_reason = "WRONG_STATE"


class ResourceExhausted(ServiceError):
    """A limit of the service or the machine is reached."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    default_reason = "QUEUE_FULL"


class Unauthenticated(ServiceError):
    """The caller has no credential where one is needed, or one that is not valid."""

    code = grpc.StatusCode.UNAUTHENTICATED
    default_reason = "CREDENTIALS_INVALID"


class PermissionDenied(ServiceError):
    """The caller is known and may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    default_reason = "SCOPE_MISSING"


class Unavailable(ServiceError):
    """Temporarily unavailable; retry."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = "DRAINING"


class OutcomeUnknown(Unavailable):
    """A write was not answered and may have taken effect. Read it back before undoing anything."""

    default_reason = "STORE_UNAVAILABLE"


class DataLoss(ServiceError):
    """A stored file no longer matches its digest."""

    code = grpc.StatusCode.DATA_LOSS
    default_reason = "DIGEST_MISMATCH"


class Expired(ServiceError):
    """The brief's expiry passed."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "EXPIRED"


class StreamTooSlow(ServiceError):
    """A client's stream brought too few bytes in its time."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_reason = "STREAM_TOO_SLOW"


class Unimplemented(ServiceError):
    """This build does not have the method."""

    code = grpc.StatusCode.UNIMPLEMENTED
    default_reason = "NOT_IMPLEMENTED"


class Cancelled(ServiceError):
    """The work was cancelled."""

    code = grpc.StatusCode.CANCELLED
    default_reason = "CANCELLED"


class Internal(ServiceError):
    """An unexpected error; the log has it under the job id."""

    code = grpc.StatusCode.INTERNAL
    default_reason = "INTERNAL"


def expiry_too_soon(*, needed_s: float, left_s: float, queued: int) -> FailedPrecondition:
    """The error for work that cannot end before its expiry, at the measured speed and behind ``queued`` other versions."""
    return FailedPrecondition(
        f"the work needs at least {needed_s:.1f} s at the measured speed, behind {queued} other jobs, and its expiry is in "
        f"{left_s:.1f} s; set a later expiry, or none",
        reason="EXPIRY_TOO_SOON",
        metadata={"needed_seconds": f"{needed_s:.1f}", "left_seconds": f"{left_s:.1f}", "queued": str(queued)},
    )
