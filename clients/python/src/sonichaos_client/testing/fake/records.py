"""Jobs, versions and events of the fake, in memory. Versions and events are the protobuf messages that callers get."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.testing.fake.clock import VirtualClock
from sonichaos_client.testing.fake.refusals import Refusal, job_not_found, version_not_found, wrong_state
from sonichaos_client.testing.fake.sounds import Sound
from sonichaos_client.testing.fake.tokens import Ids, Sealer

TENANT = "local"
ENDED = frozenset({job_pb2.JOB_STATE_DONE, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED})

Owner: TypeAlias = job_pb2.OwningService.ValueType


@dataclass(eq=False)
class VersionRecord:
    """A version. ``attempts`` has the newest attempt at each track; ``seconds`` is its length."""

    message: job_pb2.Version
    sound: Sound
    seconds: float
    attempt: int = 0
    crashes: int = 0
    attempts: dict[int, int] = field(default_factory=dict)
    prompt_erased: bool = False

    @property
    def number(self) -> int:
        """From 1."""
        return self.message.number

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.message.state in ENDED

    @property
    def deleted(self) -> bool:
        """Whether its files were deleted."""
        return self.message.HasField("delete_time")

    @property
    def has_bounce(self) -> bool:
        """Whether the bounce is stored."""
        return self.message.files.HasField("bounce")

    @property
    def has_stems(self) -> bool:
        """Whether the ZIP is stored."""
        return self.message.files.HasField("zip")

    @property
    def state_name(self) -> str:
        """Such as "DONE"."""
        return job_pb2.JobState.Name(self.message.state).removeprefix("JOB_STATE_")


@dataclass(eq=False)
class JobRecord:
    """A job. ``digest`` is the SHA-256 of an uploaded file, empty for a take; ``processing`` is what was done to its samples."""

    job_id: str
    owner: Owner
    request_id: str
    create_time: datetime
    versions: list[VersionRecord]
    events: list[job_pb2.JobEvent] = field(default_factory=list)
    digest: str = ""
    size_bytes: int = 0
    processing: tuple[str, ...] = ()

    @property
    def is_upload(self) -> bool:
        """Whether it is the separation of an upload."""
        return bool(self.digest)

    @property
    def last_sequence(self) -> int:
        """Number of the newest event."""
        return self.events[-1].sequence if self.events else 0

    def version(self, number: int) -> VersionRecord:
        """Raises VERSION_NOT_FOUND."""
        found = next((version for version in self.versions if version.number == number), None)
        if found is None:
            raise version_not_found(self.job_id, number)
        return found

    def lacks_base(self, version: VersionRecord) -> bool:
        """Whether the files of the version that it was made from were deleted."""
        return any(one.deleted for one in self.versions if one.number == version.message.base_version)

    def check_not_deleted(self, version: VersionRecord, advice: str) -> None:
        """Raise WRONG_STATE for a version whose files were deleted."""
        if version.deleted:
            raise self.wrong_state(version, f"its files were deleted; {advice}")

    def pick(self, number: int, qualifying: Sequence[VersionRecord]) -> VersionRecord:
        """The version of that number; for 0 the newest that qualifies or, where none does, the newest of all."""
        return self.version(number) if number else (qualifying or self.versions)[-1]

    def wrong_state(self, version: VersionRecord, advice: str) -> Refusal:
        """WRONG_STATE; ``advice`` says what to do."""
        text = f"version {version.number} of job {self.job_id} is {version.state_name}: {advice}"
        return wrong_state(self.job_id, version.number, version.state_name, text)


@dataclass(frozen=True)
class FeedEntry:
    """An event at its position among the events of all jobs. ``owner`` is who owned the job then."""

    position: int
    owner: Owner
    event: job_pb2.JobEvent


class Signal:
    """Wakes everyone who waits for a change."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Something has changed."""
        self._next.set()
        self._next = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Set by the next change. Take it before looking at what may change."""
        return self._next


class Records:
    """All jobs of both services, and their events."""

    def __init__(self, clock: VirtualClock) -> None:
        self.sealer = Sealer()
        self.job_ids = Ids("j-")
        self.changed = Signal()
        self._clock = clock
        self._jobs: dict[str, JobRecord] = {}
        self._feed: list[FeedEntry] = []
        self._position = 0
        self._listeners: list[Callable[[job_pb2.JobEvent], None]] = []

    def on_event(self, listener: Callable[[job_pb2.JobEvent], None]) -> None:
        """Call ``listener`` with each event after it was published."""
        self._listeners.append(listener)

    def jobs(self) -> list[JobRecord]:
        """All jobs, oldest first."""
        return list(self._jobs.values())

    def add(self, job: JobRecord) -> None:
        """Add a new job."""
        self._jobs[job.job_id] = job

    def get(self, job_id: str, owner: Owner | None = None) -> JobRecord:
        """A job, of this owner if one is given. Raises JOB_NOT_FOUND."""
        job = self._jobs.get(job_id)
        if job is None or (owner is not None and job.owner != owner):
            raise job_not_found(job_id)
        return job

    def has(self, job: JobRecord) -> bool:
        """Whether a job is still there."""
        return self._jobs.get(job.job_id) is job

    def has_events(self, job_id: str) -> bool:
        """Whether there are events of a job, also of a deleted one."""
        return any(entry.event.job_id == job_id for entry in self._feed)

    def append(self, job: JobRecord, version: VersionRecord, event: job_pb2.JobEvent) -> None:
        """Number an event and publish it. An event of a track becomes that track's newest."""
        self._position += 1
        event.job_id = job.job_id
        event.sequence = job.last_sequence + 1
        event.event_time.CopyFrom(timestamp(self._clock.now()))
        event.version = version.number
        event.state = version.message.state
        event.cursor = self.sealer.seal(self._position, "cursor")
        job.events.append(event)
        self._feed.append(FeedEntry(self._position, job.owner, event))
        if event.track:
            others = [one for one in version.message.progress if one.track != event.track]
            newest = sorted([*others, event], key=lambda one: one.track)
            del version.message.progress[:]
            version.message.progress.extend(newest)
        self.changed.notify()
        for listener in self._listeners:
            listener(event)

    def append_state(
        self,
        job: JobRecord,
        version: VersionRecord,
        *states: job_pb2.JobState.ValueType,
        error: status_pb2.Status | None = None,
    ) -> None:
        """Take a version through states, with an event for each; ``error`` is that of the last."""
        for state in states:
            version.message.state = state
            event = job_pb2.JobEvent(kind=job_pb2.EVENT_KIND_STATE, attempt=version.attempt)
            if error is not None and state == states[-1]:
                event.error.CopyFrom(error)
            self.append(job, version, event)

    def delete(self, job: JobRecord) -> int:
        """Remove a job; only its DELETED event stays. Returns the number of events that it had."""
        count = len(job.events)
        self.append(job, job.versions[-1], job_pb2.JobEvent(kind=job_pb2.EVENT_KIND_DELETED))
        del self._jobs[job.job_id]
        last = job.events[-1]
        self._feed = [entry for entry in self._feed if entry.event.job_id != job.job_id or entry.event is last]
        return count

    def feed_after(self, position: int, owner: Owner) -> Iterator[FeedEntry]:
        """The events of one service after a position."""
        start = bisect_right(self._feed, position, key=lambda entry: entry.position)
        return (entry for entry in self._feed[start:] if entry.owner == owner)

    @property
    def feed_head(self) -> int:
        """The position of the newest event."""
        return self._position

    def clear(self) -> None:
        """Remove all jobs and events. Positions go on."""
        self._jobs.clear()
        self._feed.clear()
        self.changed.notify()


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait for an event, in real time; False if it did not come."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()


def timestamp(moment: datetime) -> Timestamp:
    """An aware time as protobuf has it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message
