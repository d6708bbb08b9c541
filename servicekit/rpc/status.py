"""The table from exceptions to ``google.rpc.Status``. Other exceptions become INTERNAL."""

from __future__ import annotations

import base64
import errno
from typing import Any
from urllib.parse import quote

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from servicekit.errors import DOMAIN, Internal, ResourceExhausted, ServiceError

MAX_STATUS_BYTES = 4096
_TEXT_LIMITS = (512, 256, 128, 80, 48, 24)
_MAX_METADATA = 16
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "can't start new thread")


def as_service_error(error: BaseException) -> ServiceError:
    """The error for callers: exhausted disk, memory and descriptors by name, unknown exceptions as INTERNAL."""
    if isinstance(error, ServiceError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, OSError) and number in {errno.ENOSPC, errno.EDQUOT}:
        metadata = {"path": str(error.filename or "")}
        return ResourceExhausted(
            "the disk is full; free space, then retry", reason="DISK_FULL", metadata=metadata, retry_after_s=60.0
        )
    if number in {errno.EMFILE, errno.ENFILE}:
        return ResourceExhausted(
            "the service has no file descriptor left; retry when it is less busy, or raise its limit (ulimit -n)",
            reason="DESCRIPTORS_EXHAUSTED",
            retry_after_s=30.0,
        )
    device = _exhausted_device(error)
    if device or number == errno.ENOMEM:
        return ResourceExhausted(
            f"the {device or 'host'} has too little memory; retry when it is less busy",
            reason="OUT_OF_MEMORY",
            metadata={"device": device or "cpu"},
            retry_after_s=30.0,
        )
    return Internal("unexpected error; find it in the service's log by the job or request id")


def _exhausted_device(error: BaseException) -> str:
    """The device without memory, by the words of whoever failed to allocate it; empty for any other error.

    torch raises a type of its own on a GPU. On a CPU its allocator, oneDNN and the C++ library raise a plain RuntimeError, as
    Python does where a thread gets no stack.
    """
    if type(error).__name__ == "OutOfMemoryError":
        return "cuda"
    if isinstance(error, MemoryError):
        return "cpu"
    text = str(error).lower()
    return "cpu" if isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY) else ""


def to_status(error: BaseException, *, stage: str | None = None) -> status_pb2.Status:
    """Turn an error into a status with ErrorInfo and, where they apply, BadRequest and RetryInfo.

    ``stage`` (such as ``"DENOISE"``) is added to the metadata of a job's failure. Texts are shortened until everything that a call
    sends of it (message and details, as HTTP/2 carries them) has at most `MAX_STATUS_BYTES`: clients refuse more than 8 to 16 KiB.
    """
    known = as_service_error(error)
    for characters in _TEXT_LIMITS:
        status = _build(known, stage, characters)
        if _sent_bytes(status) <= MAX_STATUS_BYTES:
            break
    return status


def _build(known: ServiceError, stage: str | None, characters: int) -> status_pb2.Status:
    """The status with every text cut to ``characters``, the message to twice as many."""
    status = status_pb2.Status(code=known.code.value[0], message=_cut(known.message, 2 * characters))
    all_metadata = known.metadata | ({"stage": stage} if stage else {})
    metadata = {_cut(key, 64): _cut(value, characters) for key, value in list(all_metadata.items())[:_MAX_METADATA]}
    _add(status, error_details_pb2.ErrorInfo(reason=known.reason, domain=DOMAIN, metadata=metadata))
    if known.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(v.field, characters), description=_cut(v.description, characters)
            )
            for v in known.violations
        ]
        _add(status, error_details_pb2.BadRequest(field_violations=violations))
    if known.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(known.retry_after_s * 1e9))
        _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _cut(text: str, characters: int) -> str:
    """A text that UTF-8 can encode, with a mark where its end is missing."""
    sendable = text.encode("utf-8", "replace").decode("utf-8")
    return sendable if len(sendable) <= characters else f"{sendable[: characters - 3]}..."


def _sent_bytes(status: status_pb2.Status) -> int:
    """Bytes of the trailers: the message percent-encoded, the details as base64."""
    message = quote(status.message, safe="".join(map(chr, range(0x20, 0x7F))))
    return len(message) + len(base64.b64encode(status.SerializeToString()))


def status_json(status: status_pb2.Status) -> dict[str, Any]:
    """The status as proto-JSON, as stored in the journal."""
    return json_format.MessageToDict(status)


_WAIT_SHARE = 0.9


def retry_pushback(error: BaseException, time_left_s: float | None) -> str:
    """The value of ``grpc-retry-pushback-ms``, which gRPC's own retries obey: milliseconds to wait, or -1 for no retry.

    -1 where a retry cannot succeed, and where the wait would use up nine tenths of what is left until the call's deadline
    (``time_left_s``): then the caller gets this error instead of DEADLINE_EXCEEDED. The last tenth is for the repeated call, and
    because gRPC rounds up the timeout that it sends: a caller's 30 s can be more than 30 s here.
    """
    wait_s = as_service_error(error).retry_after_s
    if wait_s is None or (time_left_s is not None and wait_s >= _WAIT_SHARE * time_left_s):
        return "-1"
    return str(round(1000 * wait_s))


def _add(status: status_pb2.Status, detail: Any) -> None:  # noqa: ANN401  any google.rpc detail message
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
