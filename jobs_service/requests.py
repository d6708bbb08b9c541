"""The requests of JobsService, checked field by field."""

from __future__ import annotations

from jobs_service.value_messages import read_stem_mode, read_time
from servicekit.caller_fields import MAX_LABELS, check_priority
from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal import JobFilter, JobState, OwningService
from servicekit.store.object_store import MAX_URL_TTL_S
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2

MAX_HEARTBEAT_S = 3600
MAX_POINTS = 8192
_DEFAULT_POINTS = 1024
_MAX_TEXT = 256
_STATES = {job_pb2.JobState.Value(f"JOB_STATE_{state.name}"): state for state in JobState}


def job_filter(request: jobs_service_pb2.ListJobsRequest, owner: OwningService) -> JobFilter:
    """The jobs that a ListJobs asks for. Raises InvalidFields with every field that is wrong."""
    violations = []
    unknown = [number for number in request.states if number not in _STATES]
    if unknown:
        text = f"must be states of a job, or empty for all, got {', '.join(map(str, unknown[:10]))}"
        violations.append(FieldViolation("states", text))
    if len(request.labels) > MAX_LABELS:
        violations.append(FieldViolation("labels", f"must be at most {MAX_LABELS}, got {len(request.labels)}"))
    texts = f"must have at most {_MAX_TEXT} characters and no null character"
    if not all(_is_plain(text) for label in request.labels.items() for text in label):
        violations.append(FieldViolation("labels", f"keys and values {texts}"))
    if not _is_plain(request.persona_id):
        violations.append(FieldViolation("persona_id", texts))
    if not _is_plain(request.prompt_contains):
        violations.append(FieldViolation("prompt_contains", texts))
    created_after = read_time(request.created_after_time) if request.HasField("created_after_time") else None
    if created_after is None and request.HasField("created_after_time"):
        violations.append(FieldViolation("created_after_time", "must be a time between the years 1 and 9999"))
    if violations:
        raise InvalidFields(violations)
    return JobFilter(
        owner=owner,
        states=frozenset(_STATES[number] for number in request.states),
        labels=dict(request.labels),
        persona_id=request.persona_id,
        created_after=created_after,
        prompt_contains=request.prompt_contains,
    )


def stem_mode(value: brief_pb2.StemMode.ValueType) -> StemMode | None:
    """The requested stem mode; None to keep that of the brief. Raises InvalidFields."""
    mode = read_stem_mode(value)
    if mode is None and value != brief_pb2.STEM_MODE_UNSPECIFIED:
        raise InvalidFields([FieldViolation("stem_mode", f"must be a StemMode, got {value}")])
    return mode


def priority(value: int) -> int:
    """The priority of work that is queued again. Raises InvalidFields."""
    violations = check_priority(value)
    if violations:
        raise InvalidFields(violations)
    return value


def check_kind(value: jobs_service_pb2.FileKind.ValueType) -> None:
    """Raise InvalidFields for an unknown kind of file."""
    if value not in jobs_service_pb2.FileKind.values():
        raise InvalidFields([FieldViolation("kind", f"must be a FileKind, got {value}")])


def ttl_s(request: jobs_service_pb2.CreateSignedUrlRequest, default_s: int) -> int:
    """The time to live of a URL in whole seconds, rounded up. Raises InvalidFields."""
    if not request.HasField("ttl"):
        return default_s
    seconds = request.ttl.seconds + (request.ttl.nanos > 0)
    if not 1 <= seconds <= MAX_URL_TTL_S:
        text = f"must be between 1 and {MAX_URL_TTL_S} seconds (7 days), got {seconds}"
        raise InvalidFields([FieldViolation("ttl", text)])
    return seconds


def points(count: int) -> int:
    """The number of points of a waveform; 1024 for 0. Raises InvalidFields."""
    if count > MAX_POINTS:
        raise InvalidFields([FieldViolation("points", f"must be at most {MAX_POINTS}, got {count}")])
    return count or _DEFAULT_POINTS


def heartbeat_s(seconds: int) -> float | None:
    """The interval of a watch's heartbeats; None for none. Raises InvalidFields."""
    if seconds > MAX_HEARTBEAT_S:
        text = f"must be at most {MAX_HEARTBEAT_S}, got {seconds}"
        raise InvalidFields([FieldViolation("heartbeat_seconds", text)])
    return float(seconds) if seconds else None


def _is_plain(text: str) -> bool:
    return len(text) <= _MAX_TEXT and "\0" not in text
