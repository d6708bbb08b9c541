"""How often and how soon work is tried again when something it depends on does not answer."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.errors import ServiceError


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """``attempts`` in all, ``first_delay_s`` before the second and ``factor`` times longer before each further one."""

    attempts: int = 4
    first_delay_s: float = 1.0
    factor: float = 3.0
    reasons: frozenset[str] = frozenset({"STORE_UNAVAILABLE", "SEPARATION_UNAVAILABLE", "WARMING", "DRAINING"})
    restarting: frozenset[str] = frozenset({"WARMING", "DRAINING"})
    """Reasons of a service that is there and knows how long it will take: its own advice is kept to."""
    retry_after_s: float = 30.0
    """What a caller is told to wait, where the error itself says nothing."""

    def covers(self, error: BaseException) -> bool:
        """True where trying again may help."""
        return isinstance(error, ServiceError) and error.reason in self.reasons

    def delay_s(self, tries: int, error: ServiceError) -> float | None:
        """Seconds to wait after so many tries, the last of which ended with ``error``; None where there is none left."""
        if tries >= self.attempts:
            return None
        advised_s = error.retry_after_s if error.reason in self.restarting else None
        return max(self.first_delay_s * self.factor ** (tries - 1), advised_s or 0.0)

    def with_advice(self, error: ServiceError) -> ServiceError:
        """The error as it is when the tries are used up: it says when to come again."""
        if error.retry_after_s is None:
            error.retry_after_s = self.retry_after_s
        return error
