"""A clock for tests that need a known time."""

from __future__ import annotations

from datetime import datetime, timedelta


class ManualClock:
    """A `servicekit.clock.Clock` that only a test moves."""

    def __init__(self, now: datetime) -> None:
        self._start = now
        self._advanced_s = 0.0
        self._set_by_s = 0.0

    def now(self) -> datetime:
        """The start time plus what the clock was advanced and set by."""
        return self._start + timedelta(seconds=self._advanced_s + self._set_by_s)

    def monotonic_s(self) -> float:
        """Seconds that the clock was advanced by."""
        return self._advanced_s

    def boot_s(self) -> float:
        """The same."""
        return self._advanced_s

    def set_by(self, seconds: float) -> None:
        """Set the time of day forward or back, as an operator or NTP does; no time passes."""
        self._set_by_s += seconds

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._advanced_s += seconds
