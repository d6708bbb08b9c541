"""Worker threads that run accepted versions until they end.

Every error of the work ends up here. A ServiceError ends the version with its status; any other exception is logged with its
traceback and ends it as INTERNAL. Accepted versions are never lost: what a dead or drained service was running is claimed again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog

from servicekit.clock import Clock
from servicekit.errors import Internal, ServiceError
from servicekit.journal import Claim, ClaimLost, Event, JobState, Journal, OrphanedVersion, OwningService, Stage
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.rpc.status import as_service_error, status_json, to_status
from servicekit.work.assignment import Assignment
from servicekit.work.cancellation import CancellationToken, StopReason, WorkerShutdown
from servicekit.work.heartbeat import HeartbeatThread, Running
from servicekit.work.progress import Progress, StageWeights
from servicekit.work.retry import AttemptPolicy

_POLL_S = 0.5
_log = logger(__name__)

Work = Callable[[Assignment], None]
RemoveOrphans = Callable[[OrphanedVersion], None]


class Runner:
    """``workers`` threads that claim an owner's versions and call ``work`` for each. Runs during its ``with`` block.

    ``work`` returns when the version is done and raises a ServiceError to fail it. ``weights`` are the stages of each track.
    A claim expires ``lease_s`` after the last heartbeat. Work that does not stop within ``shutdown_grace_s`` of the end of a drain
    loses its claim. ``remove_orphans`` is called with each orphaned version before it ends,
    to remove the files that the version does not name.
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
        attempts: AttemptPolicy | None = None,
        remove_orphans: RemoveOrphans | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._work = work
        self._weights = weights
        self._clock = clock
        self._lease_s = lease_s
        self._shutdown_grace_s = shutdown_grace_s
        self._attempts = attempts or AttemptPolicy()
        self._metrics = metrics
        self._remove_orphans = remove_orphans
        self._heartbeat = HeartbeatThread(
            journal, owner=owner, clock=clock, heartbeat_s=heartbeat_s, before_reap=self._clean_up, metrics=metrics
        )
        self._claiming = threading.RLock()
        self._changed = threading.Condition()
        self._generation = 0
        self._draining = False
        self._stack = ExitStack()
        self._threads = [
            threading.Thread(target=self._loop, name=f"work-{number}", daemon=True) for number in range(workers)
        ]

    def __enter__(self) -> Self:
        self._stack.enter_context(self._journal.subscribe(self._on_events))
        self._heartbeat.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain(0.0)
        self._heartbeat.stop()
        self._stack.close()

    def drain(self, timeout_s: float) -> bool:
        """Stop claiming; let running work finish for at most ``timeout_s``, then release it for the next start.

        True where all work finished by itself.
        """
        with self._changed:
            self._draining = True
            self._changed.notify_all()
        self._join_threads(timeout_s)
        unfinished = self._heartbeat.all()
        for running in unfinished:
            running.cancellation.stop(StopReason.SHUTDOWN)
        self._join_threads(self._shutdown_grace_s)
        for running in self._heartbeat.all():
            # The work does not respond, so its claim is released for it: the journal refuses whatever it still writes.
            self._release(running)
            self._heartbeat.remove(running)
        return not unfinished

    def _join_threads(self, timeout_s: float) -> None:
        deadline_s = self._clock.monotonic_s() + timeout_s
        for thread in self._threads:
            thread.join(max(deadline_s - self._clock.monotonic_s(), 0.0))

    def _on_events(self, events: Sequence[Event]) -> None:
        """Called in the thread that committed the events."""
        if any(event.state is JobState.QUEUED and event.owner is self._owner for event in events):
            with self._changed:
                self._generation += 1
                self._changed.notify_all()
        if any(event.state is JobState.CANCELLING for event in events):
            with self._claiming:  # a claim that is being made right now must see the cancel too
                self._heartbeat.on_events(events)

    def _loop(self) -> None:
        while not self._draining:
            generation = self._generation
            running = self._next()
            if running is not None:
                with structlog.contextvars.bound_contextvars(job_id=running.key[0], version=running.key[1]):
                    self._run(running)
                continue
            with self._changed:
                if self._generation == generation and not self._draining:
                    self._changed.wait(_POLL_S)

    def _next(self) -> Running | None:
        try:
            self._clean_up()
            with self._claiming:
                if self._draining:
                    return None
                claim = self._journal.claim(self._owner, lease_s=self._lease_s)
                if claim is None:
                    return None
                cancellation = CancellationToken(expire_time=claim.version.expire_time, clock=self._clock)
                running = Running(claim, cancellation, self._progress(claim, cancellation), self._clock.monotonic_s())
                self._heartbeat.add(running)
                return running
        except ServiceError as error:
            _log.warning("claiming failed", message=error.message)
            return None

    def _clean_up(self) -> None:
        """Called before the journal ends orphaned versions: after that nobody knows about their files."""
        if self._remove_orphans is not None:
            for orphan in self._journal.orphaned_versions(self._owner):
                self._remove_orphans(orphan)

    def _progress(self, claim: Claim, cancellation: CancellationToken) -> Progress:
        return Progress(
            self._journal,
            claim,
            cancellation=cancellation,
            weights=self._weights,
            clock=self._clock,
            wake_writer=self._heartbeat.wake,
            observe=self._observe,
        )

    def _run(self, running: Running) -> None:
        """The error boundary of a worker: however the work ends, the version's state shows it."""
        _log.info("work started", attempt=running.claim.attempt)
        try:
            self._run_attempts(running)
            self._write_end(lambda: self._finish(running))
        except ClaimLost:
            _log.warning("claim lost; the result of this attempt is discarded")
        except WorkerShutdown:
            self._release(running)
        except Exception as error:  # noqa: BLE001  the boundary
            self._end_failed(running, error)
        finally:
            self._heartbeat.remove(running)

    def _run_attempts(self, running: Running) -> None:
        """Run the work; retry while a service it depends on is unavailable."""
        attempts = 0
        while True:
            attempts += 1
            try:
                self._work(Assignment(running.claim, running.progress))
            except ServiceError as error:
                running.cancellation.check()
                delay_s = self._attempts.delay_s(attempts, error)
                if not self._attempts.is_retryable(error):
                    raise
                if delay_s is None:
                    raise self._attempts.with_retry_after(error) from error
                _log.warning("retrying", reason=error.reason, message=error.message, delay_s=delay_s)
                running.progress.close(completed=False)
                running.cancellation.wait(delay_s)
                running.claim = self._journal.retry(running.claim)
                running.progress = self._progress(running.claim, running.cancellation)
            else:
                return

    def _finish(self, running: Running) -> None:
        if running.progress.ended:
            self._ended(JobState.DONE)
            return
        running.progress.close(completed=True)
        self._ended(self._journal.finish(running.claim))

    def _end_failed(self, running: Running, error: Exception) -> None:
        """End a version whose work raised. If it had to stop, the reason counts and not the error that stopping caused."""
        stage = running.progress.current_stage
        reason = running.cancellation.reason
        if reason is StopReason.CANCELLED:
            self._write_end(lambda: self._end_cancelled(running))
        elif reason is StopReason.SHUTDOWN:
            self._release(running)
        elif reason is StopReason.CLAIM_LOST:
            _log.warning("claim lost; the result of this attempt is discarded")
        else:
            if reason is StopReason.EXPIRED:
                error = running.cancellation.expired()
            service_error = as_service_error(error)
            if isinstance(service_error, Internal) and service_error is not error:
                _log.error("unexpected error", stage=stage, exc_info=error)
            _log.info("work failed", stage=stage, reason=service_error.reason, message=service_error.message)
            status = status_json(to_status(error, stage=stage))
            self._write_end(lambda: self._end_with(running, status))

    def _end_cancelled(self, running: Running) -> None:
        running.progress.close(completed=False)
        self._journal.end_cancelled(running.claim)
        self._ended(JobState.CANCELLED)

    def _end_with(self, running: Running, status: dict[str, object]) -> None:
        running.progress.close(completed=False)
        self._journal.fail(running.claim, status)
        self._ended(JobState.FAILED)

    def _write_end(self, write: Callable[[], None]) -> None:
        """Write the end of a version; retry until the journal answers or the service drains."""
        while True:
            try:
                write()
            except ClaimLost:
                _log.warning("claim lost; the result of this attempt is discarded")
            except ServiceError as error:
                _log.error("writing the end of a version failed", message=error.message)
                with self._changed:
                    if not self._changed.wait_for(lambda: self._draining, _POLL_S):
                        continue
                _log.warning("end of a version not written before shutdown; the next start runs it again")
            return

    def _release(self, running: Running) -> None:
        try:
            running.progress.close(completed=False)
            self._journal.release(running.claim)
            _log.info("claim released")
        except ClaimLost:
            _log.info("work already ended")
        except ServiceError as error:
            _log.warning("releasing the claim failed; its lease will expire", message=error.message)

    def _ended(self, state: JobState) -> None:
        _log.info("work ended", state=str(state))
        if self._metrics is not None:
            self._metrics.jobs.labels(state=str(state)).inc()

    def _observe(self, stage: Stage, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.stage_seconds.labels(stage=str(stage)).observe(seconds)
