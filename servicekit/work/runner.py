"""Worker threads that run accepted versions until they end.

Every error of the work ends up here. After a temporary refusal the version waits, without a thread, for its next attempt. Any other
ServiceError ends the version with its status; any other exception is logged with its traceback and ends it as INTERNAL. Accepted
versions are never lost: what a dead or drained service was running is claimed again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog

from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import (
    Claim,
    ClaimLost,
    Event,
    JobState,
    Journal,
    OwningService,
    Stage,
)
from servicekit.logs import logger
from servicekit.memory import clear_frames, return_free_memory
from servicekit.metrics import Metrics
from servicekit.repeated_problem import RepeatedProblem
from servicekit.work.assignment import Assignment
from servicekit.work.cancellation import CancellationToken, StopReason, WorkerShutdown
from servicekit.work.endings import RemoveOrphans, UnnamedFiles, VersionEndings
from servicekit.work.heartbeat import HeartbeatThread, Running
from servicekit.work.parked import ParkedVersions
from servicekit.work.progress import Progress
from servicekit.work.reaper import Reaper
from servicekit.work.retry import RetryPolicy, WaitBudget
from servicekit.work.thread_group import ThreadGroup, boundary
from servicekit.work.tracks import StageWeights

_POLL_S = 0.5
_STOPPED_POLL_S = 0.1
_MAX_PARKED = 64
_MAX_CANCELLED = 1000
_NO_ROOM_FOR_MORE = frozenset({"STORE_UNAVAILABLE", "DISK_FULL"})
_log = logger(__name__)

Work = Callable[[Assignment], None]


class Runner:
    """``workers`` threads that claim an owner's versions and call ``work`` for each. Runs during its ``with`` block.

    ``work`` returns when the version is done and raises a ServiceError to fail it. ``weights`` are the stages of each track.
    A claim expires ``lease_s`` after the last heartbeat. Work that does not stop within ``shutdown_grace_s`` of the end of a drain
    loses its claim. ``remove_orphans`` removes the files that a version does not name: it is called with each orphaned version
    before it ends, and with the earlier attempts of a version before the next. ``check_before_claim`` raises a ServiceError while
    nothing new is to be claimed, such as while the store is down; nor is anything claimed while a version waits for the store or
    for space.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        owner: OwningService,
        work: Work,
        weights: StageWeights,
        clock: Clock,
        workers: int = 1,
        lease_s: float = 30.0,
        heartbeat_s: float = 1.0,
        shutdown_grace_s: float = 2.0,
        retries: RetryPolicy | None = None,
        remove_orphans: RemoveOrphans | None = None,
        check_before_claim: Callable[[], object] | None = None,
        metrics: Metrics | None = None,
        faults: Faults = NO_FAULTS,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._work = work
        self._weights = weights
        self._clock = clock
        self._lease_s = lease_s
        self._shutdown_grace_s = shutdown_grace_s
        self._retries = retries or RetryPolicy()
        self._metrics = metrics
        self._check_before_claim = check_before_claim
        self._files = UnnamedFiles(journal, owner, remove_orphans)
        self._endings = VersionEndings(journal, self._files, draining=self._wait_for_drain, metrics=metrics)
        self._heartbeat = HeartbeatThread(journal, clock=clock, heartbeat_s=heartbeat_s, faults=faults)
        self._reaper = Reaper(journal, owner, before_reap=self._files.remove_orphaned, metrics=metrics, faults=faults)
        self._claiming = threading.RLock()
        # Cancelled since the last claim began: a claim that is being made right now must see the cancel too, but whoever cancels
        # does not wait for a claim, which may wait for the journal.
        self._cancelled: deque[tuple[str, int]] = deque(maxlen=_MAX_CANCELLED)
        self._changed = threading.Condition()
        self._generation = 0
        self._draining = False
        self._stack = ExitStack()
        self._parked = ParkedVersions(clock)
        self._workers = ThreadGroup("work", self._loop, size=workers, faults=faults)
        self._ender = ThreadGroup("work-ender", self._end_stopped, size=1, faults=faults)
        self._closed = threading.Event()
        self._claim_problem = RepeatedProblem("claiming")

    def __enter__(self) -> Self:
        self._stack.enter_context(self._journal.subscribe(self._on_events))
        self._heartbeat.start()
        self._reaper.start()
        self._ender.start()
        self._workers.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain(0.0)
        self._closed.set()
        self._reaper.stop(self._shutdown_grace_s)
        self._heartbeat.stop()
        self._ender.join()
        self._stack.close()

    def keep_alive(self) -> bool:
        """Replace threads that have died; False where one cannot be started, so that work would stand still."""
        groups = (self._heartbeat, self._reaper, self._ender, self._workers)
        return self._draining or all(group.keep_alive() for group in groups)

    def drain(self, timeout_s: float) -> bool:
        """Stop claiming; let running work finish for at most ``timeout_s``, then release it for the next start.

        True where all work finished by itself.
        """
        with self._changed:
            self._draining = True
            self._changed.notify_all()
        for running in self._parked.close():
            self._endings.release(running)
            self._heartbeat.remove(running)
        self._workers.join(timeout_s)
        unfinished = self._heartbeat.all()
        for running in unfinished:
            running.cancellation.stop(StopReason.SHUTDOWN)
        self._workers.join(self._shutdown_grace_s)
        for running in self._heartbeat.all():
            # The work does not respond, so its claim is released for it: the journal refuses whatever it still writes.
            self._endings.release(running)
            self._heartbeat.remove(running)
        return not unfinished

    def _on_events(self, events: Sequence[Event]) -> None:
        """Called in the thread that committed the events."""
        if any(event.state is JobState.QUEUED and event.owner is self._owner for event in events):
            with self._changed:
                self._generation += 1
                self._changed.notify_all()
        cancelled = [(event.job_id, event.version) for event in events if event.state is JobState.CANCELLING]
        if cancelled:
            self._cancelled += cancelled
            self._heartbeat.on_events(events)

    def _loop(self) -> None:
        while not self._draining:
            generation = self._generation
            running = None
            with boundary("claiming failed unexpectedly"):
                running = self._parked.take_due() or self._next()
            if running is not None:
                with structlog.contextvars.bound_contextvars(**_log_context(running)):
                    self._run(running)
                running = None
                return_free_memory()
                continue
            with self._changed:
                if self._generation == generation and not self._draining:
                    due_in_s = self._parked.next_due_in_s()
                    self._changed.wait(_POLL_S if due_in_s is None else min(due_in_s, _POLL_S))

    def _next(self) -> Running | None:
        try:
            if self._waits_for_room():
                return None
            self._files.remove_orphaned()
            if self._check_before_claim is not None and self._journal.count_queued(self._owner):
                self._check_before_claim()
            running = self._claim()
        except ServiceError as error:
            self._claim_problem.occurred(error)
            return None
        self._claim_problem.over()
        return running

    def _waits_for_room(self) -> bool:
        """Whether a claimed version waits for what a new one would need too, store or space, or very many wait for anything.

        Also while it tries again: until the stage that was refused is over.
        """
        blocked = any(_NO_ROOM_FOR_MORE & running.budget.state.spent.keys() for running in self._heartbeat.all())
        return blocked or len(self._parked) >= _MAX_PARKED

    def _claim(self) -> Running | None:
        with self._claiming:
            if self._draining:
                return None
            asked_s = self._journal.clock.monotonic_s()
            self._cancelled.clear()
            claim = self._journal.claim(self._owner, lease_s=self._lease_s)
            if claim is None:
                return None
            cancellation = CancellationToken(
                expire_time=claim.version.expire_time,
                clock=self._journal.clock,
                lease_until_s=asked_s + self._lease_s,
            )
            budget = WaitBudget(self._retries, self._clock, claim.version.waits)
            progress = self._progress(claim, cancellation, budget)
            running = Running(claim, cancellation, budget, progress, self._clock.monotonic_s())
            self._heartbeat.add(running)
            if running.key in self._cancelled:
                cancellation.stop(StopReason.CANCELLED)
            return running

    def _progress(self, claim: Claim, cancellation: CancellationToken, budget: WaitBudget) -> Progress:
        return Progress(
            self._journal,
            claim,
            cancellation=cancellation,
            budget=budget,
            weights=self._weights,
            clock=self._clock,
            wake_writer=self._heartbeat.wake,
            observe=self._observe,
            remove_unnamed=lambda: self._files.remove_own(claim),
        )

    def _run(self, running: Running) -> None:
        """One attempt, and the error boundary of a worker: however the work ends, the version's state shows it."""
        parked = False
        try:
            if running.budget.refusal is not None:
                self._start_next_attempt(running)
            _log.info("work started", attempt=running.claim.attempt)
            self._files.remove_earlier(running.claim)
            self._work(Assignment(running.claim, running.progress))
            self._endings.finish(running)
        except ClaimLost:
            self._endings.discard(running)
        except WorkerShutdown:
            self._endings.release(running)
        except BaseException as error:  # noqa: BLE001  the boundary; SystemExit of a library would end the thread
            parked = self._park(running, error)
            if not parked:
                self._endings.fail(running, error)
        finally:
            if not parked:
                self._heartbeat.remove(running)

    def _start_next_attempt(self, running: Running) -> None:
        running.progress.close(completed=False)
        running.claim = self._journal.retry(running.claim)
        running.budget.trying()
        running.progress = self._progress(running.claim, running.cancellation, running.budget)

    def _park(self, running: Running, error: BaseException) -> bool:
        """Let the version wait without a thread if the refusal is temporary; False where the version has to end."""
        running.cancellation.stop_if_expired()
        delay_s = running.budget.refused(error, stage=running.progress.current_stage) if running.may_go_on else None
        if delay_s is None or running.budget.refusal is None:
            return False
        refusal = running.budget.refusal
        clear_frames(error)
        _log.warning("waiting for the next attempt", reason=refusal.reason, message=refusal.message, delay_s=delay_s)
        running.progress.report_wait()
        if not self._parked.add(running, delay_s=delay_s):
            running.cancellation.stop(StopReason.SHUTDOWN)
            return False
        return True

    def _end_stopped(self) -> None:
        """End the versions that were parked when they were cancelled or expired. All workers may be busy with other versions."""
        while not self._closed.wait(_STOPPED_POLL_S):
            for running in self._parked.take_stopped():
                with (
                    boundary("ending a version failed"),
                    structlog.contextvars.bound_contextvars(**_log_context(running)),
                ):
                    self._endings.fail(running, running.budget.refusal or WorkerShutdown())
                self._heartbeat.remove(running)

    def _wait_for_drain(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._draining, _POLL_S)

    def _observe(self, stage: Stage, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.stage_seconds.labels(stage=str(stage)).observe(seconds)


def _log_context(running: Running) -> dict[str, object]:
    """What each line about a version's work has, also for whom it is done."""
    job_id, version = running.key
    return {"job_id": job_id, "version": version, "tenant": running.claim.job.tenant}
