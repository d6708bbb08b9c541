"""Time as an argument: nothing below a ``__main__`` asks the machine for the time by itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The wall time, in UTC, for what is stored or shown."""

    def monotonic_s(self) -> float:
        """Seconds that never jump, for durations within one process."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """The wall time in UTC."""
        return datetime.now(tz=UTC)

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary moment."""
        return time.monotonic()


class SetClock:
    """A clock that stands still until it is moved, where a known time matters more than the true one."""

    def __init__(self, now: datetime) -> None:
        self._start = now
        self._passed_s = 0.0

    def now(self) -> datetime:
        """The time it was set to."""
        return self._start + timedelta(seconds=self._passed_s)

    def monotonic_s(self) -> float:
        """Seconds by which it was moved."""
        return self._passed_s

    def advance(self, seconds: float) -> None:
        """Move it forward."""
        self._passed_s += seconds


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, as the journal stores times. ``moment`` must carry a time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The UTC time of :func:`to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)
