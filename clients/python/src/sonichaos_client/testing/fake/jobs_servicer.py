"""JobsService of the fake, for the jobs of one service."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Literal

from google.protobuf.message import Message
from grpc import StatusCode

from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake.boundary import Context
from sonichaos_client.testing.fake.changes import JobChanges
from sonichaos_client.testing.fake.checks import MAX_LABELS, check_priority, page_size
from sonichaos_client.testing.fake.records import TENANT, JobRecord, VersionRecord, timestamp
from sonichaos_client.testing.fake.refusals import Refusal, check, invalid
from sonichaos_client.testing.fake.requests import Usage
from sonichaos_client.testing.fake.signed_urls import DEFAULT_TTL_S, MAX_TTL_S, UrlSigner
from sonichaos_client.testing.fake.watches import JobWatch, TenantWatch, dropping
from sonichaos_client.testing.fake.waveforms import waveforms

GATED = ("/sonichaos.jobs.v1.JobsService/AddStems", "/sonichaos.jobs.v1.JobsService/RetryVersion")
MAX_RESPONSE_BYTES = 3_500_000
_MAX_TEXT = 256
_MAX_HEARTBEAT_S = 3600
_MAX_POINTS = 8192
_DEFAULT_POINTS = 1024
_FileName = Literal["bounce", "manifest", "zip", "latents", "midi"]
_FILES: dict[int, tuple[_FileName, ...]] = {
    jobs_service_pb2.FILE_KIND_UNSPECIFIED: ("zip", "bounce"),
    jobs_service_pb2.FILE_KIND_BOUNCE: ("bounce",),
    jobs_service_pb2.FILE_KIND_MANIFEST: ("manifest",),
    jobs_service_pb2.FILE_KIND_ZIP: ("zip",),
    jobs_service_pb2.FILE_KIND_LATENTS: ("latents",),
    jobs_service_pb2.FILE_KIND_MIDI: ("midi",),
}
_LIMITS = (
    "waiting_jobs",
    "running_jobs",
    "audio_seconds_per_day",
    "requests_per_second",
    "upload_bytes_per_day",
    "open_streams",
)


def job_message(job: JobRecord) -> job_pb2.Job:
    """A job as callers get it."""
    first, last = job.versions[0].message, job.versions[-1].message
    message = job_pb2.Job(
        job_id=job.job_id,
        tenant=TENANT,
        owner=job.owner,
        state=first.state,
        request_id=job.request_id,
        brief=first.brief,
        versions=[version.message for version in job.versions],
        create_time=timestamp(job.create_time),
        last_sequence=job.last_sequence,
        latest=job_pb2.LatestVersion(number=last.number, state=last.state),
    )
    for version in message.versions[1:]:  # re-renders repeat the job's own brief
        if message.ByteSize() <= MAX_RESPONSE_BYTES:
            break
        version.ClearField("brief")
    return message


def fitting(rows: Iterable[Message]) -> int:
    """How many of the first rows fit in a response; one at least."""
    total, count = 0, 0
    for row in rows:
        total += row.ByteSize()
        if total > MAX_RESPONSE_BYTES and count:
            break
        count += 1
    return count


@dataclass(frozen=True, kw_only=True)
class JobsServicer(jobs_service_pb2_grpc.JobsServiceServicer):
    """``url`` makes a URL of a key and its signed query."""

    changes: JobChanges
    usage: Usage
    signer: UrlSigner
    url: Callable[[str, str], str]

    async def GetJob(
        self, request: jobs_service_pb2.GetJobRequest, context: Context
    ) -> jobs_service_pb2.GetJobResponse:
        return jobs_service_pb2.GetJobResponse(job=job_message(self._job(request.job_id)))

    async def ListJobs(
        self, request: jobs_service_pb2.ListJobsRequest, context: Context
    ) -> jobs_service_pb2.ListJobsResponse:
        check_filter(request)
        size = page_size(request.page_size)
        sealer, bound = self.changes.studio.records.sealer, ("jobs", str(self._owner), _filter_digest(request))
        before = sealer.open(request.page_token, *bound) if request.page_token else None
        found = [job for job in reversed(self.changes.studio.records.jobs()) if self._matches(job, request)]
        rest = [job for job in found if before is None or job.job_id < str(before)]
        messages = [job_message(job) for job in islice(rest, size)]
        messages = messages[: fitting(messages)]
        more = len(rest) > len(messages)
        token = sealer.seal(messages[-1].job_id, *bound) if more else ""
        return jobs_service_pb2.ListJobsResponse(jobs=messages, next_page_token=token)

    async def WatchJob(
        self, request: jobs_service_pb2.WatchJobRequest, context: Context
    ) -> AsyncIterator[jobs_service_pb2.WatchJobResponse]:
        heartbeat_s = _heartbeat_s(request.heartbeat_seconds)
        studio = self.changes.studio
        watch = JobWatch(studio.records, self._owner, request.job_id, request.version, request.after_sequence)
        await context.send_initial_metadata(())
        async for event in dropping(watch.events(heartbeat_s), studio.faults, self._owner):
            heartbeat_time = timestamp(studio.clock.now()) if event is None else None
            yield jobs_service_pb2.WatchJobResponse(event=event, heartbeat_time=heartbeat_time)

    async def WatchJobs(
        self, request: jobs_service_pb2.WatchJobsRequest, context: Context
    ) -> AsyncIterator[jobs_service_pb2.WatchJobsResponse]:
        heartbeat_s = _heartbeat_s(request.heartbeat_seconds)
        studio = self.changes.studio
        watch = TenantWatch(studio.records, self._owner, request.cursor)
        await context.send_initial_metadata(())
        async for event in dropping(watch.events(heartbeat_s), studio.faults, self._owner):
            heartbeat_time = timestamp(studio.clock.now()) if event is None else None
            yield jobs_service_pb2.WatchJobsResponse(event=event, heartbeat_time=heartbeat_time)

    async def CancelJob(
        self, request: jobs_service_pb2.CancelJobRequest, context: Context
    ) -> jobs_service_pb2.CancelJobResponse:
        return jobs_service_pb2.CancelJobResponse(job=job_message(self.changes.cancel(request.job_id, request.version)))

    async def DeleteJob(
        self, request: jobs_service_pb2.DeleteJobRequest, context: Context
    ) -> jobs_service_pb2.DeleteJobResponse:
        self.changes.delete(request.job_id)
        return jobs_service_pb2.DeleteJobResponse()

    async def DeleteVersion(
        self, request: jobs_service_pb2.DeleteVersionRequest, context: Context
    ) -> jobs_service_pb2.DeleteVersionResponse:
        job = self.changes.delete_version(request.job_id, request.version)
        return jobs_service_pb2.DeleteVersionResponse(job=job_message(job))

    async def EraseJob(
        self, request: jobs_service_pb2.EraseJobRequest, context: Context
    ) -> jobs_service_pb2.EraseJobResponse:
        return jobs_service_pb2.EraseJobResponse(report=self.changes.erase(request.job_id))

    async def AddStems(
        self, request: jobs_service_pb2.AddStemsRequest, context: Context
    ) -> jobs_service_pb2.AddStemsResponse:
        if request.stem_mode not in brief_pb2.StemMode.values():
            raise invalid("stem_mode", f"must be a StemMode, got {request.stem_mode}")
        check(check_priority(request.priority))
        job = self.changes.add_stems(request.job_id, request.version, request.stem_mode, request.priority)
        return jobs_service_pb2.AddStemsResponse(job=job_message(job))

    async def RetryVersion(
        self, request: jobs_service_pb2.RetryVersionRequest, context: Context
    ) -> jobs_service_pb2.RetryVersionResponse:
        check(check_priority(request.priority))
        job = self.changes.retry(request.job_id, request.version, request.priority)
        return jobs_service_pb2.RetryVersionResponse(job=job_message(job))

    async def CreateSignedUrl(
        self, request: jobs_service_pb2.CreateSignedUrlRequest, context: Context
    ) -> jobs_service_pb2.CreateSignedUrlResponse:
        ttl_s = _ttl_s(request)
        if request.kind not in jobs_service_pb2.FileKind.values():
            raise invalid("kind", f"must be a FileKind, got {request.kind}")
        file = _stored_file(self._job(request.job_id), request.version, request.kind)
        query, expires_at = self.signer.sign(file.key, ttl_s)
        return jobs_service_pb2.CreateSignedUrlResponse(
            url=self.url(file.key, query), expire_time=timestamp(expires_at), file=file
        )

    async def GetWaveforms(
        self, request: jobs_service_pb2.GetWaveformsRequest, context: Context
    ) -> jobs_service_pb2.GetWaveformsResponse:
        if request.points > _MAX_POINTS:
            raise invalid("points", f"must be at most {_MAX_POINTS}, got {request.points}")
        version, _ = _version_with(self._job(request.job_id), request.version, ("bounce", "zip"))
        files = version.message.files
        computed = waveforms(self.changes.studio.files, files, request.points or _DEFAULT_POINTS)
        return jobs_service_pb2.GetWaveformsResponse(
            version=version.number, waveforms=await asyncio.to_thread(computed)
        )

    async def GetUsage(
        self, request: jobs_service_pb2.GetUsageRequest, context: Context
    ) -> jobs_service_pb2.GetUsageResponse:
        now, workers = self.changes.studio.clock.now(), self.changes.workers
        day = self.usage.of_day(now.date().isoformat())
        used: Sequence[float] = (workers.queued, workers.running, day.audio_s, 0, day.upload_bytes, 0)
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
        return jobs_service_pb2.GetUsageResponse(
            tenant=TENANT,
            limits=[
                jobs_service_pb2.LimitUsage(limit=name, used=value) for name, value in zip(_LIMITS, used, strict=True)
            ],
            day_end_time=timestamp(midnight),
        )

    @property
    def _owner(self) -> job_pb2.OwningService.ValueType:
        return self.changes.workers.owner

    def _job(self, job_id: str) -> JobRecord:
        return self.changes.studio.records.get(job_id, self._owner)

    def _matches(self, job: JobRecord, wanted: jobs_service_pb2.ListJobsRequest) -> bool:
        first = job.versions[0].message
        return (
            job.owner == self._owner
            and (not wanted.states or first.state in wanted.states)
            and all(first.brief.labels.get(key) == value for key, value in wanted.labels.items())
            and wanted.persona_id in {"", first.brief.persona_id}
            and wanted.prompt_contains.casefold() in first.brief.prompt.casefold()
            and not (
                wanted.HasField("created_after_time")
                and job.create_time < wanted.created_after_time.ToDatetime(tzinfo=UTC)
            )
        )


def check_filter(request: jobs_service_pb2.ListJobsRequest) -> None:
    """Raise INVALID_FIELD with every filter that is wrong."""
    found = []
    unknown = [number for number in request.states if number not in job_pb2.JobState.values()[1:]]
    if unknown:
        text = f"must be states of a job, or empty for all, got {', '.join(map(str, unknown[:10]))}"
        found.append(FieldViolation("states", text))
    if len(request.labels) > MAX_LABELS:
        found.append(FieldViolation("labels", f"must be at most {MAX_LABELS}, got {len(request.labels)}"))
    texts = f"must have at most {_MAX_TEXT} characters and no null character"
    if not all(_is_plain(text) for label in request.labels.items() for text in label):
        found.append(FieldViolation("labels", f"keys and values {texts}"))
    if not _is_plain(request.persona_id):
        found.append(FieldViolation("persona_id", texts))
    if not _is_plain(request.prompt_contains):
        found.append(FieldViolation("prompt_contains", texts))
    check(found)


def _is_plain(text: str) -> bool:
    return len(text) <= _MAX_TEXT and "\0" not in text


def _filter_digest(request: jobs_service_pb2.ListJobsRequest) -> str:
    """A page token is valid only for the filter it was made for."""
    content = jobs_service_pb2.ListJobsRequest()
    content.CopyFrom(request)
    content.ClearField("page_token")
    content.ClearField("page_size")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()


def _heartbeat_s(seconds: int) -> float | None:
    if seconds > _MAX_HEARTBEAT_S:
        raise invalid("heartbeat_seconds", f"must be at most {_MAX_HEARTBEAT_S}, got {seconds}")
    return float(seconds) if seconds else None


def _ttl_s(request: jobs_service_pb2.CreateSignedUrlRequest) -> int:
    if not request.HasField("ttl"):
        return DEFAULT_TTL_S
    seconds: int = request.ttl.seconds + (request.ttl.nanos > 0)
    if not 1 <= seconds <= MAX_TTL_S:
        raise invalid("ttl", f"must be between 1 and {MAX_TTL_S} seconds (7 days), got {seconds}")
    return seconds


def _stored_file(job: JobRecord, number: int, kind: int) -> job_pb2.StoredFile:
    """The file of a kind; unspecified: the ZIP where there is one, else the bounce. Version 0: the newest that has it."""
    version, name = _version_with(job, number, _FILES[kind])
    found: job_pb2.StoredFile = getattr(version.message.files, name)
    return found


def _version_with(job: JobRecord, number: int, names: tuple[_FileName, ...]) -> tuple[VersionRecord, _FileName]:
    """A version that has one of the files, and the first that it has. Version 0: the newest such version."""
    having = [version for version in job.versions if any(version.message.files.HasField(name) for name in names)]
    version = job.pick(number, having)
    files = version.message.files
    name = next((name for name in names if files.HasField(name)), None)
    if name is not None:
        return version, name
    missing = "bounce" if "bounce" in names else names[-1]
    advice = "watch the job until it is stored"
    if version.deleted:
        advice = "its files were deleted (DeleteVersion)"
    elif missing == "zip":
        advice = "add its stems first (AddStems)"
    elif missing == "midi" and files.HasField("manifest"):
        advice = "its notes are unknown, as are those of uploads and of renderers that play no scores"
    raise Refusal(
        StatusCode.NOT_FOUND,
        "FILE_NOT_FOUND",
        f"version {version.number} of job {job.job_id} has no {missing}; {advice}",
        metadata={"job_id": job.job_id, "version": str(version.number), "kind": missing},
    )
