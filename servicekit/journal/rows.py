"""Arguments and results of the journal: frozen values, with times as aware UTC datetimes.

``brief``, ``files``, ``loudness``, ``timings`` and ``error`` are proto-JSON of ResolvedBrief, VersionFiles, Loudness,
StageTiming and google.rpc.Status. ``files`` also has ``kept``, earlier files that stay beside those that replaced them; of a
deleted version it has only ``deleting``, the keys that are still to be removed, and nothing after that.
``plan`` is JSON that only the owning service reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from servicekit.delivery.names import StemMode, StemName
from servicekit.journal.personal import whole_body
from servicekit.journal.states import DataKind, EventKind, JobState, OwningService, ProgressTrack, Stage

Json = Mapping[str, Any]
Counts = Mapping[DataKind, int]
"""Of data, by kind."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Identity of a call. Tenant, RPC and ``request_id`` identify a retry; ``digest`` covers the request's content."""

    tenant: str
    rpc: str
    request_id: str | None
    digest: str


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to accept. ``plan`` may hold the prompt only under keys named ``prompt``, so that it can be erased.

    The tenant's waiting version with the highest ``priority`` is worked on first.
    """

    owner: OwningService
    request: Request
    brief: Json
    plan: Json
    stems_wanted: bool
    stem_mode: StemMode
    expire_time: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    persona_id: str = ""
    audio_seconds: float
    job_id: str | None = None
    priority: int = 0


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A re-render to accept: the next version of a job.

    ``owner`` owns the whole job from then on; None keeps the owner.
    """

    job_id: str
    request: Request
    base_version: int
    rerendered_stem: StemName
    brief: Json
    plan: Json
    stems_wanted: bool
    stem_mode: StemMode
    expire_time: datetime | None = None
    audio_seconds: float
    owner: OwningService | None = None
    priority: int = 0


@dataclass(frozen=True, kw_only=True)
class EventDraft:
    """An event without a number yet. ``fraction`` is the share of the track that is done, 0 to 1."""

    kind: EventKind
    track: ProgressTrack | None = None
    stage: Stage | None = None
    attempt: int = 0
    steps_done: int = 0
    steps_total: int = 0
    fraction: float = 0.0
    time_left_s: float | None = None
    error: Json | None = None


@dataclass(frozen=True, kw_only=True)
class Event(EventDraft):
    """A numbered event. ``sequence`` counts from 1 within its job, without gaps; ``position`` orders the events of all jobs."""

    position: int
    job_id: str
    sequence: int
    tenant: str
    owner: OwningService
    version: int
    state: JobState
    time: datetime


@dataclass(frozen=True)
class EventPage:
    """Events in order, and the feed position up to which the page is complete."""

    events: tuple[Event, ...]
    as_of_position: int


@dataclass(frozen=True, kw_only=True)
class WaitState:
    """What a version waits for now, as google.rpc.Status in proto-JSON (None while it works), and how long it has waited.

    ``spent`` has an entry for each reason that is not overcome yet: ``waitedS``, ``refusals``, and the ``stage`` that was refused.
    """

    waiting: Json | None = None
    spent: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of a job.

    ``checkpointed_stage`` is the last stage that a retry can skip, ``crashes`` how often the work killed its process.
    """

    job_id: str
    number: int
    state: JobState
    attempt: int
    crashes: int
    stems_wanted: bool
    stem_mode: StemMode
    base_version: int
    rerendered_stem: StemName | None
    brief: Json
    plan: Json
    files: Json
    loudness: Json | None
    timings: tuple[Json, ...]
    error: Json | None
    checkpointed_stage: Stage | None
    waits: WaitState
    progress: tuple[Event, ...]
    audio_seconds: float
    priority: int
    expire_time: datetime | None
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    delete_time: datetime | None
    queue_position: int | None
    estimated_end_time: datetime | None
    audit_digests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job with all its versions, v1 first."""

    job_id: str
    tenant: str
    owner: OwningService
    request_id: str
    labels: Mapping[str, str]
    persona_id: str
    create_time: datetime
    last_sequence: int
    versions: tuple[Version, ...]

    @property
    def state(self) -> JobState:
        """The state of the first version."""
        return self.versions[0].state

    def version(self, number: int) -> Version | None:
        """The version with that number; None where there is none."""
        return next((version for version in self.versions if version.number == number), None)


@dataclass(frozen=True)
class JobStatus:
    """OwningService, number of the newest event, and the state of each version by number."""

    owner: OwningService
    last_sequence: int
    states: Mapping[int, JobState]


@dataclass(frozen=True)
class RerenderOutcome:
    """State and error of a re-rendered version, for reports."""

    job_id: str
    version: int
    state: JobState
    error: Json | None


@dataclass(frozen=True, kw_only=True)
class OrphanedVersion:
    """A version's attempts up to ``attempt``, which can commit no more. ``files`` as in `Version`."""

    tenant: str
    job_id: str
    version: int
    attempt: int
    files: Json


@dataclass(frozen=True)
class AcceptResult:
    """A job and the version that the request made. ``created`` is False where an earlier call of the same request made it."""

    job: Job
    version: int
    created: bool


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list. An empty field matches all. ``prompt_contains`` is a text in the first version's prompt, in any case."""

    owner: OwningService | None = None
    states: frozenset[JobState] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    persona_id: str = ""
    created_after: datetime | None = None
    prompt_contains: str = ""


@dataclass(frozen=True)
class JobPage:
    """Jobs, newest first, whose versions have an empty plan; ``next_token`` is empty on the last page."""

    jobs: tuple[Job, ...]
    next_token: str


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a tenant uses: versions that wait and run in both services now, audio and uploads since midnight UTC.

    ``day_end_time`` is the next midnight.
    """

    waiting_jobs: int
    running_jobs: int
    audio_seconds: float
    upload_bytes: int
    day_end_time: datetime


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's exclusive right to write one version, until it ends or releases the version or its lease expires."""

    job: Job
    version: Version
    token: str
    attempt: int
    lease_s: float


@dataclass(frozen=True)
class HeartbeatReply:
    """Whether the worker has to stop: a caller cancelled the version, or its brief expired."""

    cancel_requested: bool
    expired: bool


@dataclass(frozen=True, kw_only=True)
class AuditDraft:
    """An audit row to write. ``body`` must not hold the prompt; the chain holds a salted digest of it.

    Personal values of ``body`` are stored beside the chain too (`servicekit.journal.personal`).
    """

    kind: str
    body: Json
    prompt: str | None


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Results of an attempt, saved in one transaction with their audit row and events.

    ``files`` and ``timings`` are added to those saved before. ``stage`` is the last stage that a later attempt can skip. ``waits``
    replaces what was saved before. With ``done`` the version ends as DONE.
    """

    files: Json | None = None
    loudness: Json | None = None
    stage: Stage | None = None
    audit: AuditDraft | None = None
    timings: Sequence[Json] = ()
    events: Sequence[EventDraft] = ()
    waits: WaitState | None = None
    done: bool = False


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A written audit row. ``digest`` is the SHA-256 of ``previous_digest`` (64 hex digits, ASCII) and ``body_json`` (UTF-8).

    ``personal`` has the values that ``body_json`` holds only as digests, by their paths; none once they were erased.
    """

    tenant: str
    sequence: int
    job_id: str
    version: int
    kind: str
    body_json: str
    prompt: str | None
    personal: Mapping[str, Any]
    previous_digest: str
    digest: str
    create_time: datetime

    def body(self) -> dict[str, Any]:
        """The recorded facts with the personal ones in their places; erased ones are empty."""
        return whole_body(self.body_json, self.personal)


@dataclass(frozen=True)
class Erasure:
    """How many audit rows had a prompt, and whether the database's files may still hold one for a while."""

    audit_rows: int
    purge_pending: bool


@dataclass(frozen=True)
class AuditPage:
    """Audit rows, oldest first; ``next_token`` is empty on the last page."""

    rows: tuple[AuditRow, ...]
    next_token: str


@dataclass(frozen=True)
class ChainHead:
    """Sequence number and digest of the newest row of a chain."""

    sequence: int
    digest: str


@dataclass(frozen=True)
class ChainReport:
    """Result of checking a tenant's chain. ``broken_sequence`` is 0 and ``detail`` empty where it is intact."""

    intact: bool
    broken_sequence: int
    detail: str
    head: ChainHead


class ClaimLost(Exception):
    """The claim is no longer valid: another worker has it, or the version has ended or was released."""


@dataclass(frozen=True)
class SweptJob:
    """A job as a sweep of the store sees it: the keys that its rows name, and whether all of its versions have ended."""

    named: frozenset[str]
    has_ended: bool


def named_keys(files: Json) -> frozenset[str]:
    """The keys of the store that the files of a version have."""
    named = [*(file for file in files.values() if isinstance(file, Mapping)), *files.get("kept", ())]
    return frozenset(str(file["key"]) for file in named)
