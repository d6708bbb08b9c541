"""How fast separations go here, and what that says of the one under way: its time left, told with every step."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from separation_service.timing.latency_budget import LatencyBudget
from separation_service.timing.progress import StageProgress
from servicekit.clock import Clock
from servicekit.journal import Stage

ROAD = (Stage.RECEIVE, Stage.SEPARATE, Stage.PACKAGE, Stage.STORE)
_REST_SHARE = 0.15
"""Until it is measured: packing and storing take about so much of the separation's own time (docs/measurements.md)."""
_LEAST_AUDIO_S = 5.0
"""What is shorter costs about as much to pack and to store."""


@dataclass(frozen=True)
class Load:
    """What a take is to the stages: seconds of audio, and segments times models to separate."""

    audio_s: float
    steps: int

    def units(self, stage: Stage) -> float:
        """What the time of a stage goes by."""
        return self.steps if stage is Stage.SEPARATE else max(self.audio_s, _LEAST_AUDIO_S)


class EtaEstimator:
    """Seconds of work a unit of each stage, as the last separation had them. Of one process; from any thread."""

    def __init__(self) -> None:
        self._rates: dict[Stage, float] = {}
        self._lock = threading.Lock()
        self.realtime_factor = 0.0
        """Seconds of audio separated a second of work; 0 before the first."""

    def note(self, stage: Stage, load: Load, *, work_s: float) -> None:
        """A stage ended well."""
        with self._lock:
            self._rates[stage] = work_s / load.units(stage)
            if stage is Stage.SEPARATE:
                self.realtime_factor = load.audio_s / max(work_s, 1e-9)

    def expected_s(self, stage: Stage, load: Load) -> float | None:
        """What a stage takes for such a take; None before the first."""
        with self._lock:
            rate = self._rates.get(stage)
        return None if rate is None else rate * load.units(stage)

    def rest_s(self, after: Stage, load: Load) -> float | None:
        """What the stages after this one take; None before the first take."""
        stages = [self.expected_s(stage, load) for stage in ROAD[ROAD.index(after) + 1 :]]
        known = [seconds for seconds in stages if seconds is not None]
        return sum(known) if len(known) == len(stages) else None


class EtaProgress:
    """The progress of one separation, with the time left beside each step: measured in the stage under way, expected beyond it.

    A step 0 says that the wait for the device is over: what was spent before it is no work.
    """

    def __init__(self, progress: StageProgress, pace: EtaEstimator, ceiling: LatencyBudget, *, clock: Clock) -> None:
        self._progress = progress
        self._pace = pace
        self._ceiling = ceiling
        self._clock = clock
        self._load: Load | None = None
        self._stage = Stage.RECEIVE
        self._began_s = clock.monotonic_s()

    def take(self, load: Load) -> None:
        """The take's size is known."""
        self._load = load

    def check(self) -> None:
        """See `StageProgress.check`."""
        self._progress.check()

    def stage(self, stage: Stage, steps_total: int = 1) -> None:
        """See `StageProgress.stage`."""
        self._progress.stage(stage, steps_total)
        self._note()
        self._stage, self._began_s = stage, self._clock.monotonic_s()

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """See `StageProgress.step`; ``time_left_s`` where the caller knows better."""
        if done == 0:
            self._began_s = self._clock.monotonic_s()
        left_s = self._left_s(done / max(total or done, 1)) if time_left_s is None else time_left_s
        self._progress.step(done, total=total, time_left_s=left_s)

    def end(self) -> None:
        """The last stage ended well."""
        self._note()

    def _note(self) -> None:
        if self._load is None:
            return
        work_s = self._clock.monotonic_s() - self._began_s
        self._pace.note(self._stage, self._load, work_s=work_s)
        if self._stage is Stage.SEPARATE:
            self._ceiling.note(audio_s=self._load.audio_s, work_s=work_s)

    def _left_s(self, share: float) -> float | None:
        """Until the take's stems are stored, where ``share`` of the stage under way is done."""
        if self._load is None:
            return None
        if share > 0.0:
            whole_s: float | None = (self._clock.monotonic_s() - self._began_s) / share
        else:
            whole_s = self._pace.expected_s(self._stage, self._load)
        if whole_s is None:
            return None
        rest_s = self._pace.rest_s(self._stage, self._load)
        if rest_s is None:
            rest_s = _REST_SHARE * whole_s if self._stage is Stage.SEPARATE else 0.0
        return whole_s * (1.0 - share) + rest_s
