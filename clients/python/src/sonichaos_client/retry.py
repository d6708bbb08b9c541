"""When to retry, and how long to wait before it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import grpc

from sonichaos_client.errors import SonichaosError

ALWAYS_RESUMABLE = frozenset({grpc.StatusCode.UNAVAILABLE})
RESUMABLE_WITHOUT_REASON = frozenset(
    {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)
"""The codes with which proxies, HTTP/2 libraries and dying processes end a stream.

docs/errors.md and the TypeScript client have the same lists.
"""


_MAX_ATTEMPTS = 5


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter, for calls, connections, streams and downloads.

    A call that is safe to repeat is made at most ``max_attempts`` times (1 to 5, gRPC's own limit; 1 repeats nothing). Waits begin
    at ``initial_backoff_s``, double up to ``max_backoff_s`` and are drawn around (gRPC) or up to (streams, uploads, downloads) that
    value. Waits between attempts to connect begin at ``initial_backoff_s`` too and stay below ``max_backoff_s``.
    ``max_elapsed_s`` limits the total wait of a stream or download since its last progress: an event or heartbeat, or bytes.

    Raises ValueError for values that contradict each other.
    """

    max_attempts: int = 5
    initial_backoff_s: float = 0.2
    max_backoff_s: float = 5.0
    max_elapsed_s: float = 120.0

    def __post_init__(self) -> None:
        if not 1 <= self.max_attempts <= _MAX_ATTEMPTS:
            raise ValueError(f"max_attempts must be between 1 and {_MAX_ATTEMPTS}, got {self.max_attempts}.")
        if not 0.001 <= self.initial_backoff_s <= self.max_backoff_s < math.inf:
            raise ValueError(
                "initial_backoff_s must be at least 0.001 and at most max_backoff_s, which must be finite, got "
                f"{self.initial_backoff_s} and {self.max_backoff_s}."
            )
        if not self.max_elapsed_s >= 0.0:  # also false for NaN
            raise ValueError(f"max_elapsed_s must be 0 or more, got {self.max_elapsed_s}.")

    @property
    def max_reconnect_backoff_s(self) -> float:
        """The longest wait between attempts to connect: half of what a call waits in all, so that it meets an attempt."""
        waits_s = [
            min(self.initial_backoff_s * 2**number, self.max_backoff_s) for number in range(self.max_attempts - 1)
        ]
        return min(self.max_backoff_s, sum(waits_s) / 2) if waits_s else self.max_backoff_s


@dataclass
class Backoff:
    """The waits of one operation."""

    policy: RetryPolicy
    rng: random.Random
    _attempts: int = field(default=0, init=False)
    _elapsed_s: float = field(default=0.0, init=False)

    def reset(self) -> None:
        """Start again at the initial backoff, after progress."""
        self._attempts = 0
        self._elapsed_s = 0.0

    def next_wait_s(self, error: SonichaosError) -> float:
        """Seconds to wait after ``error``, at least its ``retry_after_s``. Raises ``error`` beyond ``max_elapsed_s``."""
        if max(self._elapsed_s, error.retry_after_s or 0.0) >= self.policy.max_elapsed_s:
            raise error
        backoff_s: float = min(self.policy.initial_backoff_s * 2**self._attempts, self.policy.max_backoff_s)
        wait_s = max(backoff_s * self.rng.uniform(0.5, 1.0), error.retry_after_s or 0.0)
        self._attempts = min(self._attempts + 1, 32)
        self._elapsed_s += wait_s
        return wait_s


def is_retryable(error: SonichaosError) -> bool:
    """Whether a stream that ended with ``error`` may be resumed.

    An error that a service raised has a reason, and RetryInfo if a retry can succeed; any other end is that of the connection.
    """
    if error.code in ALWAYS_RESUMABLE or error.retry_after_s is not None:
        return True
    return error.code in RESUMABLE_WITHOUT_REASON and not error.reason
