"""The table from exceptions to ``google.rpc.Status``. Other exceptions become INTERNAL."""

from __future__ import annotations

import errno
from typing import Any

from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from servicekit.errors import DOMAIN, Internal, ResourceExhausted, ServiceError


def as_service_error(error: BaseException) -> ServiceError:
    """The error for callers: full disk and exhausted memory by name, unknown exceptions as INTERNAL."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        metadata = {"path": str(error.filename or "")}
        return ResourceExhausted(
            "the disk is full; free space, then retry", reason="DISK_FULL", metadata=metadata, retry_after_s=60.0
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return ResourceExhausted(
            "the device has too little memory; retry when it is less busy",
            reason="OUT_OF_MEMORY",
            retry_after_s=30.0,
        )
    return Internal("unexpected error; find it in the service's log by the job or request id")


def to_status(error: BaseException, *, stage: str | None = None) -> status_pb2.Status:
    """Turn an error into a status with ErrorInfo and, where they apply, BadRequest and RetryInfo.

    ``stage`` (such as ``"DENOISE"``) is added to the metadata of a job's failure.
    """
    known = as_service_error(error)
    status = status_pb2.Status(code=known.code.value[0], message=known.message)
    metadata = known.metadata | ({"stage": stage} if stage else {})
    _add(status, error_details_pb2.ErrorInfo(reason=known.reason, domain=DOMAIN, metadata=metadata))
    if known.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=v.field, description=v.description)
            for v in known.violations
        ]
        _add(status, error_details_pb2.BadRequest(field_violations=violations))
    if known.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(known.retry_after_s * 1e9))
        _add(status, error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def status_json(status: status_pb2.Status) -> dict[str, Any]:
    """The status as proto-JSON, as stored in the journal."""
    return json_format.MessageToDict(status)


def _add(status: status_pb2.Status, detail: Any) -> None:  # noqa: ANN401  any google.rpc detail message
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
