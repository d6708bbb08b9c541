"""When to retry, and how long to wait before it."""

from __future__ import annotations

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


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with jitter: each wait is drawn between half and all of the current backoff.

    ``max_elapsed_s`` limits the total wait since the last progress; every message received resets it.
    """

    initial_backoff_s: float = 0.2
    max_backoff_s: float = 5.0
    max_elapsed_s: float = 120.0


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
