"""How calls are made: timeouts, retries and gRPC channel options."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sonichaos_client.endpoint import Endpoint
from sonichaos_client.retry import RetryPolicy


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """Timeouts and retries.

    ``timeout_s`` applies to each unary call. An upload gets one more second for each ``min_bytes_per_s`` bytes. Calls that
    compute before they answer (replay, analysis, verification of the audit chain, drift report) get ``long_timeout_s``.
    Streams have no timeout: they are resumed after a connection loss.
    """

    timeout_s: float = 30.0
    long_timeout_s: float = 3600.0
    min_bytes_per_s: int = 256 * 1024
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    rng: random.Random = field(default_factory=random.Random)


def channel_options(address: str) -> list[tuple[str, int | str]]:
    """Options of gRPC for a channel to ``address``.

    Keepalive pings detect a peer that disappeared. Five minutes is the shortest interval that every gRPC server accepts by
    default. A proxy from the environment is not used for loopback addresses.
    """
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        ("grpc.keepalive_time_ms", 300_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.primary_user_agent", "sonichaos-client"),
    ]
    if Endpoint.parse(address).is_local:
        options.append(("grpc.enable_http_proxy", 0))
    return options
