"""How calls are made: timeouts, retries, the hook for logs, and gRPC channel options."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sonichaos_client import rpcs
from sonichaos_client.call_report import CallReport
from sonichaos_client.endpoint import Endpoint
from sonichaos_client.retry import RetryPolicy


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """Timeouts, retries and the hook for logs.

    ``timeout_s`` applies to each unary call, its repetitions included. An upload gets one more second for each
    ``min_bytes_per_s`` bytes. Calls that compute before they answer (replay, analysis, verification of the audit chain, drift
    report) get ``long_timeout_s``. Streams have no timeout: they are resumed after a connection loss.

    ``on_call`` is called with a `CallReport` when a call has ended, in the thread or event loop that made it, and should return
    at once.
    """

    timeout_s: float = 30.0
    long_timeout_s: float = 3600.0
    min_bytes_per_s: int = 256 * 1024
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    on_call: Callable[[CallReport], object] | None = None
    rng: random.Random = field(default_factory=random.Random)
    """Draws the jitter of waits."""
    clock: Callable[[], float] = field(default_factory=lambda: time.monotonic)
    """Seconds, for the reports and for the timeout of ``wait``."""


def channel_options(address: str, retry: RetryPolicy | None = None) -> list[tuple[str, int | str]]:
    """Options of gRPC for a channel to ``address``; with ``retry``, gRPC repeats calls and reconnects by that policy.

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
    if retry is not None:
        options += [
            ("grpc.service_config", json.dumps(service_config(retry))),
            ("grpc.service_config_disable_resolution", 1),  # a DNS server does not decide what is repeated
            ("grpc.initial_reconnect_backoff_ms", round(1000 * retry.initial_backoff_s)),
            ("grpc.max_reconnect_backoff_ms", round(1000 * retry.max_reconnect_backoff_s)),
            # How long one attempt to connect may take; a TLS handshake takes longer than the first backoff.
            ("grpc.min_reconnect_backoff_ms", round(1000 * max(retry.max_backoff_s, _MIN_CONNECT_S))),
        ]
    return options


_MIN_CONNECT_S = 5.0


def service_config(retry: RetryPolicy) -> dict[str, Any]:
    """GRPC's service config: unary methods that may be repeated are, after UNAVAILABLE, with exponential backoff and jitter.

    A service says with ``grpc-retry-pushback-ms`` when to repeat a call, or not to, and gRPC obeys.
    """
    if retry.max_attempts == 1:
        return {}
    policy = {
        "maxAttempts": retry.max_attempts,
        "initialBackoff": f"{retry.initial_backoff_s:.3f}s",
        "maxBackoff": f"{retry.max_backoff_s:.3f}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    methods = [{"service": rpc.service, "method": rpc.method} for rpc in rpcs.REPEATABLE]
    return {"methodConfig": [{"name": methods, "retryPolicy": policy}]}
