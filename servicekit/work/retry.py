"""How often and after which delay work is retried when a service it depends on is unavailable."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.errors import ServiceError


@dataclass(frozen=True, kw_only=True)
class AttemptPolicy:
    """At most ``max_attempts``; ``initial_delay_s`` before the second, then ``backoff_factor`` times longer each time."""

    max_attempts: int = 4
    initial_delay_s: float = 1.0
    backoff_factor: float = 3.0
    retryable_reasons: frozenset[str] = frozenset(
        {"STORE_UNAVAILABLE", "SEPARATION_UNAVAILABLE", "WARMING", "DRAINING"}
    )
    restarting_reasons: frozenset[str] = frozenset({"WARMING", "DRAINING"})
    """Reasons of a service that is restarting and knows how long it needs: its own ``retry_after_s`` is respected."""
    default_retry_after_s: float = 30.0
    """What a caller is told after the last attempt, where the error itself has no delay."""

    def is_retryable(self, error: BaseException) -> bool:
        """True where another attempt may succeed."""
        return isinstance(error, ServiceError) and error.reason in self.retryable_reasons

    def delay_s(self, attempts: int, error: ServiceError) -> float | None:
        """Seconds to wait after ``attempts`` attempts, the last of which raised ``error``; None after the last one."""
        if attempts >= self.max_attempts:
            return None
        advised_s = error.retry_after_s if error.reason in self.restarting_reasons else None
        return max(self.initial_delay_s * self.backoff_factor ** (attempts - 1), advised_s or 0.0)

    def with_retry_after(self, error: ServiceError) -> ServiceError:
        """``error`` with a delay for the caller, for use after the last attempt."""
        if error.retry_after_s is None:
            error.retry_after_s = self.default_retry_after_s
        return error
