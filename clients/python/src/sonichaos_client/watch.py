"""Follow jobs: streams that outlive cuts, and waiting for an end.

The events of a job are numbered, so a stream that was cut goes on after the last number seen: nothing is lost and
nothing comes twice.
"""

from __future__ import annotations

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as pb
from sonichaos_client import jobs, rpcs
from sonichaos_client.errors import CallCancelled, JobCancelled, JobEndedBadly, JobFailed, SonichaosError, from_status
from sonichaos_client.options import CallOptions
from sonichaos_client.retry import Backoff, is_cut
from sonichaos_client.rpcs import Target
from sonichaos_client.steps import Emit, Flow, Sleep, Stream, ask, drain, open_stream, read


def watch(job: str | job_pb2.Job, version: int, after_sequence: int, options: CallOptions) -> Stream[job_pb2.JobEvent]:
    """A job's events after a number, until the version ends; 0 is the newest version at the time of the call.

    A job named by its id is looked up first: that finds its owner, says at once where no service runs, and pins the
    version, so that a re-render accepted during a cut does not move the end. With the row at hand cuts are outlived from
    the very first moment.
    """
    row = (yield from jobs.get(job, options)) if isinstance(job, str) else job
    number = jobs.version_of(row, version).number
    yield from _watch_at(jobs.target_of(row), row.job_id, number, after_sequence, options)


def _watch_at(
    target: Target, job_id: str, version: int, after_sequence: int, options: CallOptions
) -> Stream[job_pb2.JobEvent]:
    """As `watch`, for a job whose owner and version are known."""
    backoff = Backoff(options.retry, options.rng)
    while True:
        request = pb.WatchJobRequest(job_id=job_id, version=version, after_sequence=after_sequence)
        try:
            handle = yield from open_stream(target, rpcs.WATCH_JOB, request)
            while (response := (yield from read(handle))) is not None:
                if response.event.sequence <= after_sequence:
                    continue
                backoff.succeeded()
                after_sequence = response.event.sequence
                yield Emit(response.event)
        except SonichaosError as error:
            if not is_cut(error):
                raise
            yield Sleep(backoff.wait_s(error))
        else:
            return


def follow(target: Target, cursor: str, options: CallOptions) -> Stream[job_pb2.JobEvent]:
    """The events of all jobs of one service after a cursor, without end.

    Where no service runs, a first small call says so at once. A cut before the first event with an empty cursor starts
    again at "now": events of that gap have no cursor to resume from.
    """
    yield from ask(target, rpcs.LIST_JOBS, pb.ListJobsRequest(page_size=1), options.deadline_s)
    backoff = Backoff(options.retry, options.rng)
    while True:
        try:
            handle = yield from open_stream(target, rpcs.WATCH_JOBS, pb.WatchJobsRequest(cursor=cursor))
            while (response := (yield from read(handle))) is not None:
                backoff.succeeded()
                cursor = response.event.cursor
                yield Emit(response.event)
        except SonichaosError as error:
            if not is_cut(error):
                raise
            yield Sleep(backoff.wait_s(error))
        else:
            yield Sleep(options.retry.first_s)


def wait(job: str | job_pb2.Job, version: int, options: CallOptions) -> Flow[job_pb2.Job]:
    """The job's row once the version is done. Raises JobFailed or JobCancelled where it ended otherwise.

    A JobFailed that only an event told of, before the service went away for good, has the row as far as it is known.
    """
    row = (yield from jobs.get(job, options)) if isinstance(job, str) else job
    number = jobs.version_of(row, version).number
    failure = FailureTold(row, number)
    try:
        events = _watch_at(jobs.target_of(row), row.job_id, number, row.last_sequence, options)
        yield from drain(events, failure.hear)
        ended = yield from _row_outliving_cuts(row.job_id, options)
    except SonichaosError as broken:
        raise failure.known or broken from broken
    error = ended_badly(ended, jobs.version_of(ended, number))
    if error is not None:
        raise error
    return ended


class FailureTold:
    """The failure of a version that a watch has told of.

    It is what a caller wants to know where the watch then breaks for good, more than that no service answers any more.
    """

    def __init__(self, job: job_pb2.Job, version: int) -> None:
        self._job = job
        self._version = version
        self.known: JobFailed | None = None

    def hear(self, event: job_pb2.JobEvent) -> None:
        """Take an event in; a later state of the version replaces what was known."""
        if event.kind == job_pb2.EVENT_KIND_STATE and event.version == self._version:
            failed = event.state == job_pb2.JOB_STATE_FAILED and event.HasField("error")
            self.known = self._failure(event) if failed else None

    def _failure(self, event: job_pb2.JobEvent) -> JobFailed:
        row = job_pb2.Job()
        row.CopyFrom(self._job)
        row.last_sequence = event.sequence
        version = jobs.version_of(row, self._version)
        version.state = event.state
        version.error.CopyFrom(event.error)
        if version.number == 1:
            row.state = event.state  # the job's state is v1's
        return JobFailed(row, self._version, from_status(event.error))


def _row_outliving_cuts(job_id: str, options: CallOptions) -> Flow[job_pb2.Job]:
    backoff = Backoff(options.retry, options.rng)
    while True:
        try:
            return (yield from jobs.get(job_id, options))
        except SonichaosError as error:
            if not is_cut(error):
                raise
            yield Sleep(backoff.wait_s(error))


def ended_badly(job: job_pb2.Job, version: job_pb2.Version) -> JobEndedBadly | None:
    """The error that a version ended with; None while it goes on and when it is done."""
    if version.state == job_pb2.JOB_STATE_FAILED:
        return JobFailed(job, version.number, from_status(version.error))
    if version.state == job_pb2.JOB_STATE_CANCELLED:
        return JobCancelled(job, version.number, CallCancelled("it was asked to stop", reason="CANCELLED"))
    return None
