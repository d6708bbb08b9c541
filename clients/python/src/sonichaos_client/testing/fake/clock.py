"""The fake's clock: real time times a speed, or time that stands still, and in both cases time that can be skipped."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

MAX_SKIP_S = 365 * 86400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Action = Callable[[], Awaitable[None]]


@dataclass(order=True)
class Timer:
    """An action at a time of the clock. ``cancelled`` timers do nothing."""

    at_us: int
    number: int
    action: Action = field(compare=False)
    cancelled: bool = field(default=False, compare=False)


class VirtualClock:
    """Runs actions at their times, one after another, each at exactly its own time. Belongs to one event loop.

    ``speed`` is how many seconds pass in one real second; 0: none, only :meth:`skip` moves the clock. It begins at the real time.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        if not 0.0 <= speed <= 1e6:
            raise ValueError(f"speed must be from 0 to 1000000, got {speed:g}.")
        self._speed = speed
        self._real_start_s = time.monotonic()
        self._start_us = time.time_ns() // 1000
        self._skipped_us = 0
        self._running_us: int | None = None
        self._latest_us = 0
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._advancing = asyncio.Lock()
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        """The time in UTC. It never goes back; while an action runs, it is that action's."""
        return from_micros(self.now_us())

    def now_us(self) -> int:
        """The same in microseconds since 1970."""
        current = self._free_us() if self._running_us is None else self._running_us
        self._latest_us = max(self._latest_us, current)
        return self._latest_us

    def call_at(self, at_us: int, action: Action) -> Timer:
        """Run ``action`` at a time, or as soon as possible if that has passed."""
        timer = Timer(at_us, next(self._numbers), action)
        heapq.heappush(self._timers, timer)
        self._changed.set()
        return timer

    def call_after(self, seconds: float, action: Action) -> Timer:
        """Run ``action`` after so many seconds of the clock."""
        return self.call_at(self.now_us() + round(seconds * 1e6), action)

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of the clock."""
        woken = asyncio.Event()

        async def wake() -> None:
            woken.set()

        timer = self.call_after(seconds, wake)
        try:
            await woken.wait()
        finally:
            timer.cancelled = True

    async def skip(self, seconds: float) -> datetime:
        """Move the clock forward. All actions that become due by then have run when this returns."""
        async with self._advancing:
            skipped_us = round(seconds * 1e6)
            await self._run_until(self._free_us() + skipped_us)
            self._skipped_us += skipped_us
        self._changed.set()
        return self.now()

    async def run(self) -> None:
        """Run actions as real time passes, until this is cancelled."""
        while True:
            async with self._advancing:
                await self._run_until(self._free_us())
            self._changed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._real_wait_s())

    async def _run_until(self, until_us: int) -> None:
        while self._timers and self._timers[0].at_us <= until_us:
            timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self._running_us = timer.at_us
            try:
                await timer.action()
            finally:
                self._running_us = None

    def _real_wait_s(self) -> float | None:
        """Real seconds until the next action; None if real time does not bring one."""
        if not self._timers or self._speed == 0.0:
            return None if not self._timers or self._timers[0].at_us > self._free_us() else 0.0
        return max(self._timers[0].at_us - self._free_us(), 0) / 1e6 / self._speed

    def _free_us(self) -> int:
        passed_us = round((time.monotonic() - self._real_start_s) * 1e6 * self._speed)
        return self._start_us + passed_us + self._skipped_us


def from_micros(micros: int) -> datetime:
    """A time in UTC."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
