"""Which refusals are temporary, and how long work waits for their end: budgets in time, not in attempts."""

from __future__ import annotations

from dataclasses import dataclass

from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.journal import Stage, WaitState
from servicekit.rpc.status import as_service_error, status_json, to_status

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
            "DISK_FULL",
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


@dataclass
class _Wait:
    """Refusals for one reason; ``since_s`` is the time of the first by the monotonic clock.

    What an earlier process waited counts too: then ``since_s`` lies that far back. The time between the two does not count.
    """

    since_s: float
    refusals: int


class WaitBudget:
    """How long one version has waited for what refuses it, for each reason, until the stage that was refused is over.

    ``saved`` is what an earlier attempt saved in the journal. Used by the thread that works on the version; any thread may read
    :attr:`state`.
    """

    def __init__(self, policy: RetryPolicy, clock: Clock, saved: WaitState | None = None) -> None:
        self._policy = policy
        self._clock = clock
        self._spent = dict(saved.spent) if saved is not None else {}
        self._waits: dict[str, _Wait] = {}
        self.refusal: ServiceError | None = None
        """What the version waits for now; None while it works."""
        self.state = WaitState(spent=self._spent)
        """To be saved in the journal."""

    def refused(self, raised: BaseException, *, stage: Stage | None = None) -> float | None:
        """Seconds to wait for the next try; None where ``raised`` is not temporary, or where the time is up."""
        error = as_service_error(raised)
        if not self._policy.is_temporary(error):
            return None
        now_s = self._clock.monotonic_s()
        wait = self._waits.get(error.reason) or self._earlier(error.reason, now_s)
        left_s = wait.since_s + self._policy.max_wait_s - now_s
        if left_s <= 0:
            error.retry_after_s = error.retry_after_s or self._policy.default_retry_after_s
            return None
        wait.refusals += 1
        self._waits[error.reason] = wait
        spent = {"waitedS": now_s - wait.since_s, "refusals": wait.refusals, "stage": stage and str(stage)}
        self._spent = {**self._spent, error.reason: spent}
        self._set_refusal(error, stage)
        return min(self._policy.delay_s(wait.refusals, error), left_s)

    def trying(self) -> None:
        """The next try begins. The time goes on counting."""
        self._set_refusal(None)

    def succeeded(self) -> None:
        """What was refused last has succeeded: its next refusal starts a new wait."""
        if self.refusal is not None:
            self._forget({self.refusal.reason})

    def passed(self, stage: Stage) -> None:
        """A stage is over, and so is what refused it, in this attempt or an earlier one."""
        over = {reason for reason, spent in self._spent.items() if spent["stage"] in {None, str(stage)}}
        if over:
            self._forget(over)

    def _earlier(self, reason: str, now_s: float) -> _Wait:
        spent = self._spent.get(reason, {"waitedS": 0.0, "refusals": 0})
        return _Wait(now_s - spent["waitedS"], spent["refusals"])

    def _forget(self, reasons: set[str]) -> None:
        self._spent = {reason: spent for reason, spent in self._spent.items() if reason not in reasons}
        self._waits = {reason: wait for reason, wait in self._waits.items() if reason not in reasons}
        self._set_refusal(None)

    def _set_refusal(self, refusal: ServiceError | None, stage: Stage | None = None) -> None:
        self.refusal = refusal
        waiting = None if refusal is None else status_json(to_status(refusal, stage=stage))
        self.state = WaitState(waiting=waiting, spent=self._spent)
