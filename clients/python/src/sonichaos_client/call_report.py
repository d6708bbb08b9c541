"""What a client reports of its calls, for logs and metrics."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from sonichaos_client.enums import OwningService


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
