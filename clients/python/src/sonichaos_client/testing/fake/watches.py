"""Watches: every event after a sequence number or cursor, once and in order. None stands for a heartbeat."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.testing.fake.faults import Faults
from sonichaos_client.testing.fake.records import ENDED, Owner, Records, wait_for
from sonichaos_client.testing.fake.refusals import job_not_found, lost_connection

Event = job_pb2.JobEvent | None


class JobWatch:
    """The events of a job after ``after_sequence``, until a version (0: the newest now) is final. Raises NOT_FOUND."""

    def __init__(self, records: Records, owner: Owner, job_id: str, version: int, after_sequence: int) -> None:
        self._records = records
        self._job = records.get(job_id, owner)
        self._version = self._job.version(version) if version else self._job.versions[-1]
        self._after_sequence = after_sequence
        self._sequence_at_join = self._job.last_sequence
        self._final_at_join = self._version.ended

    async def events(self, heartbeat_s: float | None) -> AsyncIterator[Event]:
        """The events; None where so many seconds passed without one."""
        seen = min(self._after_sequence, self._sequence_at_join)
        if self._final_at_join and seen == self._sequence_at_join:
            return
        while True:
            change = self._records.changed.next()
            for event in self._job.events[seen:]:  # numbered from 1, without gaps
                seen = event.sequence
                if seen > self._after_sequence:
                    yield event
                if self._ends_with(event):
                    return
            if not self._records.has(self._job):  # after a reset; a deletion has an event
                raise job_not_found(self._job.job_id)
            if not change.is_set() and not await wait_for(change, heartbeat_s):
                yield None

    def _ends_with(self, event: job_pb2.JobEvent) -> bool:
        if event.kind == job_pb2.EVENT_KIND_DELETED:
            return True
        if self._final_at_join:
            return event.sequence >= self._sequence_at_join
        is_end = event.kind == job_pb2.EVENT_KIND_STATE and event.version == self._version.number
        return is_end and event.state in ENDED and event.sequence > self._sequence_at_join


class TenantWatch:
    """The events of all jobs of a service after a cursor (empty: from now on). Never ends by itself. Raises INVALID_TOKEN."""

    def __init__(self, records: Records, owner: Owner, cursor: str) -> None:
        self._records = records
        self._owner = owner
        self._position = int(records.sealer.open(cursor, "cursor")) if cursor else records.feed_head

    async def events(self, heartbeat_s: float | None) -> AsyncIterator[Event]:
        """The events; None where so many seconds passed without one."""
        while True:
            change = self._records.changed.next()
            for entry in list(self._records.feed_after(self._position, self._owner)):
                self._position = entry.position
                yield entry.event
            if not change.is_set() and not await wait_for(change, heartbeat_s):
                yield None


async def dropping(events: AsyncIterator[Event], faults: Faults, owner: Owner) -> AsyncIterator[Event]:
    """The events, up to where a scripted fault drops the stream."""
    sent = 0
    if faults.take("drop_stream", owner, events=sent):
        raise lost_connection()
    async for event in events:
        yield event
        sent += event is not None
        if faults.take("drop_stream", owner, events=sent):
            raise lost_connection()
