"""What callers of JobsService may say, checked field by field."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal import JobFilter, JobState, OwningService
from servicekit.store.object_store import MAX_URL_TTL_S
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2

DEFAULT_PAGE = 50
_MAX_LABELS = 32
_MAX_TEXT = 256
_PREFIX = "JOB_STATE_"


def job_filter(request: jobs_service_pb2.ListJobsRequest, owner: OwningService) -> JobFilter:
    """Which jobs a ListJobs asks for. Raises InvalidFields naming each field that is wrong."""
    wrong = []
    states = set()
    for number in request.states:
        name = job_pb2.JobState.Name(number) if number in job_pb2.JobState.values() else ""
        if number == job_pb2.JOB_STATE_UNSPECIFIED or not name:
            wrong.append(FieldViolation("states", f"{number} is no state of a job; leave the list empty for all"))
        else:
            states.add(JobState(name.removeprefix(_PREFIX)))
    if len(request.labels) > _MAX_LABELS:
        wrong.append(FieldViolation("labels", f"at most {_MAX_LABELS}, not {len(request.labels)}"))
    if not all(_is_plain(text) for label in request.labels.items() for text in label):
        wrong.append(FieldViolation("labels", f"keys and values have at most {_MAX_TEXT} characters and no zero byte"))
    if not _is_plain(request.persona_id):
        wrong.append(FieldViolation("persona_id", f"at most {_MAX_TEXT} characters and no zero byte"))
    after = request.created_after_time if request.HasField("created_after_time") else None
    if after is not None and not is_valid_time(after):
        wrong.append(FieldViolation("created_after_time", "a time between the years 1 and 9999"))
    if wrong:
        raise InvalidFields(wrong)
    return JobFilter(
        owner=owner,
        states=frozenset(states),
        labels=dict(request.labels),
        persona_id=request.persona_id,
        created_after=None if after is None else as_utc(after),
    )


def stem_mode(value: int) -> StemMode | None:
    """The stem mode asked for; None where the brief's stays. Raises InvalidFields."""
    if value == brief_pb2.STEM_MODE_UNSPECIFIED:
        return None
    if value not in brief_pb2.StemMode.values():
        raise InvalidFields([FieldViolation("stem_mode", f"{value} is no stem mode")])
    return StemMode[brief_pb2.StemMode.Name(brief_pb2.StemMode.ValueType(value)).removeprefix("STEM_MODE_")]


def check_kind(value: int) -> None:
    """Raise InvalidFields for a number that names no kind of file."""
    if value not in jobs_service_pb2.FileKind.values():
        raise InvalidFields([FieldViolation("kind", f"{value} is no kind of file")])


def ttl_s(request: jobs_service_pb2.CreateSignedUrlRequest, default_s: int) -> int:
    """The time to live of a URL in whole seconds, rounded up. Raises InvalidFields."""
    if not request.HasField("ttl"):
        return default_s
    seconds = request.ttl.seconds + (request.ttl.nanos > 0)
    if not 1 <= seconds <= MAX_URL_TTL_S:
        limits = f"1 second to {MAX_URL_TTL_S} seconds (7 days), not {seconds}"
        raise InvalidFields([FieldViolation("ttl", limits)])
    return seconds


def is_valid_time(value: Timestamp) -> bool:
    """True for a time that a datetime can hold."""
    return 0 <= value.nanos < 1_000_000_000 and -62_135_596_800 <= value.seconds <= 253_402_300_799


def as_utc(value: Timestamp) -> datetime:
    """A valid time as an aware datetime."""
    return value.ToDatetime(tzinfo=UTC)


def _is_plain(text: str) -> bool:
    return len(text) <= _MAX_TEXT and "\0" not in text
