"""Tells running work to stop, whether it polls or is blocked in a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import Enum

from servicekit.clock import Clock
from servicekit.errors import Cancelled, Expired
from servicekit.journal import ClaimLost
from servicekit.journal.reaping import expired_error

_LEASE_POLL_S = 0.05


class StopReason(Enum):
    """Why work has to stop."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"
    CLAIM_LOST = "claim lost"
    SHUTDOWN = "shutdown"


class WorkerShutdown(Exception):
    """The service is shutting down. The version is queued again and resumes after its checkpointed stage."""


class CancellationToken:
    """Whether the work on one claim has to stop, and why. The first reason counts. Safe to use from any thread.

    ``lease_until_s`` is when the claim's lease ends unless it is renewed, by the monotonic clock; None: never. Work whose lease has
    ended stops at its next :meth:`check` until the lease is renewed, which fails if another worker has claimed the version.
    ``expire_time`` is turned into a duration at once, so that it does not matter if the clock is set.
    """

    def __init__(self, *, expire_time: datetime | None, clock: Clock, lease_until_s: float | None = None) -> None:
        self.reason: StopReason | None = None
        self.expire_time = expire_time
        left_s = None if expire_time is None else (expire_time - clock.now()).total_seconds()
        self._expires_s = None if left_s is None else clock.monotonic_s() + left_s
        self.lease_until_s = lease_until_s
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._callbacks: list[Callable[[], object]] = []

    def stop(self, reason: StopReason) -> None:
        """Tell the work to stop, and run the callbacks of :meth:`on_stop`."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            self._stopped.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def stop_if_expired(self) -> None:
        """Tell the work to stop if its expiry has passed."""
        left_s = self.expires_in_s()
        if left_s is not None and left_s <= 0:
            self.stop(StopReason.EXPIRED)

    @property
    def has_lease(self) -> bool:
        """Whether no other worker can have claimed the version."""
        return self.lease_until_s is None or self._clock.monotonic_s() < self.lease_until_s

    def renew_lease(self, renew: Callable[[], float]) -> None:
        """Call ``renew``, which returns for how many seconds, from before the call on, the lease is renewed."""
        asked_s = self._clock.monotonic_s()
        self.lease_until_s = asked_s + renew()

    def wait_for_lease(self) -> None:
        """Wait while the lease has ended and nothing tells the work to stop."""
        while not self.has_lease and self.reason is None:
            self._stopped.wait(_LEASE_POLL_S)
            self.stop_if_expired()

    def expires_in_s(self) -> float | None:
        """Seconds until the expiry, negative after it; None where there is none."""
        return None if self._expires_s is None else self._expires_s - self._clock.monotonic_s()

    def check(self) -> None:
        """Raise Cancelled, Expired, ClaimLost or WorkerShutdown if the work has to stop. Cheap enough for an inner loop."""
        self.wait_for_lease()
        self.stop_if_expired()
        if self.reason is StopReason.CANCELLED:
            raise Cancelled("cancelled by the caller")
        if self.reason is StopReason.EXPIRED:
            raise self.expired()
        if self.reason is StopReason.CLAIM_LOST:
            raise ClaimLost("another worker has claimed this version")
        if self.reason is StopReason.SHUTDOWN:
            raise WorkerShutdown

    def wait(self, seconds: float) -> None:
        """Sleep for ``seconds``; raises as :meth:`check` as soon as the work has to stop."""
        self._stopped.wait(seconds)
        self.check()

    @contextmanager
    def on_stop(self, callback: Callable[[], object]) -> Iterator[None]:
        """During the block, call ``callback`` as soon as the work has to stop, from any thread: it aborts a blocking call."""
        with self._lock:
            self._callbacks.append(callback)
            already_stopped = self.reason is not None
        if already_stopped:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def expired(self) -> Expired:
        """The error of work that did not end before its expiry."""
        return expired_error(self.expire_time or self._clock.now())
