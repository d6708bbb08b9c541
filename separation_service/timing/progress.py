"""How a separation says how far it is: one shape for a job of this service and for a lent tensor's call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from servicekit.clock import Clock
from servicekit.errors import Cancelled
from servicekit.journal import Stage

_INTERVAL_S = 0.1


class StageProgress(Protocol):
    """What the stages call; every method raises once the work has to stop. `servicekit.work.Progress` is one."""

    def stage(self, stage: Stage, steps_total: int = 1) -> None:
        """End the stage before and begin the next."""

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """So many steps of the stage are done; ``time_left_s`` until the result, where it is known."""

    def check(self) -> None:
        """Raise once the work has to stop."""


@dataclass(frozen=True)
class ProgressUpdate:
    """What a caller hears: steps of a stage, and the estimated seconds until the result where they can be known."""

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
    """Progress of a lent tensor's separation, told to its call.

    Every step of the separation itself; of the other stages at most ten a second, always the first and last.
    """

    def __init__(
        self, tell: Callable[[ProgressUpdate], None], *, clock: Clock, observe: Callable[[Stage, float], None]
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._observe = observe
        self._left = threading.Event()
        self._stage: Stage | None = None
        self._began_s = 0.0
        self._told_s = 0.0
        self._done, self._total = 0, 1
        self.times: list[StageTime] = []
        self.time_left_s = 0.0
        """Until the result as it was last told; 0 before it is known."""

    def leave(self) -> None:
        """The caller is gone: the work stops at its next step. From any thread."""
        self._left.set()

    def check(self) -> None:
        """Raise Cancelled once the caller has left."""
        if self._left.is_set():
            raise Cancelled("the caller left the call, so its separation was stopped")

    def stage(self, stage: Stage, steps_total: int = 1) -> None:
        """End the stage before and begin the next."""
        self.check()
        self.end_stage()
        self._stage, self._done, self._total = stage, 0, max(steps_total, 1)
        self._began_s = self._clock.monotonic_s()
        self._say(None)

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """So many steps of the stage are done."""
        self.check()
        self.time_left_s = self.time_left_s if time_left_s is None else time_left_s
        fresh = done > self._done
        self._done, self._total = max(done, self._done), max(total or self._total, 1)
        due = self._stage is Stage.SEPARATE or self._done == self._total
        if fresh and (due or self._clock.monotonic_s() - self._told_s >= _INTERVAL_S):
            self._say(time_left_s)

    def end_stage(self) -> None:
        """Note the time of the stage under way, if there is one."""
        if self._stage is not None:
            seconds = self._clock.monotonic_s() - self._began_s
            self.times.append(StageTime(self._stage, seconds))
            self._observe(self._stage, seconds)
            self._stage = None

    def _say(self, time_left_s: float | None) -> None:
        if self._stage is not None:
            self._told_s = self._clock.monotonic_s()
            self._tell(ProgressUpdate(self._stage, self._done, self._total, time_left_s))
