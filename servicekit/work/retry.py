"""How often and how soon work is tried again when something it depends on does not answer."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.errors import ServiceError


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """``attempts`` in all, ``first_delay_s`` before the second and ``factor`` times longer before each further one."""

    attempts: int = 3
    first_delay_s: float = 1.0
    factor: float = 4.0
    reasons: frozenset[str] = frozenset({"STORE_UNAVAILABLE", "SEPARATION_UNAVAILABLE"})
    retry_after_s: float = 30.0
    """What a caller is told to wait, where the error itself says nothing."""

    def covers(self, error: BaseException) -> bool:
        """True where trying again may help."""
        return isinstance(error, ServiceError) and error.reason in self.reasons

    def delay_s(self, tries: int) -> float | None:
        """Seconds to wait after so many tries; None where there is none left."""
        return self.first_delay_s * self.factor ** (tries - 1) if tries < self.attempts else None

    def with_advice(self, error: ServiceError) -> ServiceError:
        """The error as it is when the tries are used up: it says when to come again."""
        if error.retry_after_s is None:
            error.retry_after_s = self.retry_after_s
        return error
