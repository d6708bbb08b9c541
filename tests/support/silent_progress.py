"""A `ProgressReporter` that publishes nothing and never stops the work."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class SilentProgress:
    """For stages whose progress a test does not look at."""

    def stage(self, stage: object, steps_total: int = 1) -> None:
        """Start a stage."""

    def step(self, done: int, *, total: int | None = None, time_left_s: float | None = None) -> None:
        """Count steps."""

    def check(self) -> None:
        """Go on."""

    def retrying(self, operation: Callable[[], T]) -> T:
        """Call it once."""
        return operation()
