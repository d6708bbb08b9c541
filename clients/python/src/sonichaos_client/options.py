"""How calls are made: deadlines, retries, addresses and the channel's own settings."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from sonichaos_client.retry import RetryPolicy
from sonichaos_client.rpcs import Target

RENDER_ADDRESS = "127.0.0.1:50071"
SEPARATION_ADDRESS = "127.0.0.1:50072"

_LOOPBACK = ("127.", "localhost", "[::1]", "unix:", "unix-abstract:")


@dataclass(frozen=True, kw_only=True)
class CallOptions:
    """How long a call may take and how often it is tried.

    ``deadline_s`` holds for each unary call; uploads get a second more for each ``slowest_bytes_per_s`` bytes, and a
    replay, which renders a take again, ``replay_deadline_s``. Streams have no deadline: they are resumed.
    """

    deadline_s: float = 30.0
    replay_deadline_s: float = 3600.0
    slowest_bytes_per_s: int = 256 * 1024
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    rng: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True)
class Addresses:
    """Where each service listens: ``host:port`` or ``unix:/path``."""

    render: str = RENDER_ADDRESS
    separation: str = SEPARATION_ADDRESS

    def of(self, target: Target) -> str:
        """The address of one service."""
        return self.render if target is Target.RENDER else self.separation


def channel_options(address: str) -> list[tuple[str, int | str]]:
    """Settings of gRPC itself for a channel to ``address``.

    The keepalive finds a peer that vanished without a word; five minutes is the shortest interval that every gRPC server
    accepts without being told. A proxy in the environment is never meant for this machine itself.
    """
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
        ("grpc.keepalive_time_ms", 300_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.primary_user_agent", "sonichaos-client"),
    ]
    if address.startswith(_LOOPBACK):
        options.append(("grpc.enable_http_proxy", 0))
    return options
