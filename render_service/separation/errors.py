"""Errors of calls to separation_service as errors of this service."""

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
    Unimplemented,
)

_RETRY_AFTER_S = 5.0
_BY_CODE: dict[grpc.StatusCode, type[ServiceError]] = {
    kind.code: kind
    for kind in (
        DataLoss,
        Expired,
        FailedPrecondition,
        Internal,
        InvalidTensor,
        ResourceExhausted,
        Unavailable,
    )
}


_UNAVAILABLE = frozenset({Cancelled.default_reason, Unimplemented.default_reason})
"""Reasons that say that this separation_service cannot be used now: it stops, or it is of another release."""


def separation_error(error: grpc.RpcError, *, address: str, retry_after_s: float = _RETRY_AFTER_S) -> ServiceError:
    """The error with the reason that separation_service gave it; SEPARATION_UNAVAILABLE where the call carries no reason.

    A call that this service did not cancel and that ends as cancelled was ended by a separation_service that stops. One that lacks
    the method is of another release: the work waits until it is upgraded.
    """
    call = cast("grpc.Call", error)  # the errors that a stub raises are calls, too
    status = rpc_status.from_call(call)
    if status is not None:
        for detail in status.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.reason not in _UNAVAILABLE:
                kind = _BY_CODE.get(call.code(), Internal)
                metadata = dict(info.metadata)
                advised_s = _retry_after_s(status)
                return kind(status.message, reason=info.reason, metadata=metadata, retry_after_s=advised_s)
    return Unavailable(
        f"separation_service at {address} does not answer ({call.code().name}: {call.details()}); "
        "the bounce is stored, request the stems again when it is running",
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
