"""How the fake refuses a call, or ends a version: the same codes, reasons, texts and details as the services."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from sonichaos_client.errors import FieldViolation

DOMAIN = "sonichaos.ai"
MAX_VIOLATIONS = 10
MAX_STATUS_BYTES = 4096
_TEXT_LIMITS = (512, 256, 128, 80, 48, 24)


class Refusal(Exception):
    """A gRPC status with its reason. ``retry_after_s`` is set only if a retry can succeed."""

    def __init__(
        self,
        code: StatusCode,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s

    def status(self, *, stage: str = "") -> status_pb2.Status:
        """As a status below 4 KiB, as sent. ``stage`` is added to the metadata of a version's failure."""
        for characters in _TEXT_LIMITS:
            status = self._status(stage, characters)
            if _sent_bytes(status) <= MAX_STATUS_BYTES:
                break
        return status

    def _status(self, stage: str, characters: int) -> status_pb2.Status:
        status = status_pb2.Status(code=self.code.value[0], message=_cut(self.message, 2 * characters))
        metadata = self.metadata | ({"stage": stage} if stage else {})
        shown = {key: _cut(value, characters) for key, value in metadata.items()}
        _add(status, error_details_pb2.ErrorInfo(reason=self.reason, domain=DOMAIN, metadata=shown))
        if self.violations:
            named = [
                error_details_pb2.BadRequest.FieldViolation(
                    field=_cut(one.field, characters), description=_cut(one.description, characters)
                )
                for one in self.violations
            ]
            _add(status, error_details_pb2.BadRequest(field_violations=named))
        if self.retry_after_s is not None:
            delay = Duration()
            delay.FromNanoseconds(round(self.retry_after_s * 1e9))
            _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
        return status


def check(violations: Sequence[FieldViolation]) -> None:
    """Raise INVALID_FIELD if there are any violations."""
    if violations:
        raise invalid_fields(violations)


def invalid_fields(violations: Sequence[FieldViolation]) -> Refusal:
    """INVALID_FIELD. The first ten violations are named, the others counted."""
    named = violations[:MAX_VIOLATIONS]
    more = len(violations) - len(named)
    message = "; ".join(f"{one.field}: {one.description}" for one in named)
    return Refusal(
        StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
        f"{message}; and {more} more" if more else message,
        metadata={"violations": str(len(violations))} if more else {},
        violations=named,
    )


def invalid(field: str, description: str) -> Refusal:
    """INVALID_FIELD for one field."""
    return invalid_fields([FieldViolation(field, description)])


def job_not_found(job_id: str) -> Refusal:
    """For a job that this caller cannot see."""
    return Refusal(
        StatusCode.NOT_FOUND,
        "JOB_NOT_FOUND",
        f"no job {job_id[:64]!r}: it was deleted, belongs to the other service or never existed; ListJobs lists the jobs there are",
        metadata={"job_id": job_id[:64]},
    )


def version_not_found(job_id: str, number: int) -> Refusal:
    """For a version that the job does not have."""
    return Refusal(
        StatusCode.NOT_FOUND,
        "VERSION_NOT_FOUND",
        f"job {job_id} has no version {number}; GetJob lists its versions",
        metadata={"job_id": job_id, "version": str(number)},
    )


def wrong_state(job_id: str, number: int, state: str, text: str) -> Refusal:
    """WRONG_STATE of a version; ``text`` is the whole message."""
    return Refusal(
        StatusCode.FAILED_PRECONDITION,
        "WRONG_STATE",
        text,
        metadata={"job_id": job_id, "version": str(number), "state": state},
    )


def invalid_token() -> Refusal:
    """For a page token or cursor that was not issued for this request."""
    return Refusal(
        StatusCode.INVALID_ARGUMENT,
        "INVALID_TOKEN",
        "the page token or cursor was not issued by this service for this caller and filter; "
        "pass it back unchanged, or leave it empty to start from the beginning",
    )


def invalid_audio(detail: str) -> Refusal:
    """For an upload that cannot be separated, and why."""
    return Refusal(
        StatusCode.INVALID_ARGUMENT,
        "INVALID_AUDIO",
        f"the upload cannot be separated: {detail}",
        metadata={"detail": detail},
    )


def draining() -> Refusal:
    """For calls that a service does not take because it shuts down."""
    return Refusal(
        StatusCode.UNAVAILABLE, "DRAINING", "the service is shutting down; retry in a minute", retry_after_s=30.0
    )


def peers_only(method: str) -> Refusal:
    """For methods that only the other service may call."""
    return Refusal(
        StatusCode.PERMISSION_DENIED,
        "SCOPE_MISSING",
        f"{method} needs the scope peer, and the caller's credential has operate, read, render, separate",
        metadata={"scope": "peer"},
    )


def lost_connection() -> Refusal:
    """How a call ends whose connection breaks: without a reason."""
    return Refusal(StatusCode.UNAVAILABLE, "", "Socket closed")


def _cut(text: str, characters: int) -> str:
    sendable = text.encode("utf-8", "replace").decode("utf-8")
    return sendable if len(sendable) <= characters else f"{sendable[: characters - 3]}..."


def _sent_bytes(status: status_pb2.Status) -> int:
    """Bytes of the trailers: the message percent-encoded, the details as base64."""
    message = quote(status.message, safe="".join(map(chr, range(0x20, 0x7F))))
    return len(message) + len(base64.b64encode(status.SerializeToString()))


def _add(status: status_pb2.Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
