"""What a client reports of its calls, for logs and metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from sonichaos_client.enums import OwningService
from sonichaos_client.errors import SonichaosError

_log = logging.getLogger("sonichaos_client")


@dataclass(frozen=True, kw_only=True)
class CallReport:
    """A call that has ended. It has neither credentials nor prompts, and can be logged as it is."""

    service: OwningService
    """The service that was called."""
    method: str
    """Such as ``sonichaos.jobs.v1.JobsService/GetJob``."""
    code: grpc.StatusCode
    """OK, the code of the error, or CANCELLED if the caller left a stream before its end."""
    reason: str
    """The reason of the error, such as ``QUEUE_FULL``; empty without one."""
    seconds: float
    """From the call to its end, with gRPC's own repetitions and the waits before them."""
    attempt: int
    """1, or the number of this stream or upload of one operation, which the client opened again."""
    request_id: str
    """Of a call that creates a version; empty for others."""


@contextmanager
def reporting(
    on_call: Callable[[CallReport], object] | None,
    clock: Callable[[], float],
    service: OwningService,
    method: str,
    *,
    attempt: int = 1,
    request_id: str = "",
) -> Iterator[None]:
    """Report the call that the block makes. An exception of ``on_call`` is logged: it cannot end the call."""
    started_s, code, reason = clock(), grpc.StatusCode.OK, ""
    try:
        yield
    except SonichaosError as error:
        code, reason = error.code, error.reason
        raise
    except GeneratorExit:
        code = grpc.StatusCode.CANCELLED
        raise
    finally:
        if on_call is not None:
            report = CallReport(
                service=service,
                method=method,
                code=code,
                reason=reason,
                seconds=clock() - started_s,
                attempt=attempt,
                request_id=request_id,
            )
            try:
                on_call(report)
            except Exception:  # noqa: BLE001 - whatever a caller's hook raises
                _log.exception("on_call failed for %s", method)
