"""The queue and the workers of one service, on the virtual clock."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

from google.rpc import status_pb2
from grpc import StatusCode

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.testing.fake.clock import Timer, to_micros
from sonichaos_client.testing.fake.records import JobRecord, Owner, VersionRecord, timestamp
from sonichaos_client.testing.fake.refusals import Refusal
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.work import PARKED, CrashError, VersionWork, Work

WORKERS = 2
QUEUE_LIMIT = 256
MAX_CRASHES = 3
_START_S = 0.01
_CANCEL_S = 0.02
_RETRY_AFTER_S = 10.0


@dataclass(eq=False)
class _Run:
    """A version that a worker has, and its next timer. ``parked``: it waits for the end of the faults."""

    work: VersionWork
    steps: Work
    timer: Timer | None = None
    parked: bool = False
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a take has to expect that is not queued yet."""

    versions_ahead: int
    ends_at: datetime
    duration_s: float


class Workers:
    """One service's queue. At most :data:`WORKERS` versions run at the same time. ``on_crash`` is called when the service dies."""

    def __init__(self, owner: Owner, studio: Studio, *, on_crash: Callable[[], None]) -> None:
        self.owner = owner
        self._studio = studio
        self._on_crash = on_crash
        self._queue: list[tuple[JobRecord, VersionRecord]] = []
        self._runs: dict[VersionRecord, _Run] = {}
        self._interrupted: list[tuple[JobRecord, VersionRecord]] = []
        self._recovery: Timer | None = None
        self.down = False

    @property
    def queued(self) -> int:
        """Versions that wait."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Versions that run."""
        return len(self._runs)

    def check_room(self) -> None:
        """Raise QUEUE_FULL if no more versions may wait, or a fault says so."""
        fault = self._studio.faults.take("queue_full", self.owner)
        if fault is None and self.queued < QUEUE_LIMIT:
            return
        retry_after_s = _RETRY_AFTER_S
        if fault is not None:
            delay = fault.queue_full.retry_delay
            retry_after_s = delay.ToNanoseconds() / 1e9 if fault.queue_full.HasField("retry_delay") else 1.0
        queued = QUEUE_LIMIT if fault is not None else self.queued
        raise Refusal(
            StatusCode.RESOURCE_EXHAUSTED,
            "QUEUE_FULL",
            f"the queue is full: at most {QUEUE_LIMIT} versions may wait, {queued} do; retry later",
            metadata={"queued": str(queued), "limit": str(QUEUE_LIMIT)},
            retry_after_s=retry_after_s,
        )

    def estimate(self, seconds: float, *, stems: bool) -> Estimate:
        """What a take with the normal priority would have to expect if it were queued now."""
        speeds, now = self._studio.speeds, self._studio.clock.now()
        ends = [version.message.estimated_end_time.ToDatetime(tzinfo=UTC) for version in self._runs]
        free_at = [*(max(end, now) for end in ends), *[now] * (WORKERS - len(ends))]
        heapq.heapify(free_at)
        ahead = [waiting for waiting in self._queue if waiting[1].message.priority >= 0]
        for job, version in ahead:
            work_s = VersionWork(self._studio, job, version).expected_s()
            heapq.heapreplace(free_at, free_at[0] + timedelta(seconds=work_s))
        duration_s = speeds.render_time_s(seconds) + (speeds.stems_time_s(seconds) if stems else 0.0)
        ends_at = heapq.heappop(free_at) + timedelta(seconds=duration_s)
        return Estimate(versions_ahead=len(ends) + len(ahead), ends_at=ends_at, duration_s=duration_s)

    def enqueue(self, job: JobRecord, version: VersionRecord) -> None:
        """Queue a version, and publish that. It ends with EXPIRED at its expiry."""
        message = version.message
        for name in ("error", "end_time", "waiting"):
            message.ClearField(name)
        self._queue.append((job, version))
        self._queue.sort(key=lambda waiting: -waiting[1].message.priority)  # a stable sort
        self._studio.records.append_state(job, version, job_pb2.JOB_STATE_QUEUED)
        self._number_queue()
        if message.brief.HasField("expire_time"):
            at_us = to_micros(message.brief.expire_time.ToDatetime(tzinfo=UTC))
            self._studio.clock.call_at(at_us, partial(self._expire, job, version))
        self._studio.clock.call_after(_START_S, self._start_next)

    def cancel(self, job: JobRecord, version: VersionRecord) -> None:
        """Cancel a version. A queued one ends at once, a running one a moment later."""
        records, message = self._studio.records, version.message
        if message.state == job_pb2.JOB_STATE_QUEUED:
            self._leave_queue(version)
            records.append_state(job, version, job_pb2.JOB_STATE_CANCELLING)
            self._end(job, version, job_pb2.JOB_STATE_CANCELLED)
        elif message.state == job_pb2.JOB_STATE_RUNNING:
            message.ClearField("estimated_end_time")
            records.append_state(job, version, job_pb2.JOB_STATE_CANCELLING)
            run = self._runs.get(version)
            if run is not None:
                self._close(run)
                self._studio.clock.call_after(_CANCEL_S, partial(self._end_cancelled, job, version))

    def resume_parked(self) -> None:
        """Go on with what waits for the end of the faults, and recover at once if the service is down."""
        for run in self._runs.values():
            if run.parked and not run.closed:
                run.parked = False
                run.timer = self._studio.clock.call_after(0.0, partial(self._advance, run))
        if self._recovery is not None:
            self._recovery.cancelled = True
            self._recovery = self._studio.clock.call_after(0.0, self._recover)

    def crash(self, down_s: float) -> None:
        """Stop as a killed process does, and recover after ``down_s`` seconds."""
        self.down = True
        for version, run in self._runs.items():
            self._close(run)
            self._interrupted.append((run.work.job, version))
        self._runs.clear()
        self._on_crash()
        if self._recovery is not None:
            self._recovery.cancelled = True
        self._recovery = self._studio.clock.call_after(down_s, self._recover)

    def clear(self) -> None:
        """Forget all work."""
        for run in self._runs.values():
            self._close(run)
        self._runs.clear()
        self._queue.clear()
        self._interrupted.clear()
        if self._recovery is not None:
            self._recovery.cancelled = True
            self._recovery = None
        self.down = False

    async def _start_next(self) -> None:
        while self._queue and len(self._runs) < WORKERS and not self.down:
            job, version = self._queue.pop(0)
            version.attempt += 1
            version.message.ClearField("queue_position")
            version.message.start_time.CopyFrom(timestamp(self._studio.clock.now()))
            self._studio.records.append_state(job, version, job_pb2.JOB_STATE_RUNNING)
            self._number_queue()
            await self._begin(job, version)

    async def _begin(self, job: JobRecord, version: VersionRecord) -> None:
        work = VersionWork(self._studio, job, version)
        run = _Run(work, work.run())
        self._runs[version] = run
        ends_at = self._studio.clock.now() + timedelta(seconds=work.expected_s())
        version.message.estimated_end_time.CopyFrom(timestamp(ends_at))
        await self._advance(run)

    async def _advance(self, run: _Run) -> None:
        """Run the work up to its next wait, or its end."""
        run.timer = None
        answer: object = None
        try:
            while not run.closed:
                step = run.steps.send(answer)
                if not callable(step):
                    run.parked = step == PARKED
                    if not run.parked:
                        run.timer = self._studio.clock.call_after(step, partial(self._advance, run))
                    return
                answer = await asyncio.to_thread(step)
        except StopIteration:
            self._finish(run, job_pb2.JOB_STATE_DONE)
        except Refusal as refusal:
            stage = job_pb2.Stage.Name(run.work.stage).removeprefix("STAGE_")
            self._finish(run, job_pb2.JOB_STATE_FAILED, refusal.status(stage=stage))
        except CrashError as crash:
            self.crash(crash.down_s)

    def _finish(self, run: _Run, state: job_pb2.JobState.ValueType, error: status_pb2.Status | None = None) -> None:
        self._close(run)
        self._end(run.work.job, run.work.version, state, error)

    def _end(
        self,
        job: JobRecord,
        version: VersionRecord,
        state: job_pb2.JobState.ValueType,
        error: status_pb2.Status | None = None,
    ) -> None:
        message = version.message
        message.ClearField("estimated_end_time")
        message.end_time.CopyFrom(timestamp(self._studio.clock.now()))
        if error is not None:
            message.error.CopyFrom(error)
        self._runs.pop(version, None)
        self._studio.records.append_state(job, version, state, error=error)
        self._studio.clock.call_after(0.0, self._start_next)

    async def _end_cancelled(self, job: JobRecord, version: VersionRecord) -> None:
        is_there = self._studio.records.has(job)  # a reset may have come before
        if is_there and version.message.state == job_pb2.JOB_STATE_CANCELLING and not self.down:
            self._end(job, version, job_pb2.JOB_STATE_CANCELLED)

    async def _expire(self, job: JobRecord, version: VersionRecord) -> None:
        expires = version.message.brief.HasField("expire_time")  # a retry removes it
        if version.ended or not expires or not self._studio.records.has(job):
            return
        self._leave_queue(version)
        run = self._runs.get(version)
        if run is not None:
            self._close(run)
        self._interrupted = [one for one in self._interrupted if one[1] is not version]
        moment = version.message.brief.expire_time.ToDatetime(tzinfo=UTC).isoformat().replace("+00:00", "Z")
        refusal = Refusal(
            StatusCode.DEADLINE_EXCEEDED,
            "EXPIRED",
            f"the brief expired at {moment}, before the version was done",
            metadata={"expire_time": moment},
        )
        self._end(job, version, job_pb2.JOB_STATE_FAILED, refusal.status())

    async def _recover(self) -> None:
        """The service starts again: its running versions start over, or fail if that was the last time."""
        self._recovery = None
        self.down = False
        interrupted, self._interrupted = self._interrupted, []
        for job, version in interrupted:
            if version.message.state == job_pb2.JOB_STATE_CANCELLING:
                self._end(job, version, job_pb2.JOB_STATE_CANCELLED)
                continue
            version.crashes += 1
            if version.crashes >= MAX_CRASHES:
                self._end(job, version, job_pb2.JOB_STATE_FAILED, _crashed_too_often(version.crashes).status())
                continue
            version.attempt += 1
            self._studio.records.append_state(job, version, job_pb2.JOB_STATE_RUNNING)
            await self._begin(job, version)
        await self._start_next()

    def _leave_queue(self, version: VersionRecord) -> None:
        self._queue = [waiting for waiting in self._queue if waiting[1] is not version]
        version.message.ClearField("queue_position")
        self._number_queue()

    def _number_queue(self) -> None:
        for position, (_, version) in enumerate(self._queue):
            version.message.queue_position = position

    @staticmethod
    def _close(run: _Run) -> None:
        run.closed = True
        if run.timer is not None:
            run.timer.cancelled = True


def _crashed_too_often(crashes: int) -> Refusal:
    return Refusal(
        StatusCode.FAILED_PRECONDITION,
        "TOO_MANY_ATTEMPTS",
        f"the service died {crashes} times while it worked on this version; search its log for the job id to find the last stage",
        metadata={"attempts": str(crashes)},
    )
