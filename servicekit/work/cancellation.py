"""The order to stop, seen at once by work that asks for it and by calls that are blocked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum

from servicekit.clock import Clock
from servicekit.errors import Cancelled, Expired
from servicekit.journal import ClaimLost


class StopReason(Enum):
    """Why work has to stop."""

    CANCEL = "cancel"
    EXPIRED = "expired"
    LOST = "lost"
    GIVE_BACK = "give back"


class GivenBack(Exception):
    """The service is shutting down: stop here, and the next start goes on from the last kept stage."""


class CancellationToken:
    """The order for one claim. The first reason given stands."""

    def __init__(self, *, expire_time: datetime | None, clock: Clock) -> None:
        self.reason: StopReason | None = None
        self.expire_time = expire_time
        self._clock = clock
        self._lock = threading.Lock()
        self._given = threading.Event()
        self._callbacks: list[Callable[[], object]] = []

    def give(self, reason: StopReason) -> None:
        """Order the stop, and call what waits for it."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            self._given.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def expire_if_due(self) -> None:
        """Give the order once the expiry has passed."""
        if self.expire_time is not None and self._clock.now() >= self.expire_time:
            self.give(StopReason.EXPIRED)

    def left_s(self) -> float | None:
        """Seconds until the expiry, negative once it has passed; None where there is none."""
        return None if self.expire_time is None else (self.expire_time - self._clock.now()).total_seconds()

    def check(self) -> None:
        """Raise Cancelled, Expired, ClaimLost or GivenBack once ordered; otherwise cheap enough for an inner loop."""
        self.expire_if_due()
        if self.reason is StopReason.CANCEL:
            raise Cancelled("a cancel stopped it")
        if self.reason is StopReason.EXPIRED:
            raise self.expired()
        if self.reason is StopReason.LOST:
            raise ClaimLost("another worker took the version over")
        if self.reason is StopReason.GIVE_BACK:
            raise GivenBack

    def wait(self, seconds: float) -> None:
        """Sleep, but raise as :meth:`check` does as soon as a stop is ordered."""
        self._given.wait(seconds)
        self.check()

    @contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Call ``callback`` as soon as a stop is ordered during the block, from another thread: to break a blocking call."""
        with self._lock:
            self._callbacks.append(callback)
            late = self.reason is not None
        if late:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def expired(self) -> Expired:
        """The error of a version whose brief's expiry passed."""
        moment = self.expire_time.isoformat().replace("+00:00", "Z") if self.expire_time else ""
        return Expired(f"the brief's expiry {moment} passed before it was done", metadata={"expire_time": moment})
