"""Progress of a separation, whether it is a job of this service or a call of another one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from servicekit.clock import Clock
from servicekit.errors import Cancelled, ServiceError
from servicekit.journal import Stage
from servicekit.work import ProgressThrottle, RetryPolicy, WaitBudget

T = TypeVar("T")
_CALL_RETRIES = RetryPolicy(max_delay_s=2.0, max_wait_s=10.0, temporary_reasons=frozenset({"STORE_UNAVAILABLE"}))
"""A call waits ten seconds for the store. After that its caller waits, who can say so in the job's row."""


class StageProgress(Protocol):
    """What stages report to. Every method raises once the work has to stop."""

    def stage(self, stage: Stage, steps_total: int = 1) -> None:
        """End the previous stage and start this one."""

    def step(self, done: int, *, total: int | None = None) -> None:
        """``done`` steps of the stage are done; ``total`` where their number has changed."""

    def check(self) -> None:
        """Raise once the work has to stop."""


class ProgressReporter(StageProgress, Protocol):
    """What publishes the progress. `servicekit.work.Progress` and `CallProgress` are the two."""

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """``time_left_s`` is the estimated time until the result; None while it is unknown."""

    def retrying(self, operation: Callable[[], T]) -> T:
        """Call ``operation`` until nothing refuses it temporarily. Raises what it raises where that lasts too long or is final."""
        ...


@dataclass(frozen=True)
class ProgressUpdate:
    """Steps done of a stage, and the estimated seconds until the result, None while unknown."""

    stage: Stage
    steps_done: int
    steps_total: int
    time_left_s: float | None


@dataclass(frozen=True)
class StageTime:
    """Wall time of a finished stage in seconds."""

    stage: Stage
    seconds: float


class CallProgress:
    """Publishes the progress of a call: every step of SEPARATE; of other stages those that a `ProgressThrottle` passes.

    ``observe`` gets the seconds of every finished stage.
    """

    def __init__(
        self, publish: Callable[[ProgressUpdate], None], *, clock: Clock, observe: Callable[[Stage, float], None]
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._observe = observe
        self._cancelled = threading.Event()
        self._stage: Stage | None = None
        self._started_s = 0.0
        self._throttle = ProgressThrottle(clock)
        self._done, self._total = 0, 1
        self.times: list[StageTime] = []
        self.time_left_s = 0.0
        """The last estimate of the time until the result; 0 before the first."""

    def cancel(self) -> None:
        """Stop the work at its next step. Thread-safe."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise Cancelled after `cancel`."""
        if self._cancelled.is_set():
            raise Cancelled("the caller closed the call, so its separation was stopped")

    def retrying(self, operation: Callable[[], T]) -> T:
        """See `ProgressReporter.retrying`."""
        budget = WaitBudget(_CALL_RETRIES, self._clock)
        while True:
            self.check()
            try:
                return operation()
            except ServiceError as error:
                delay_s = budget.refused(error)
                if delay_s is None:
                    raise
                self._cancelled.wait(delay_s)

    def stage(self, stage: Stage, steps_total: int = 1) -> None:
        """See `StageProgress.stage`."""
        self.check()
        self.end_stage()
        self._stage, self._done, self._total = stage, 0, max(steps_total, 1)
        self._started_s = self._clock.monotonic_s()
        self._throttle.start_stage()
        self._update(None)

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """See `ProgressReporter.step`."""
        self.check()
        self.time_left_s = self.time_left_s if time_left_s is None else time_left_s
        advanced = done > self._done
        self._done, self._total = max(done, self._done), max(total or self._total, 1)
        if advanced and (self._stage is Stage.SEPARATE or self._throttle.is_due(self._done, self._total)):
            self._update(time_left_s)

    def end_stage(self) -> None:
        """Record the time of the stage in progress, if there is one."""
        if self._stage is not None:
            seconds = self._clock.monotonic_s() - self._started_s
            self.times.append(StageTime(self._stage, seconds))
            self._observe(self._stage, seconds)
            self._stage = None

    def _update(self, time_left_s: float | None) -> None:
        if self._stage is not None:
            self._throttle.published(self._done)
            self._publish(ProgressUpdate(self._stage, self._done, self._total, time_left_s))
