"""How fast separations go here, and what that says of the one under way: its time left, told with every step."""

from __future__ import annotations

import threading

from separation_service.ceiling import Ceiling
from separation_service.progress import StageProgress
from servicekit.clock import Clock
from servicekit.journal import Stage

ROAD = (Stage.RECEIVE, Stage.SEPARATE, Stage.PACKAGE, Stage.STORE)
_REST_SHARE = 0.15
"""Until it is measured: packing and storing take about so much of the separation's own time (docs/measurements.md)."""


class Pace:
    """Seconds of work a second of audio of each stage, as the last separation had them. Of one process; from any thread."""

    def __init__(self) -> None:
        self._rates: dict[Stage, float] = {}
        self._lock = threading.Lock()

    def note(self, stage: Stage, *, audio_s: float, work_s: float) -> None:
        """A stage ended well."""
        with self._lock:
            self._rates[stage] = work_s / audio_s

    def expected_s(self, stage: Stage, audio_s: float) -> float | None:
        """What a stage takes for so much audio; None before the first."""
        with self._lock:
            rate = self._rates.get(stage)
        return None if rate is None else rate * audio_s

    def whole_s(self, audio_s: float) -> float | None:
        """What a received take needs until its stems are stored; None before the first."""
        stages = [self.expected_s(stage, audio_s) for stage in ROAD[1:]]
        known = [seconds for seconds in stages if seconds is not None]
        return sum(known) if len(known) == len(stages) else None

    @property
    def realtime_factor(self) -> float:
        """Seconds of audio separated a second of work; 0 before the first."""
        work_s = self.expected_s(Stage.SEPARATE, 1.0)
        return 1.0 / max(work_s, 1e-9) if work_s is not None else 0.0


class Paced:
    """The progress of one separation, with the time left beside each step: measured in the stage under way, expected beyond it.

    A step 0 says that the wait for the device is over: what was spent before it is no work.
    """

    def __init__(self, progress: StageProgress, pace: Pace, ceiling: Ceiling, *, clock: Clock) -> None:
        self._progress = progress
        self._pace = pace
        self._ceiling = ceiling
        self._clock = clock
        self._audio_s: float | None = None
        self._stage: Stage | None = None
        self._began_s = 0.0

    def take(self, audio_s: float) -> None:
        """The take's length is known."""
        self._audio_s = audio_s

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
        if self._stage is None or self._audio_s is None:
            return
        work_s = self._clock.monotonic_s() - self._began_s
        self._pace.note(self._stage, audio_s=self._audio_s, work_s=work_s)
        if self._stage is Stage.SEPARATE:
            self._ceiling.note(audio_s=self._audio_s, work_s=work_s)

    def _left_s(self, share: float) -> float | None:
        """Until the take's stems are stored."""
        if self._stage is None or self._audio_s is None:
            return None
        whole_s = self._whole_s(share)
        return None if whole_s is None else whole_s * (1.0 - share) + self._rest_s(whole_s)

    def _whole_s(self, share: float) -> float | None:
        """What the stage under way takes from beginning to end."""
        if share > 0.0:
            return (self._clock.monotonic_s() - self._began_s) / share
        if self._stage is None or self._audio_s is None:
            return None
        return self._pace.expected_s(self._stage, self._audio_s)

    def _rest_s(self, whole_s: float) -> float:
        """What the stages after it take."""
        if self._stage is None or self._audio_s is None:
            return 0.0
        after = ROAD[ROAD.index(self._stage) + 1 :]
        expected = [self._pace.expected_s(stage, self._audio_s) for stage in after]
        known = [seconds for seconds in expected if seconds is not None]
        if len(known) < len(after):
            return _REST_SHARE * whole_s if self._stage is Stage.SEPARATE else 0.0
        return sum(known)
