"""Threads that take accepted versions to their end.

One boundary for all errors of the work: what a caller can act on ends the version with its status, what nobody expected is logged
with its traceback and ends it as INTERNAL. Nothing accepted is lost: what a dead or drained service leaves is claimed again.
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
from servicekit.journal import Claim, ClaimLost, Event, JobState, Journal, OrphanedVersion, Owner, Stage
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.rpc.status import as_service_error, status_json, to_status
from servicekit.work.assignment import Assignment
from servicekit.work.cancellation import CancellationToken, GivenBack, StopReason
from servicekit.work.heartbeat import HeartbeatThread, Running
from servicekit.work.progress import Progress, StageWeights
from servicekit.work.retry import RetryPolicy

_POLL_S = 0.5
_GRACE_S = 2.0
_log = logger(__name__)

Work = Callable[[Assignment], None]
Tidy = Callable[[OrphanedVersion], None]


class Runner:
    """``workers`` threads that claim an owner's versions and call ``work`` for each; start it with its ``with`` block.

    ``work`` returns when the version is done, and raises a ServiceError to fail it. ``weights`` are the stages of each track.
    A claim lapses after ``lease_s`` without a sign of life. ``tidy`` is called with each version that a dead worker left and that
    ends without another, before it does.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        owner: Owner,
        work: Work,
        weights: StageWeights,
        clock: Clock,
        workers: int = 1,
        lease_s: float = 30.0,
        heartbeat_s: float = 1.0,
        retry: RetryPolicy | None = None,
        tidy: Tidy | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._work = work
        self._weights = weights
        self._clock = clock
        self._lease_s = lease_s
        self._retry = retry or RetryPolicy()
        self._metrics = metrics
        self._tidy = tidy
        self._keeper = HeartbeatThread(
            journal, owner=owner, clock=clock, heartbeat_s=heartbeat_s, before_settling=self._tidy_up, metrics=metrics
        )
        self._claiming = threading.RLock()
        self._news = threading.Condition()
        self._generation = 0
        self._draining = False
        self._stack = ExitStack()
        self._threads = [
            threading.Thread(target=self._loop, name=f"work-{number}", daemon=True) for number in range(workers)
        ]

    def __enter__(self) -> Self:
        self._stack.enter_context(self._journal.listening(self._hear))
        self._keeper.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain(0.0)
        self._keeper.end()
        self._stack.close()

    def drain(self, timeout_s: float) -> bool:
        """Claim nothing more and let running work end; after ``timeout_s`` give it back, to go on at the next start.

        True where everything ended by itself.
        """
        with self._news:
            self._draining = True
            self._news.notify_all()
        give_up_s = self._clock.monotonic_s() + timeout_s
        for thread in self._threads:
            thread.join(max(give_up_s - self._clock.monotonic_s(), 0.0))
        left = self._keeper.all()
        for running in left:
            running.stop.give(StopReason.GIVE_BACK)
        give_up_s = self._clock.monotonic_s() + _GRACE_S
        for thread in self._threads:
            thread.join(max(give_up_s - self._clock.monotonic_s(), 0.0))
        for running in self._keeper.all():
            # Deaf to its order, so its claim is taken from it: whatever it still writes is refused.
            self._give_back(running)
            self._keeper.remove(running)
        return not left

    def _hear(self, events: Sequence[Event]) -> None:
        """Called in the thread that committed the events."""
        if any(event.state is JobState.QUEUED and event.owner is self._owner for event in events):
            with self._news:
                self._generation += 1
                self._news.notify_all()
        if any(event.state is JobState.CANCELLING for event in events):
            with self._claiming:  # a claim being made at this moment must hear it too
                self._keeper.hear(events)

    def _loop(self) -> None:
        while not self._draining:
            generation = self._generation
            running = self._next()
            if running is not None:
                with structlog.contextvars.bound_contextvars(job_id=running.key[0], version=running.key[1]):
                    self._carry_out(running)
                continue
            with self._news:
                if self._generation == generation and not self._draining:
                    self._news.wait(_POLL_S)

    def _next(self) -> Running | None:
        try:
            self._tidy_up()
            with self._claiming:
                if self._draining:
                    return None
                claim = self._journal.claim(self._owner, lease_s=self._lease_s)
                if claim is None:
                    return None
                stop = CancellationToken(expire_time=claim.version.expire_time, clock=self._clock)
                running = Running(claim, stop, self._progress(claim, stop), self._clock.monotonic_s())
                self._keeper.add(running)
                return running
        except ServiceError as error:
            _log.warning("journal gives no work", message=error.message)
            return None

    def _tidy_up(self) -> None:
        """To be called before the journal ends what was left: then nobody knows any more that there are files."""
        if self._tidy is not None:
            for left in self._journal.left_behind(self._owner):
                self._tidy(left)

    def _progress(self, claim: Claim, stop: CancellationToken) -> Progress:
        return Progress(
            self._journal,
            claim,
            stop=stop,
            weights=self._weights,
            clock=self._clock,
            wake_writer=self._keeper.wake,
            observe=self._observe,
        )

    def _carry_out(self, running: Running) -> None:
        """The one boundary of a worker: however the work ends, the version's state says so."""
        _log.info("work began", attempt=running.claim.attempt)
        try:
            self._attempts(running)
            self._insist(lambda: self._finish(running))
        except ClaimLost:
            _log.warning("claim lost; another worker goes on")
        except GivenBack:
            self._give_back(running)
        except Exception as error:  # noqa: BLE001  the boundary
            self._end_failed(running, error)
        finally:
            self._keeper.remove(running)

    def _attempts(self, running: Running) -> None:
        """Work, and again where something it depends on did not answer."""
        tries = 0
        while True:
            tries += 1
            try:
                self._work(Assignment(running.claim, running.progress))
            except ServiceError as error:
                running.stop.check()
                delay_s = self._retry.delay_s(tries, error)
                if not self._retry.covers(error):
                    raise
                if delay_s is None:
                    raise self._retry.with_advice(error) from error
                _log.warning("trying again", reason=error.reason, message=error.message, delay_s=delay_s)
                running.progress.close(completed=False)
                running.stop.wait(delay_s)
                running.claim = self._journal.try_again(running.claim)
                running.progress = self._progress(running.claim, running.stop)
            else:
                return

    def _finish(self, running: Running) -> None:
        if running.progress.ended:
            self._ended(JobState.DONE)
            return
        running.progress.close(completed=True)
        self._ended(self._journal.finish(running.claim))

    def _end_failed(self, running: Running, error: Exception) -> None:
        """End a version whose work raised: an order to stop explains whatever error it caused."""
        stage = running.progress.current_stage
        reason = running.stop.reason
        if reason is StopReason.CANCEL:
            self._insist(lambda: self._end_cancelled(running))
        elif reason is StopReason.GIVE_BACK:
            self._give_back(running)
        elif reason is StopReason.LOST:
            _log.warning("claim lost; another worker goes on")
        else:
            if reason is StopReason.EXPIRED:
                error = running.stop.expired()
            known = as_service_error(error)
            if isinstance(known, Internal) and known is not error:
                _log.error("work failed unexpectedly", stage=stage, exc_info=error)
            _log.info("work failed", stage=stage, reason=known.reason, message=known.message)
            status = status_json(to_status(error, stage=stage))
            self._insist(lambda: self._end_with(running, status))

    def _end_cancelled(self, running: Running) -> None:
        running.progress.close(completed=False)
        self._journal.cancelled(running.claim)
        self._ended(JobState.CANCELLED)

    def _end_with(self, running: Running, status: dict[str, object]) -> None:
        running.progress.close(completed=False)
        self._journal.fail(running.claim, status)
        self._ended(JobState.FAILED)

    def _insist(self, ending: Callable[[], None]) -> None:
        """Write an end, and again while the journal does not answer: nothing that happened is forgotten."""
        while True:
            try:
                ending()
            except ClaimLost:
                _log.warning("claim lost; another worker goes on")
            except ServiceError as error:
                _log.error("journal does not take the end of a version", message=error.message)
                with self._news:
                    if not self._news.wait_for(lambda: self._draining, _POLL_S):
                        continue
                _log.warning("the service ends before the journal answers; the next start goes on")
            return

    def _give_back(self, running: Running) -> None:
        try:
            running.progress.close(completed=False)
            self._journal.give_back(running.claim)
            _log.info("work given back; the next start goes on")
        except ClaimLost:
            _log.info("work had ended")
        except ServiceError as error:
            _log.warning("journal does not take work back; its lease will lapse", message=error.message)

    def _ended(self, state: JobState) -> None:
        _log.info("work ended", state=str(state))
        if self._metrics is not None:
            self._metrics.jobs.labels(state=str(state)).inc()

    def _observe(self, stage: Stage, seconds: float) -> None:
        if self._metrics is not None:
            self._metrics.stage_seconds.labels(stage=str(stage)).observe(seconds)
