"""Expected durations of separations, learned from the ones before, and the time left of the one in progress."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from separation_service.timing.latency_budget import LatencyBudget
from separation_service.timing.progress import ProgressReporter
from servicekit.clock import Clock
from servicekit.journal import Stage
from servicekit.work import estimate_time_left_s

SEPARATION_STAGES = (Stage.RECEIVE, Stage.SEPARATE, Stage.PACKAGE, Stage.STORE)
"""Stages of a separation of all stems."""
REPLACEMENT_STAGES = (Stage.RECEIVE, Stage.SEPARATE, Stage.ALIGN, Stage.PACKAGE, Stage.STORE)
"""Stages of a re-render, which replaces one stem."""
_REST_SHARE = 0.15
"""Until they are measured, the stages after SEPARATE are expected to take this share of its time (docs/measurements.md)."""
_MIN_AUDIO_S = 5.0
"""Shorter audio takes about as long to package and to store."""


@dataclass(frozen=True)
class Load:
    """What a separation's duration depends on: seconds of audio, steps (segments times models) and the stages that it has."""

    audio_s: float
    steps: int
    stages: tuple[Stage, ...] = SEPARATION_STAGES

    def units(self, stage: Stage) -> float:
        """What the stage's duration is proportional to."""
        return self.steps if stage is Stage.SEPARATE else max(self.audio_s, _MIN_AUDIO_S)


class EtaEstimator:
    """Seconds of work for each unit of each stage, as last measured in this process. Thread-safe.

    A step of SEPARATE costs the same whatever is separated; the other stages are measured apart for separations and re-renders.
    """

    def __init__(self) -> None:
        self._rates: dict[tuple[Stage, tuple[Stage, ...]], float] = {}
        self._lock = threading.Lock()
        self.realtime_factor = 0.0
        """Seconds of audio separated into all stems in a second of work; 0 before the first separation."""

    def record(self, stage: Stage, load: Load, *, work_s: float) -> None:
        """A stage succeeded after ``work_s``."""
        with self._lock:
            self._rates[_key(stage, load)] = work_s / load.units(stage)
            if stage is Stage.SEPARATE and load.stages == SEPARATION_STAGES:
                self.realtime_factor = load.audio_s / max(work_s, 1e-9)

    def expected_s(self, stage: Stage, load: Load) -> float | None:
        """Expected seconds of a stage; None before it was measured."""
        with self._lock:
            rate = self._rates.get(_key(stage, load))
        return None if rate is None else rate * load.units(stage)

    def expected_after_s(self, stage: Stage, load: Load) -> float | None:
        """Expected seconds of all stages after ``stage``; None before each of them was measured."""
        later = load.stages[load.stages.index(stage) + 1 :]
        expected = [self.expected_s(stage, load) for stage in later]
        known = [seconds for seconds in expected if seconds is not None]
        return sum(known) if len(known) == len(expected) else None


class EtaProgress:
    """A `StageProgress` that reports each step with the time left, and records how long each stage worked.

    The stage in progress is extrapolated from its own steps; the later ones are the estimator's. Step 0 of a stage means that its
    wait for the device is over: the time before it is not work.
    """

    def __init__(
        self, progress: ProgressReporter, estimator: EtaEstimator, budget: LatencyBudget, *, clock: Clock
    ) -> None:
        self._progress = progress
        self._estimator = estimator
        self._budget = budget
        self._clock = clock
        self._load: Load | None = None
        self._stage = Stage.RECEIVE
        self._started_s = clock.monotonic_s()

    def set_load(self, load: Load) -> None:
        """The size of the separation, once it is known: during RECEIVE."""
        self._load = load

    def check(self) -> None:
        """See `StageProgress.check`."""
        self._progress.check()

    def stage(self, stage: Stage, steps_total: int = 1) -> None:
        """See `StageProgress.stage`."""
        self._progress.stage(stage, steps_total)
        self.end_stage()
        self._stage, self._started_s = stage, self._clock.monotonic_s()

    def step(self, done: int, *, total: int | None = None) -> None:
        """See `StageProgress.step`."""
        if done == 0:
            self._started_s = self._clock.monotonic_s()
        self._progress.step(done, total=total, time_left_s=self._time_left_s(done / max(total or done, 1)))

    def end_stage(self) -> None:
        """The stage in progress succeeded. Called by `stage`, and at the end of the last one."""
        if self._load is None:
            return
        work_s = self._clock.monotonic_s() - self._started_s
        self._estimator.record(self._stage, self._load, work_s=work_s)
        if self._stage is Stage.SEPARATE:
            self._budget.record(audio_s=self._load.audio_s, work_s=work_s)

    def _time_left_s(self, share: float) -> float | None:
        """Seconds until the last stage ends, ``share`` (0 to 1) of the stage in progress being done; None while unknown."""
        if self._load is None:
            return None
        if share > 0.0:
            spent_s = self._clock.monotonic_s() - self._started_s
            whole_s: float | None = spent_s + estimate_time_left_s(spent_s, done=share, remaining=1.0 - share)
        else:
            whole_s = self._estimator.expected_s(self._stage, self._load)
        if whole_s is None:
            return None
        rest_s = self._estimator.expected_after_s(self._stage, self._load)
        if rest_s is None:
            if self._stage is not Stage.SEPARATE:
                return None
            rest_s = _REST_SHARE * whole_s
        return whole_s * (1.0 - share) + rest_s


def _key(stage: Stage, load: Load) -> tuple[Stage, tuple[Stage, ...]]:
    return stage, () if stage is Stage.SEPARATE else load.stages
