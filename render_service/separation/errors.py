"""What separation_service answers to a call of ours, as an error of this house."""

from __future__ import annotations

from typing import Any, cast

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from servicekit.errors import (
    Cancelled,
    DataLoss,
    Expired,
    FailedPrecondition,
    Internal,
    InvalidTensor,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

_RETRY_AFTER_S = 5.0
_BY_CODE: dict[grpc.StatusCode, type[ServiceError]] = {
    kind.code: kind
    for kind in (
        Cancelled,
        DataLoss,
        Expired,
        FailedPrecondition,
        Internal,
        InvalidTensor,
        ResourceExhausted,
        Unavailable,
    )
}


def separation_error(error: grpc.RpcError, *, address: str, retry_after_s: float = _RETRY_AFTER_S) -> ServiceError:
    """The error over there, under its own reason; what carries none comes from a service that does not answer."""
    call = cast("grpc.Call", error)  # what a stub raises is both
    status = rpc_status.from_call(call)
    if status is not None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                kind = _BY_CODE.get(call.code(), Internal)
                retry = _retry_after_s(status)
                return kind(status.message, reason=info.reason, metadata=dict(info.metadata), retry_after_s=retry)
    return Unavailable(
        f"separation_service at {address} does not answer ({call.code().name}: {call.details()}); "
        "the bounce is stored, ask for the stems again when it is up",
        reason="SEPARATION_UNAVAILABLE",
        metadata={"address": address},
        retry_after_s=retry_after_s,
    )


def _retry_after_s(status: Any) -> float | None:  # noqa: ANN401  google.rpc.Status has no stubs
    for detail in status.details:
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return float(retry.retry_delay.ToNanoseconds() / 1e9)
    return None
