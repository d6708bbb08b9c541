"""Which refusals are temporary, and how long work waits for their end: budgets in time, not in attempts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.rpc.status import as_service_error

_MAX_DOUBLINGS = 16


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """``initial_delay_s`` before the second try, then ``backoff_factor`` times longer each time, up to ``max_delay_s``.

    ``max_wait_s`` is how long work waits in all for the same reason, from the first refusal on.
    """

    initial_delay_s: float = 1.0
    backoff_factor: float = 2.0
    max_delay_s: float = 30.0
    max_wait_s: float = 3600.0
    temporary_reasons: frozenset[str] = frozenset(
        {
            "DESCRIPTORS_EXHAUSTED",
            "DRAINING",
            "LEASE_LOST",
            "LOANS_EXHAUSTED",
            "OUT_OF_MEMORY",
            "QUEUE_FULL",
            "SEPARATION_UNAVAILABLE",
            "STORE_UNAVAILABLE",
            "WARMING",
        }
    )
    advising_reasons: frozenset[str] = frozenset({"DRAINING", "OUT_OF_MEMORY", "WARMING"})
    """Reasons whose own ``retry_after_s`` is respected: a service that restarts, and a device that is in use."""
    default_retry_after_s: float = 30.0
    """Advised in the final error when the time is up and the error itself has no delay."""

    def is_temporary(self, error: ServiceError) -> bool:
        """True where a later try may succeed."""
        return error.reason in self.temporary_reasons

    def delay_s(self, failures: int, error: ServiceError) -> float:
        """Seconds to wait after ``failures`` refusals in a row, the last of which is ``error``."""
        own_s = self.initial_delay_s * self.backoff_factor ** min(failures - 1, _MAX_DOUBLINGS)
        advised_s = error.retry_after_s if error.reason in self.advising_reasons else None
        return max(min(own_s, self.max_delay_s), advised_s or 0.0)


class WaitBudget:
    """How long one version has waited for what refuses it, for each reason. Used by the thread that works on the version."""

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._since_s: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self.refusal: ServiceError | None = None
        """What the version waits for now; None while it works."""

    def refused(self, raised: BaseException) -> float | None:
        """Seconds to wait for the next try; None where ``raised`` is not temporary, or where the time is up."""
        error = as_service_error(raised)
        if not self._policy.is_temporary(error):
            return None
        now_s = self._clock.monotonic_s()
        left_s = self._since_s.setdefault(error.reason, now_s) + self._policy.max_wait_s - now_s
        if left_s <= 0:
            error.retry_after_s = error.retry_after_s or self._policy.default_retry_after_s
            return None
        self._failures[error.reason] += 1
        self.refusal = error
        return min(self._policy.delay_s(self._failures[error.reason], error), left_s)

    def trying(self) -> None:
        """The next try begins. The time goes on counting."""
        self.refusal = None

    def succeeded(self) -> None:
        """What was refused last has succeeded: its next refusal starts a new wait."""
        if self.refusal is not None:
            self._since_s.pop(self.refusal.reason, None)
            self._failures.pop(self.refusal.reason, None)
        self.refusal = None
