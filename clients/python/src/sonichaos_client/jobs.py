"""Operations on jobs: look up, list, cancel, delete, ask for stems, sign.

A job belongs to one of the two services, and each answers only for its own. An operation on a job asks render_service
first and, where that does not know the job or does not answer, separation_service. That is safe for every operation,
for a service that says NOT_FOUND has changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as pb
from sonichaos_client import rpcs
from sonichaos_client.errors import NotFound, SonichaosError, Unavailable
from sonichaos_client.options import CallOptions
from sonichaos_client.rpcs import Request, Response, Rpc, Target
from sonichaos_client.steps import Emit, Flow, Stream, ask

ENDED = frozenset({job_pb2.JOB_STATE_DONE, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED})


def asked_of_owner(rpc: Rpc[Request, Response], request: Request, options: CallOptions) -> Flow[Response]:
    """Call a method of JobsService on the service that owns the job.

    Where neither knows the job but one did not answer, it is that one's error that is raised: the job may be there.
    """
    try:
        return (yield from ask(Target.RENDER, rpc, request, options.deadline_s))
    except (NotFound, Unavailable) as error:
        if not _may_be_elsewhere(error):
            raise
        first = error
    try:
        return (yield from ask(Target.SEPARATION, rpc, request, options.deadline_s))
    except (NotFound, Unavailable) as error:
        if _may_be_elsewhere(error) and isinstance(first, Unavailable):
            raise first from error
        raise


def _may_be_elsewhere(error: SonichaosError) -> bool:
    return isinstance(error, Unavailable) or error.reason in {"", "JOB_NOT_FOUND"}


def target_of(job: job_pb2.Job) -> Target:
    """The service that owns a job."""
    return Target.SEPARATION if job.owner == job_pb2.OWNING_SERVICE_SEPARATION else Target.RENDER


def version_of(job: job_pb2.Job, number: int) -> job_pb2.Version:
    """One version of a job; 0 is the newest. Raises NotFound."""
    for version in reversed(job.versions):
        if number in {0, version.number}:
            return version
    raise NotFound(
        f"{job.job_id} has no v{number}; it has {', '.join(f'v{v.number}' for v in job.versions) or 'no version'}",
        reason="VERSION_NOT_FOUND",
        metadata={"job_id": job.job_id, "version": str(number)},
    )


def get(job_id: str, options: CallOptions) -> Flow[job_pb2.Job]:
    """One job's row."""
    return (yield from asked_of_owner(rpcs.GET_JOB, pb.GetJobRequest(job_id=job_id), options)).job


def cancel(job_id: str, version: int, options: CallOptions) -> Flow[job_pb2.Job]:
    """Ask for a version, or all, to stop."""
    request = pb.CancelJobRequest(job_id=job_id, version=version)
    return (yield from asked_of_owner(rpcs.CANCEL_JOB, request, options)).job


def delete(job_id: str, options: CallOptions) -> Flow[None]:
    """Delete an ended job."""
    yield from asked_of_owner(rpcs.DELETE_JOB, pb.DeleteJobRequest(job_id=job_id), options)


def add_stems(
    job_id: str, version: int, stem_mode: brief_pb2.StemMode.ValueType, options: CallOptions
) -> Flow[job_pb2.Job]:
    """Ask for stems of a version that has none."""
    request = pb.AddStemsRequest(job_id=job_id, version=version, stem_mode=stem_mode)
    return (yield from asked_of_owner(rpcs.ADD_STEMS, request, options)).job


def sign(
    job_id: str, version: int, kind: pb.FileKind.ValueType, lifetime: timedelta | None, options: CallOptions
) -> Flow[pb.CreateSignedUrlResponse]:
    """Make a URL that fetches one stored file."""
    request = pb.CreateSignedUrlRequest(job_id=job_id, version=version, kind=kind)
    if lifetime is not None:
        duration = Duration()
        duration.FromTimedelta(lifetime)
        request.ttl.CopyFrom(duration)
    return (yield from asked_of_owner(rpcs.CREATE_SIGNED_URL, request, options))


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list. What is empty or None does not narrow."""

    states: Sequence[job_pb2.JobState.ValueType] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    persona_id: str = ""
    created_after: datetime | None = None
    owner: Target | None = None

    def request(self, page_token: str) -> pb.ListJobsRequest:
        """The request for the page that ``page_token`` names."""
        request = pb.ListJobsRequest(
            page_size=100,
            page_token=page_token,
            states=self.states,
            labels=self.labels,
            persona_id=self.persona_id,
        )
        if self.created_after is not None:
            stamp = Timestamp()
            stamp.FromDatetime(self.created_after)
            request.created_after_time.CopyFrom(stamp)
        return request


@dataclass
class _Pages:
    """One service's jobs, newest first, fetched page by page."""

    target: Target
    rows: list[job_pb2.Job] = field(default_factory=list)
    token: str = ""
    begun: bool = False

    def head(self, wanted: JobFilter, options: CallOptions) -> Flow[job_pb2.Job | None]:
        """The newest job not taken yet; None after the last. A page may be empty and not the last."""
        while not self.rows and (self.token or not self.begun):
            page = yield from ask(self.target, rpcs.LIST_JOBS, wanted.request(self.token), options.deadline_s)
            self.begun, self.token, self.rows = True, page.next_page_token, list(page.jobs)
        return self.rows[0] if self.rows else None


def list_all(wanted: JobFilter, options: CallOptions) -> Stream[job_pb2.Job]:
    """The jobs of both services, newest first."""
    feeds = [_Pages(target) for target in Target if wanted.owner in {None, target}]
    while True:
        heads: list[tuple[int, str, _Pages]] = []
        for feed in feeds:
            job = yield from feed.head(wanted, options)
            if job is not None:
                heads.append((job.create_time.ToNanoseconds(), job.job_id, feed))
        if not heads:
            return
        newest = max(heads, key=lambda head: head[:2])[2]
        yield Emit(newest.rows.pop(0))
