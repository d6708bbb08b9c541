"""Clocks. Code whose results or stored values depend on time gets a `Clock`; socket and lock timeouts read `time` themselves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """The wall time in UTC, for times that are stored or shown."""

    def monotonic_s(self) -> float:
        """Seconds that never jump, for durations within a process."""

    def boot_s(self) -> float:
        """Seconds since the machine started. They never jump, go on while it is suspended, and are the same for all processes."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall time in UTC."""
        return datetime.now(tz=UTC)

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary time."""
        return time.monotonic()

    def boot_s(self) -> float:
        """Seconds since the machine started."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, as the journal stores times. ``moment`` must carry a time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The UTC time of :func:`to_micros`."""
    return _EPOCH + timedelta(microseconds=micros)
