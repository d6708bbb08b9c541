"""What goes into the journal and what comes out of it: frozen values, times as aware UTC datetimes.

``brief``, ``files``, ``loudness``, ``timings`` and ``error`` are proto-JSON of ResolvedBrief, VersionFiles, Loudness,
StageTiming and google.rpc.Status; ``plan`` is the owner's own JSON and nobody else's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from servicekit.delivery.names import StemMode, StemName
from servicekit.journal.states import EventKind, JobState, Owner, ProgressTrack, Stage

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Request:
    """Who called what: a retry is recognised by ``request_id`` within tenant and RPC. ``digest`` covers the request's content."""

    tenant: str
    rpc: str
    request_id: str | None
    digest: str


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job to accept. ``plan`` may hold the prompt only under keys named ``prompt``, where an erasure finds it."""

    owner: Owner
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


@dataclass(frozen=True, kw_only=True)
class NewVersion:
    """A re-render to accept: the next version of a job.

    ``owner`` makes it, and owns the whole job from then on; None: whoever owns it already.
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
    owner: Owner | None = None


@dataclass(frozen=True, kw_only=True)
class EventDraft:
    """An event before it has a number. ``fraction`` is the share of the track that is done, 0 to 1."""

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
    """A numbered event. ``sequence`` counts within the job from 1 without gaps, ``position`` orders the feed of all jobs."""

    position: int
    job_id: str
    sequence: int
    tenant: str
    owner: Owner
    version: int
    state: JobState
    time: datetime


@dataclass(frozen=True)
class EventPage:
    """Events in order, and the feed position up to which nothing was left out."""

    events: tuple[Event, ...]
    as_of_position: int


@dataclass(frozen=True, kw_only=True)
class Version:
    """One rendering of a job."""

    job_id: str
    number: int
    state: JobState
    attempt: int
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
    kept_stage: Stage | None
    progress: tuple[Event, ...]
    audio_seconds: float
    expire_time: datetime | None
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    queue_position: int | None
    estimated_end_time: datetime | None
    audit_digests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row, with all its versions, v1 first."""

    job_id: str
    tenant: str
    owner: Owner
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
        """The version of that number, if there is one."""
        return next((version for version in self.versions if version.number == number), None)


@dataclass(frozen=True)
class Standing:
    """The little of a job that a watch starts from: the number of its newest event and the state of each version."""

    owner: Owner
    last_sequence: int
    states: Mapping[int, JobState]


@dataclass(frozen=True)
class Rerendered:
    """The little of a re-rendered version that a report is made of. ``error`` is proto-JSON of google.rpc.Status."""

    job_id: str
    version: int
    state: JobState
    error: Json | None


@dataclass(frozen=True, kw_only=True)
class OrphanedVersion:
    """A version whose worker is gone and that no other will take up. ``files`` are those that its row names, as in `Version`."""

    tenant: str
    job_id: str
    version: int
    rerendered_stem: StemName | None
    files: Json


@dataclass(frozen=True)
class Accepted:
    """An accepted job and the version that the request made. ``created`` is False for a retry of a known request."""

    job: Job
    version: int
    created: bool


@dataclass(frozen=True, kw_only=True)
class JobFilter:
    """Which jobs to list. Empty fields let everything pass."""

    owner: Owner | None = None
    states: frozenset[JobState] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    persona_id: str = ""
    created_after: datetime | None = None


@dataclass(frozen=True)
class JobPage:
    """Jobs, newest first; ``next_token`` is empty on the last page."""

    jobs: tuple[Job, ...]
    next_token: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to write one version, until it ends, gives it back or lets the lease lapse."""

    job: Job
    version: Version
    token: str
    attempt: int
    lease_s: float


@dataclass(frozen=True)
class Orders:
    """What the holder of a claim has to obey."""

    cancel: bool
    expired: bool


@dataclass(frozen=True, kw_only=True)
class AuditDraft:
    """An audit row to write. ``body`` must not hold the prompt: the journal chains its salted digest instead."""

    kind: str
    body: Json
    prompt: str | None


@dataclass(frozen=True, kw_only=True)
class AuditRow:
    """A written audit row. ``digest`` is the SHA-256 of ``previous_digest`` (64 hex digits, ASCII) and ``body_json`` (UTF-8)."""

    tenant: str
    sequence: int
    job_id: str
    version: int
    kind: str
    body_json: str
    prompt: str | None
    previous_digest: str
    digest: str
    create_time: datetime


@dataclass(frozen=True)
class AuditPage:
    """Audit rows, oldest first; ``next_token`` is empty on the last page."""

    rows: tuple[AuditRow, ...]
    next_token: str


@dataclass(frozen=True)
class ChainHead:
    """The newest row of a chain, as exported."""

    sequence: int
    digest: str


@dataclass(frozen=True)
class ChainReport:
    """What a check of a tenant's chain found. ``broken_sequence`` is 0 and ``detail`` empty where it is intact."""

    intact: bool
    broken_sequence: int
    detail: str
    head: ChainHead


class ClaimLost(Exception):
    """The claim was taken over, ended or given back: its holder may not write any more."""
