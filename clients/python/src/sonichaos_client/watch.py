"""Watch jobs: event streams that are resumed after a connection loss, and waiting for a job to finish.

A job's events are numbered, so its watch resumes after the last number received: no event is lost and none is repeated.
"""

from __future__ import annotations

from collections.abc import Collection

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as pb
from sonichaos_client import jobs, rpcs
from sonichaos_client.enums import EventKind, JobState, OwningService
from sonichaos_client.errors import (
    CallCancelledError,
    DeadlineExceededError,
    JobCancelledError,
    JobFailedError,
    SonichaosError,
    UnauthenticatedError,
    from_status,
)
from sonichaos_client.events import JobEvent
from sonichaos_client.job_reference import JobLike, JobReference, message_of_job, number_of, owner_of, version_of
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import Backoff, is_retryable
from sonichaos_client.sansio import (
    Item,
    Operation,
    Sleep,
    StreamOperation,
    call_unary,
    consume,
    open_stream,
    read_message,
    reporting,
)

HEARTBEAT_S = 20
"""Below the 60 s after which nginx and others end a quiet stream."""


def watch(job: JobLike, version: int, after_sequence: int, options: CallOptions) -> StreamOperation[JobEvent]:
    """A job's events after a number, until the version ends; 0 is the newest version at the time of the call.

    If the job is given by its id, it is looked up first: that finds its owner, fails at once if no service runs, and fixes the
    version, so that a re-render accepted during a connection loss does not change which version is watched. Of a handle, only the
    events of its version are yielded.
    """
    row, number = yield from _version_to_watch(job, version, options)
    versions = {number} if isinstance(job, JobReference) else None
    yield from _watch_version(owner_of(row), row.job_id, number, after_sequence, options, only=versions)


def _version_to_watch(job: JobLike, version: int, options: CallOptions) -> Operation[tuple[job_pb2.Job, int]]:
    """The job as far as it is known, and the number of the version.

    It is looked up if only its id is known, and if it is an upload, which a re-render may have moved to render_service.
    """
    if isinstance(job, str) or owner_of(message_of_job(job)) is OwningService.SEPARATION:
        row = yield from jobs.get_job(job, options)
    else:
        row = message_of_job(job)
    return row, version_of(row, number_of(job, version)).number


def _watch_version(
    service: OwningService,
    job_id: str,
    version: int,
    after_sequence: int,
    options: CallOptions,
    *,
    only: Collection[int] | None = None,
    until_s: float | None = None,
) -> StreamOperation[JobEvent]:
    """The events until ``version`` ends; those of the versions ``only``, or of all.

    Raises DeadlineExceededError at ``until_s`` of the options' clock.
    """
    backoff, attempt = Backoff(options.retry, options.rng), 0
    while True:
        request = pb.WatchJobRequest(
            job_id=job_id, version=version, after_sequence=after_sequence, heartbeat_seconds=HEARTBEAT_S
        )
        accepted, attempt = False, attempt + 1
        left_s = None if until_s is None else max(until_s - options.clock(), 0.0)
        try:
            with reporting(options, service, rpcs.WATCH_JOB, attempt=attempt):
                handle = yield from open_stream(service, rpcs.WATCH_JOB, request, left_s)
                while (response := (yield from read_message(handle))) is not None:
                    accepted = True
                    if response.HasField("event") and response.event.sequence <= after_sequence:
                        continue
                    backoff.reset()
                    if not response.HasField("event"):  # a heartbeat
                        continue
                    after_sequence = response.event.sequence
                    if only is None or response.event.version in only:
                        yield Item(JobEvent.from_message(response.event))
        except SonichaosError as error:
            if not (is_retryable(error) or _identity_ended(error, accepted=accepted)):
                raise
            wait_s = backoff.next_wait_s(error)
            yield Sleep(wait_s if left_s is None else min(wait_s, left_s))
        else:
            return


def watch_all(service: OwningService, cursor: str, options: CallOptions) -> StreamOperation[JobEvent]:
    """The events of all jobs of one service after a cursor, without end.

    A first unary call fails at once if the service does not run. If the connection is lost before the first event and the
    cursor is empty, the stream starts again at the current time, and events in between are lost; pass a cursor to avoid this.
    """
    yield from call_unary(service, rpcs.LIST_JOBS, pb.ListJobsRequest(page_size=1), options)
    backoff, attempt = Backoff(options.retry, options.rng), 0
    while True:
        request = pb.WatchJobsRequest(cursor=cursor, heartbeat_seconds=HEARTBEAT_S)
        accepted, attempt = False, attempt + 1
        try:
            with reporting(options, service, rpcs.WATCH_JOBS, attempt=attempt):
                handle = yield from open_stream(service, rpcs.WATCH_JOBS, request)
                while (response := (yield from read_message(handle))) is not None:
                    accepted = True
                    backoff.reset()
                    if not response.HasField("event"):
                        continue
                    cursor = response.event.cursor
                    yield Item(JobEvent.from_message(response.event))
        except SonichaosError as error:
            if not (is_retryable(error) or _identity_ended(error, accepted=accepted)):
                raise
            yield Sleep(backoff.next_wait_s(error))
        else:
            yield Sleep(options.retry.initial_backoff_s)


def _identity_ended(error: SonichaosError, *, accepted: bool) -> bool:
    """Whether a stream that had been accepted ended because its caller's token expired. A new one may be there by now.

    If there is none, the next stream is refused before its first message, and that error is final.
    """
    return accepted and isinstance(error, UnauthenticatedError)


def wait(job: JobLike, version: int, timeout_s: float | None, options: CallOptions) -> Operation[job_pb2.Job]:
    """The job, once the version is done. Raises JobFailedError or JobCancelledError if it ended otherwise.

    Raises DeadlineExceededError if it has not ended after ``timeout_s``; it continues. If the service becomes unreachable after the
    event of a failure, the failure is raised, with the job as far as it is known.
    """
    row, number = yield from _version_to_watch(job, version, options)
    failure = LastFailure(row, number)
    until_s = None if timeout_s is None else options.clock() + timeout_s
    try:
        events = _watch_version(owner_of(row), row.job_id, number, row.last_sequence, options, until_s=until_s)
        yield from consume(events, failure.on_event)
        ended = yield from _get_job_with_retries(row, options)
    except SonichaosError as error:
        if isinstance(error, DeadlineExceededError) and until_s is not None and options.clock() >= until_s:
            message = (
                f"{row.job_id} v{number} has not ended after {timeout_s} s. It continues: wait again, or cancel it."
            )
            raise DeadlineExceededError(message) from error
        raise failure.error or error from error
    failed = failure_of(ended, version_of(ended, number))
    if failed is not None:
        raise failed
    return ended


class LastFailure:
    """Remembers the failure of a version from its events.

    If the connection is then lost for good, the failure matters more to the caller than the connection error.
    """

    def __init__(self, job: job_pb2.Job, version: int) -> None:
        self._job = job
        self._version = version
        self.error: JobFailedError | None = None

    def on_event(self, event: JobEvent) -> None:
        """Update from an event; a later state of the version replaces an earlier one."""
        if event.kind is EventKind.STATE and event.version == self._version:
            failed = event.state is JobState.FAILED and event.error is not None
            self.error = self._failure(event.message) if failed else None

    def _failure(self, event: job_pb2.JobEvent) -> JobFailedError:
        job = job_pb2.Job()
        job.CopyFrom(self._job)
        job.last_sequence = event.sequence
        version = version_of(job, self._version)
        version.state = event.state
        version.error.CopyFrom(event.error)
        if version.number == 1:
            job.state = event.state  # the job's state is that of v1
        return JobFailedError(job, self._version, from_status(event.error))


def _get_job_with_retries(job: job_pb2.Job, options: CallOptions) -> Operation[job_pb2.Job]:
    backoff = Backoff(options.retry, options.rng)
    while True:
        try:
            return (yield from jobs.get_job(job, options))
        except SonichaosError as error:
            if not is_retryable(error):
                raise
            yield Sleep(backoff.next_wait_s(error))


def failure_of(job: job_pb2.Job, version: job_pb2.Version) -> JobFailedError | None:
    """The error of a failed or cancelled version; None for any other state."""
    state = JobState(version.state)
    if state is JobState.FAILED:
        return JobFailedError(job, version.number, from_status(version.error))
    if state is JobState.CANCELLED:
        return JobCancelledError(job, version.number, CallCancelledError("a cancel was requested", reason="CANCELLED"))
    return None
