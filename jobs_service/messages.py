"""Jobs, versions, events and the use of tenants as messages of ``sonichaos.jobs.v1``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs_service.journal_json import Json, parsed
from jobs_service.response_size import fitting_job
from jobs_service.retention import Retention
from jobs_service.value_messages import stem_message, timestamp
from servicekit.access.limits import LIMIT_NAMES, TenantLimits
from servicekit.delivery.keys import public_key
from servicekit.journal import Event, Job, Journal, Usage, Version
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2

Cursor = Callable[[Event], str]


class JobMessages:
    """Writes jobs as messages, with the cursors of ``journal`` and the times at which ``retention`` ends."""

    def __init__(self, journal: Journal, retention: Retention) -> None:
        self._journal = journal
        self._retention = retention

    def __call__(self, job: Job) -> job_pb2.Job:
        """One job."""
        return _job_message(job, self._cursor, self._retention.purge_time(job))

    def _cursor(self, event: Event) -> str:
        return self._journal.cursor(event.tenant, event.position)


def _job_message(job: Job, cursor: Cursor, purge_time: datetime | None) -> job_pb2.Job:
    versions = [version_message(version, cursor) for version in job.versions]
    message = job_pb2.Job(
        job_id=job.job_id,
        tenant=job.tenant,
        owner=job_pb2.OwningService.Value(f"OWNING_SERVICE_{job.owner}"),
        state=job_pb2.JobState.Value(f"JOB_STATE_{job.state}"),
        request_id=job.request_id,
        brief=versions[0].brief,
        versions=versions,
        create_time=timestamp(job.create_time),
        last_sequence=job.last_sequence,
        latest=job_pb2.LatestVersion(
            number=job.versions[-1].number, state=job_pb2.JobState.Value(f"JOB_STATE_{job.versions[-1].state}")
        ),
        purge_time=None if purge_time is None else timestamp(purge_time),
    )
    return fitting_job(message)


def version_message(version: Version, cursor: Cursor) -> job_pb2.Version:
    """One version of a job."""
    message = job_pb2.Version(
        number=version.number,
        state=job_pb2.JobState.Value(f"JOB_STATE_{version.state}"),
        files=_files_message(version.files),
        timings=[parsed(timing, job_pb2.StageTiming()) for timing in version.timings],
        progress=[event_message(event, cursor(event)) for event in version.progress],
        base_version=version.base_version,
        brief=parsed(version.brief, job_pb2.Version().brief),
        stems_wanted=version.stems_wanted,
        create_time=timestamp(version.create_time),
        queue_position=version.queue_position,
        priority=version.priority,
        audit_digests=version.audit_digests,
    )
    if version.rerendered_stem:
        message.rerendered_stem = stem_message(version.rerendered_stem)
    if version.error is not None:
        parsed(version.error, message.error)
    if version.waits.waiting is not None:
        parsed(version.waits.waiting, message.waiting)
    if version.loudness is not None:
        parsed(version.loudness, message.loudness)
    times = (
        (version.start_time, message.start_time),
        (version.end_time, message.end_time),
        (version.delete_time, message.delete_time),
        (version.estimated_end_time, message.estimated_end_time),
    )
    for moment, field in times:
        if moment is not None:
            field.CopyFrom(timestamp(moment))
    return message


def _files_message(files: Json) -> job_pb2.VersionFiles:
    """The files under the names that callers see, whatever their keys in the store are."""
    message = parsed(files, job_pb2.VersionFiles())
    for _, file in message.ListFields():
        if isinstance(file, job_pb2.StoredFile):
            file.key = public_key(file.key)
    return message


def event_message(event: Event, cursor: str) -> job_pb2.JobEvent:
    """One event; ``cursor`` is its feed position as text."""
    message = job_pb2.JobEvent(
        job_id=event.job_id,
        sequence=event.sequence,
        event_time=timestamp(event.time),
        version=event.version,
        kind=job_pb2.EventKind.Value(f"EVENT_KIND_{event.kind}"),
        state=job_pb2.JobState.Value(f"JOB_STATE_{event.state}"),
        track=job_pb2.ProgressTrack.Value(f"PROGRESS_TRACK_{event.track or 'UNSPECIFIED'}"),
        stage=job_pb2.Stage.Value(f"STAGE_{event.stage or 'UNSPECIFIED'}"),
        attempt=event.attempt,
        steps_done=event.steps_done,
        steps_total=event.steps_total,
        fraction=event.fraction,
        cursor=cursor,
    )
    if event.time_left_s is not None:
        message.estimated_time_left.FromMicroseconds(round(event.time_left_s * 1e6))
    if event.error is not None:
        parsed(event.error, message.error)
    return message


def usage_message(
    tenant: str, limits: TenantLimits, used: Usage, *, requests: float, open_streams: int
) -> jobs_service_pb2.GetUsageResponse:
    """A tenant's limits, in the order of `TenantLimits`, with what is used of each."""
    by_name = {
        "waiting_jobs": used.waiting_jobs,
        "running_jobs": used.running_jobs,
        "audio_seconds_per_day": used.audio_seconds,
        "requests_per_second": requests,
        "upload_bytes_per_day": used.upload_bytes,
        "open_streams": open_streams,
    }
    return jobs_service_pb2.GetUsageResponse(
        tenant=tenant,
        limits=[
            jobs_service_pb2.LimitUsage(limit=name, allowed=getattr(limits, name), used=by_name[name])
            for name in LIMIT_NAMES
        ],
        day_end_time=timestamp(used.day_end_time),
    )
