"""Rules that the progress of a job and of a call share: which steps are published, and how the time left is estimated."""

from __future__ import annotations

from servicekit.clock import Clock

_INTERVAL_S = 0.1


class ProgressThrottle:
    """Passes the first and the last step of each stage, and between them at most one step per ``interval_s``.

    For one track or call, and one thread.
    """

    def __init__(self, clock: Clock, *, interval_s: float = _INTERVAL_S) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._published_steps: int | None = None
        self._published_s = clock.monotonic_s()

    def start_stage(self) -> None:
        """Start counting steps anew: the next one is the first of its stage."""
        self._published_steps = None

    def is_due(self, steps_done: int, steps_total: int) -> bool:
        """True where this step is to be published now; a step that was published before never is."""
        if self._published_steps is None:
            return True
        if steps_done <= self._published_steps:
            return False
        return steps_done == steps_total or self._clock.monotonic_s() - self._published_s >= self._interval_s

    def published(self, steps_done: int) -> None:
        """Note that this step was published just now."""
        self._published_steps = steps_done
        self._published_s = self._clock.monotonic_s()


def estimate_time_left_s(spent_s: float, *, done: float, remaining: float) -> float:
    """Seconds for ``remaining`` units at the speed at which the first ``done`` (above 0) took ``spent_s``."""
    return spent_s * remaining / done
