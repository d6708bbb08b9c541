"""Watches: every event after a sequence number or cursor, once and in order, whenever the watcher joins.

A watch takes new events from its topic. Where the topic does not reach back far enough, it reads pages from the journal. It queues
nothing, so a slow watcher costs no memory. ``pool`` reads them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from jobs_service.feed import Feed, FeedEntry
from servicekit.journal import Event, EventKind, EventPage
from servicekit.journal.reading import job_not_found, version_not_found
from servicekit.journal.rows import JobStatus
from servicekit.rpc.pools import CallPool
from sonichaos.jobs.v1 import job_pb2

_PAGE = 100


class JobWatch:
    """The events of a job after ``after_sequence``, until a version (0: the newest at the time of joining) is final.

    The watch of a version that is final already sends the events so far and ends.
    """

    def __init__(
        self,
        feed: Feed,
        pool: CallPool,
        *,
        tenant: str,
        job_id: str,
        version: int,
        after_sequence: int,
        heartbeat_s: float | None = None,
    ) -> None:
        self._feed = feed
        self._pool = pool
        self._heartbeat_s = heartbeat_s
        self._tenant = tenant
        self._job_id = job_id
        self._version = version
        self._after_sequence = after_sequence
        self._sequence_at_join = 0
        self._final_at_join = False
        self._first_page: EventPage | None = None

    async def join(self) -> None:
        """Decide what ends the watch, and read the first events. Raises NotFound."""
        status, self._first_page = await self._pool.run(self._read_first)
        if status.owner is not self._feed.owner:
            raise job_not_found(self._job_id)
        self._version = self._version or max(status.states)
        if self._version not in status.states:
            raise version_not_found(self._job_id, self._version)
        self._sequence_at_join = status.last_sequence
        self._final_at_join = status.states[self._version].ended

    def _read_first(self) -> tuple[JobStatus, EventPage]:
        status = self._feed.journal.job_status(self._tenant, self._job_id)
        seen = min(self._after_sequence, status.last_sequence)
        return status, self._feed.journal.events_after(self._job_id, seen, _PAGE)

    async def events(self) -> AsyncGenerator[job_pb2.JobEvent | None, None]:
        """The events, after :meth:`join`; None where ``heartbeat_s`` passed without one."""
        # A watcher that names a later sequence number waits for it, but sees the version end even if that comes first.
        seen = min(self._after_sequence, self._sequence_at_join)
        if self._final_at_join and seen == self._sequence_at_join:
            return
        position: int | None = None
        with self._feed.of_job(self._job_id) as topic:
            while True:
                entries: Sequence[FeedEntry] | None = None if position is None else topic.after(position)
                if entries is None:
                    page = await self._page(seen)
                    entries, position = [self._feed.entry(event) for event in page.events], page.as_of_position
                elif not entries:
                    if not await topic.change(self._heartbeat_s):
                        yield None
                    continue
                else:
                    position = entries[-1].event.position
                for event, message in entries:
                    if event.sequence <= seen:
                        continue
                    seen = event.sequence
                    if seen > self._after_sequence:
                        yield message
                    if self._ends_with(event):
                        return

    async def _page(self, seen: int) -> EventPage:
        """The events after ``seen``: first what :meth:`join` has read."""
        page, self._first_page = self._first_page, None
        if page is None:
            page = await self._pool.run(self._feed.journal.events_after, self._job_id, seen, _PAGE)
        return page

    def _ends_with(self, event: Event) -> bool:
        if event.kind is EventKind.DELETED:
            return True
        if self._final_at_join:
            return event.sequence >= self._sequence_at_join
        is_end = event.kind is EventKind.STATE and event.version == self._version and event.state.ended
        return is_end and event.sequence > self._sequence_at_join


class TenantWatch:
    """The events of all jobs of a tenant after a cursor (empty: from the moment of joining). Never ends by itself."""

    def __init__(
        self, feed: Feed, pool: CallPool, *, tenant: str, cursor: str, heartbeat_s: float | None = None
    ) -> None:
        self._feed = feed
        self._pool = pool
        self._heartbeat_s = heartbeat_s
        self._tenant = tenant
        self._cursor = cursor
        self._position = 0

    async def join(self) -> None:
        """Decide where the watch starts. Raises InvalidToken."""
        journal = self._feed.journal
        if self._cursor:
            self._position = journal.position(self._tenant, self._cursor)
        else:
            self._position = await self._pool.run(journal.feed_head)

    async def events(self) -> AsyncGenerator[job_pb2.JobEvent | None, None]:
        """The events, after :meth:`join`; None where ``heartbeat_s`` passed without one."""
        position = self._position
        with self._feed.of_tenant(self._tenant) as topic:
            while True:
                entries = topic.after(position)
                if entries is None:
                    entries, position = await self._page(position)
                elif not entries:
                    if not await topic.change(self._heartbeat_s):
                        yield None
                    continue
                else:
                    position = entries[-1].event.position
                for _, message in entries:
                    yield message

    async def _page(self, position: int) -> tuple[list[FeedEntry], int]:
        feed = self._feed
        page = await self._pool.run(feed.journal.feed_after, feed.owner, self._tenant, position, _PAGE)
        return [feed.entry(event) for event in page.events], page.as_of_position
