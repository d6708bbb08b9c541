"""A thread that renews leases, passes cancellations on to running work and writes pending events. It waits for the journal only."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import Claim, ClaimLost, Event, JobState, Journal
from servicekit.logs import logger
from servicekit.work.cancellation import CancellationToken, StopReason
from servicekit.work.progress import Progress
from servicekit.work.retry import WaitBudget
from servicekit.work.thread_group import ThreadGroup, boundary

_TICK_S = 0.1
_COLLECT_S = 0.01
"""Events are collected for this long, so that those of quick stages share a transaction. Watchers see a stage while it lasts."""
_log = logger(__name__)


@dataclass(eq=False)
class Running:
    """A claimed version, also while it waits for its next attempt. Each attempt replaces claim and progress."""

    claim: Claim
    cancellation: CancellationToken
    budget: WaitBudget
    progress: Progress
    last_heartbeat_s: float
    journal_answers: bool = True
    """False from a failed write of the heartbeat thread until the next one that succeeds."""

    @property
    def may_go_on(self) -> bool:
        """False once the work has to stop."""
        return self.cancellation.reason is None

    @property
    def key(self) -> tuple[str, int]:
        """Job id and version number."""
        return self.claim.version.job_id, self.claim.version.number


class HeartbeatThread:
    """One thread for all running versions of a process."""

    def __init__(self, journal: Journal, *, clock: Clock, heartbeat_s: float, faults: Faults = NO_FAULTS) -> None:
        self._journal = journal
        self._clock = clock
        self._heartbeat_s = heartbeat_s
        self._lock = threading.Lock()
        self._running: dict[str, Running] = {}  # by claim: a version may have been claimed anew
        self._wakeup = threading.Event()
        self._stopping = threading.Event()
        self._threads = ThreadGroup("work-heartbeat", self._loop, size=1, faults=faults)

    def start(self) -> None:
        """Start the thread."""
        self._threads.start()

    def keep_alive(self) -> bool:
        """Replace the thread if it has died; False where none can be started."""
        return self._threads.keep_alive()

    def stop(self) -> None:
        """Stop the thread after its current round."""
        self._stopping.set()
        self._wakeup.set()
        self._threads.join()

    def wake(self) -> None:
        """Start the next round now: there are events to write."""
        self._wakeup.set()

    def add(self, running: Running) -> None:
        """Renew the lease of this version from now on."""
        with self._lock:
            self._running[running.claim.token] = running

    def remove(self, running: Running) -> None:
        """The work on this version has stopped: its lease is not renewed, and if it has not ended, it may be claimed again."""
        with self._lock:
            self._running.pop(running.claim.token, None)
        self._journal.drop(running.claim)

    def all(self) -> tuple[Running, ...]:
        """All running versions."""
        with self._lock:
            return tuple(self._running.values())

    def on_events(self, events: Sequence[Event]) -> None:
        """Stop the work on versions that were cancelled through this process, without waiting for the next heartbeat."""
        for event in events:
            if event.state is JobState.CANCELLING:
                for running in self.all():
                    if running.key == (event.job_id, event.version):
                        running.cancellation.stop(StopReason.CANCELLED)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            if self._wakeup.wait(_TICK_S):
                self._stopping.wait(_COLLECT_S)
            self._wakeup.clear()
            with boundary("a round of the heartbeat failed"):
                self._round()

    def _round(self) -> None:
        for running in self.all():
            with boundary("renewing a claim failed"):
                self._renew(running)

    def _renew(self, running: Running) -> None:
        running.cancellation.stop_if_expired()
        try:
            if running.cancellation.has_lease:
                running.progress.flush()
            now_s = self._clock.monotonic_s()
            if now_s - running.last_heartbeat_s >= self._heartbeat_s:
                running.last_heartbeat_s = now_s
                running.cancellation.renew_lease(lambda: self._beat(running))
                running.journal_answers = True
        except ClaimLost:
            # The worker may have ended the version just now; then it has removed it here.
            if running in self.all():
                running.cancellation.stop(StopReason.CLAIM_LOST)
        except ServiceError as error:
            if running.journal_answers:
                _log.warning(
                    "writing events or renewing the claim failed, will retry",
                    job_id=running.key[0],
                    version=running.key[1],
                    message=error.message,
                )
            running.journal_answers = False

    def _beat(self, running: Running) -> float:
        """Write a heartbeat and pass on what the journal says; returns the length of the lease."""
        reply = self._journal.heartbeat(running.claim)
        if reply.cancel_requested:
            running.cancellation.stop(StopReason.CANCELLED)
        if reply.expired:
            running.cancellation.stop(StopReason.EXPIRED)
        return running.claim.lease_s
