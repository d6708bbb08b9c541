"""Keeps running work alive and obedient: heartbeats, orders, events to be written, and what ends without a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.journal import Claim, ClaimLost, Event, JobState, Journal, Owner
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.work.cancellation import CancellationToken, StopReason
from servicekit.work.progress import Progress

_TICK_S = 0.1
_SETTLE_S = 0.5
_log = logger(__name__)


@dataclass(eq=False)
class Running:
    """A version under work. Claim and progress change with each attempt."""

    claim: Claim
    stop: CancellationToken
    progress: Progress
    beat_s: float

    @property
    def key(self) -> tuple[str, int]:
        """Job id and version number."""
        return self.claim.version.job_id, self.claim.version.number


class HeartbeatThread:
    """One thread for all running versions of a process."""

    def __init__(
        self,
        journal: Journal,
        *,
        owner: Owner,
        clock: Clock,
        heartbeat_s: float,
        before_settling: Callable[[], None],
        metrics: Metrics | None,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._before_settling = before_settling
        self._metrics = metrics
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Running] = {}
        self._news = threading.Event()
        self._ended = threading.Event()
        self._settled_s = clock.monotonic_s()
        self._thread = threading.Thread(target=self._loop, name="work-keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop, after what is under way."""
        self._ended.set()
        self._news.set()
        self._thread.join()

    def wake(self) -> None:
        """Events wait to be written."""
        self._news.set()

    def add(self, running: Running) -> None:
        """Keep this one alive from now on."""
        with self._lock:
            self._running[running.key] = running

    def remove(self, running: Running) -> None:
        """It ended."""
        with self._lock:
            self._running.pop(running.key, None)

    def all(self) -> tuple[Running, ...]:
        """What is under work now."""
        with self._lock:
            return tuple(self._running.values())

    def hear(self, events: Sequence[Event]) -> None:
        """Pass a cancel that this process accepted on at once."""
        for event in events:
            if event.state is JobState.CANCELLING:
                with self._lock:
                    running = self._running.get((event.job_id, event.version))
                if running is not None:
                    running.stop.give(StopReason.CANCEL)

    def _loop(self) -> None:
        while not self._ended.is_set():
            self._news.wait(_TICK_S)
            self._news.clear()
            for running in self.all():
                self._keep_alive(running)
            if self._clock.monotonic_s() - self._settled_s >= _SETTLE_S:
                self._settled_s = self._clock.monotonic_s()
                self._settle()

    def _keep_alive(self, running: Running) -> None:
        running.stop.expire_if_due()
        try:
            running.progress.flush()
            if self._clock.monotonic_s() - running.beat_s >= self._heartbeat_s:
                running.beat_s = self._clock.monotonic_s()
                orders = self._journal.heartbeat(running.claim)
                if orders.cancel:
                    running.stop.give(StopReason.CANCEL)
                if orders.expired:
                    running.stop.give(StopReason.EXPIRED)
        except ClaimLost:
            # Its own worker may have ended it a moment ago.
            if running in self.all():
                running.stop.give(StopReason.LOST)
        except ServiceError as error:
            _log.warning("journal does not take a sign of life", job_id=running.key[0], message=error.message)

    def _settle(self) -> None:
        try:
            self._before_settling()
            self._journal.settle(self._owner)
            if self._metrics is not None:
                self._metrics.queued.set(self._journal.queued(self._owner))
        except ServiceError as error:
            _log.warning("journal or store does not answer", message=error.message)
