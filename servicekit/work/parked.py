"""Claimed versions that wait for the end of a temporary refusal without a thread."""

from __future__ import annotations

import threading

from servicekit.clock import Clock
from servicekit.work.heartbeat import Running


class ParkedVersions:
    """Versions with the time of their next attempt. Their claims are renewed meanwhile. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due_s: dict[Running, float] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._due_s)

    def add(self, running: Running, *, delay_s: float) -> bool:
        """Park a version for ``delay_s`` seconds; False after :meth:`close`."""
        with self._lock:
            if not self._closed:
                self._due_s[running] = self._clock.monotonic_s() + delay_s
            return not self._closed

    def take_due(self) -> Running | None:
        """Remove and return the version that has been due for longest; None where none is due."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            due = [running for running, due_s in self._due_s.items() if due_s <= now_s and running.may_go_on]
            if not due:
                return None
            first = min(due, key=self._due_s.__getitem__)
            del self._due_s[first]
            return first

    def next_due_in_s(self) -> float | None:
        """Seconds until the next version is due, 0 where one is; None where none is parked."""
        with self._lock:
            return max(min(self._due_s.values()) - self._clock.monotonic_s(), 0.0) if self._due_s else None

    def take_stopped(self) -> list[Running]:
        """Remove and return the versions whose work has to stop."""
        with self._lock:
            stopped = [running for running in self._due_s if not running.may_go_on]
            for running in stopped:
                del self._due_s[running]
            return stopped

    def close(self) -> list[Running]:
        """Remove and return all versions, and take no more."""
        with self._lock:
            self._closed = True
            parked = list(self._due_s)
            self._due_s.clear()
            return parked
