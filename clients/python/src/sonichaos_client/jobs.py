"""Operations of JobsService: look up, list, cancel, delete, add stems, sign a URL, show the use of limits.

Each job belongs to one of the two services, and each service answers only for its own jobs. An operation on a job that is known
by its id only calls render_service first and, if that does not have the job or does not answer, separation_service. This is safe
for every operation, because a service that answers NOT_FOUND has changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sonichaos.jobs.v1 import brief_pb2, erasure_pb2, job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as pb
from sonichaos_client import rpcs
from sonichaos_client.enums import FileKind, JobState, OwningService, StemMode
from sonichaos_client.errors import NotFoundError, SonichaosError, UnavailableError
from sonichaos_client.job_reference import JobLike, id_of, message_of_job, number_of, owner_of
from sonichaos_client.options import CallOptions
from sonichaos_client.rpcs import Request, Response, Rpc
from sonichaos_client.sansio import Item, Operation, StreamOperation, call_unary

FINAL_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


def call_owner(
    job: JobLike, rpc: Rpc[Request, Response], request: Request, options: CallOptions
) -> Operation[Response]:
    """Call a method of JobsService on the service that owns the job.

    A message or handle names the owner at its time: an upload moves to render_service with its first re-render. If one service does
    not have the job, the other is asked; if that does not answer, raises its error: it may have the job.
    """
    known = None if isinstance(job, str) else owner_of(message_of_job(job))
    owner = known or OwningService.RENDER
    try:
        return (yield from call_unary(owner, rpc, request, options))
    except (NotFoundError, UnavailableError) as error:
        if not _other_may_own(error) or (known is not None and isinstance(error, UnavailableError)):
            raise
        first = error
    other = OwningService.SEPARATION if owner is OwningService.RENDER else OwningService.RENDER
    try:
        return (yield from call_unary(other, rpc, request, options))
    except (NotFoundError, UnavailableError) as error:
        if _other_may_own(error) and isinstance(first, UnavailableError):
            raise first from error
        raise


def _other_may_own(error: SonichaosError) -> bool:
    return isinstance(error, UnavailableError) or error.reason in {"", "JOB_NOT_FOUND"}


def get_job(job: JobLike, options: CallOptions) -> Operation[job_pb2.Job]:
    """One job."""
    return (yield from call_owner(job, rpcs.GET_JOB, pb.GetJobRequest(job_id=id_of(job)), options)).job


def cancel(job: JobLike, version: int, options: CallOptions) -> Operation[job_pb2.Job]:
    """Cancel one version; 0 is the newest that has not ended."""
    request = pb.CancelJobRequest(job_id=id_of(job), version=number_of(job, version))
    return (yield from call_owner(job, rpcs.CANCEL_JOB, request, options)).job


def delete(job: JobLike, options: CallOptions) -> Operation[None]:
    """Delete a finished job."""
    yield from call_owner(job, rpcs.DELETE_JOB, pb.DeleteJobRequest(job_id=id_of(job)), options)


def delete_version(job: JobLike, version: int, options: CallOptions) -> Operation[job_pb2.Job]:
    """Delete the files of one re-rendered version."""
    request = pb.DeleteVersionRequest(job_id=id_of(job), version=version)
    return (yield from call_owner(job, rpcs.DELETE_VERSION, request, options)).job


def erase(job: JobLike, options: CallOptions) -> Operation[erasure_pb2.ErasureReport]:
    """Erase a finished or deleted job."""
    return (yield from call_owner(job, rpcs.ERASE_JOB, pb.EraseJobRequest(job_id=id_of(job)), options)).report


def add_stems(
    job: JobLike, version: int, stem_mode: StemMode | None, priority: int, options: CallOptions
) -> Operation[job_pb2.Job]:
    """Request stems for a version that has none."""
    mode = brief_pb2.StemMode.ValueType(stem_mode or StemMode.UNSPECIFIED)
    request = pb.AddStemsRequest(job_id=id_of(job), version=number_of(job, version), stem_mode=mode, priority=priority)
    return (yield from call_owner(job, rpcs.ADD_STEMS, request, options)).job


def retry_version(job: JobLike, version: int, priority: int, options: CallOptions) -> Operation[job_pb2.Job]:
    """Queue a failed version again."""
    request = pb.RetryVersionRequest(job_id=id_of(job), version=number_of(job, version), priority=priority)
    return (yield from call_owner(job, rpcs.RETRY_VERSION, request, options)).job


def get_usage(service: OwningService, options: CallOptions) -> Operation[pb.GetUsageResponse]:
    """The caller's limits and what is used of them."""
    return (yield from call_unary(service, rpcs.GET_USAGE, pb.GetUsageRequest(), options))


def create_signed_url(
    job: JobLike, version: int, kind: FileKind | None, ttl: timedelta | None, options: CallOptions
) -> Operation[pb.CreateSignedUrlResponse]:
    """Create a URL that downloads one stored file."""
    file_kind = pb.FileKind.ValueType(kind or FileKind.UNSPECIFIED)
    request = pb.CreateSignedUrlRequest(job_id=id_of(job), version=number_of(job, version), kind=file_kind)
    if ttl is not None:
        request.ttl.FromTimedelta(ttl)
    return (yield from call_owner(job, rpcs.CREATE_SIGNED_URL, request, options))


def waveforms(job: JobLike, version: int, points: int, options: CallOptions) -> Operation[pb.GetWaveformsResponse]:
    """The peaks of a version's audio files."""
    request = pb.GetWaveformsRequest(job_id=id_of(job), version=number_of(job, version), points=points)
    return (yield from call_owner(job, rpcs.GET_WAVEFORMS, request, options))


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list. Empty and None match every job. ``prompt_contains`` is a text in the prompt, in any case."""

    states: Sequence[JobState] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    persona_id: str = ""
    created_after: datetime | None = None
    prompt_contains: str = ""
    owner: OwningService | None = None


def _page_request(job_filter: JobFilter, page_token: str) -> pb.ListJobsRequest:
    request = pb.ListJobsRequest(
        page_size=100,
        page_token=page_token,
        states=[job_pb2.JobState.ValueType(state) for state in job_filter.states],
        labels=job_filter.labels,
        persona_id=job_filter.persona_id,
        prompt_contains=job_filter.prompt_contains,
    )
    if job_filter.created_after is not None:
        request.created_after_time.FromDatetime(job_filter.created_after)
    return request


@dataclass
class _JobPages:
    """One service's jobs, newest first, fetched page by page."""

    service: OwningService
    jobs: list[job_pb2.Job] = field(default_factory=list)
    token: str = ""
    has_more: bool = True

    def newest(self, job_filter: JobFilter, options: CallOptions) -> Operation[job_pb2.Job | None]:
        """The newest job not yet listed, or None after the last. A page may be empty without being the last."""
        while not self.jobs and self.has_more:
            request = _page_request(job_filter, self.token)
            page = yield from call_unary(self.service, rpcs.LIST_JOBS, request, options)
            self.jobs, self.token, self.has_more = list(page.jobs), page.next_page_token, bool(page.next_page_token)
        return self.jobs[0] if self.jobs else None


def list_jobs(job_filter: JobFilter, options: CallOptions) -> StreamOperation[job_pb2.Job]:
    """The jobs of both services, newest first."""
    services = (OwningService.RENDER, OwningService.SEPARATION)
    pages = [_JobPages(service) for service in services if job_filter.owner in {None, service}]
    while True:
        candidates: list[tuple[int, str, _JobPages]] = []
        for one in pages:
            job = yield from one.newest(job_filter, options)
            if job is not None:
                candidates.append((job.create_time.ToNanoseconds(), job.job_id, one))
        if not candidates:
            return
        newest = max(candidates, key=lambda candidate: candidate[:2])[2]
        yield Item(newest.jobs.pop(0))
