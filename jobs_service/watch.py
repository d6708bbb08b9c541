"""Watching: every event after a number or cursor, once, in order, whenever the watcher joins.

A watcher takes new events from its topic; when it has just joined or has fallen behind what the topic keeps, it reads pages from
the journal. It never queues anything, so a slow one costs no memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from jobs_service.feed import Feed, Told
from servicekit.journal import Event, EventKind
from servicekit.journal.reading import job_not_found, version_not_found
from sonichaos.jobs.v1 import job_pb2

_PAGE = 100


class JobWatch:
    """A job's events with a number greater than ``after_sequence``, until a version (0: the newest now) ends.

    A version that has ended already gives the events so far.
    """

    def __init__(self, feed: Feed, *, tenant: str, job_id: str, version: int, after_sequence: int) -> None:
        self._feed = feed
        self._tenant = tenant
        self._job_id = job_id
        self._version = version
        self._after_sequence = after_sequence
        self._known_sequence = 0
        self._ended_at_join = False

    async def join(self) -> None:
        """Fix what the watch will end with. Raises NotFound."""
        found = await asyncio.to_thread(self._feed.journal.job_status, self._tenant, self._job_id)
        if found.owner is not self._feed.owner:
            raise job_not_found(self._job_id)
        self._version = self._version or max(found.states)
        if self._version not in found.states:
            raise version_not_found(self._job_id, self._version)
        self._known_sequence = found.last_sequence
        self._ended_at_join = found.states[self._version].ended

    async def events(self) -> AsyncGenerator[job_pb2.JobEvent, None]:
        """The events, once joined."""
        # Whoever names a number that is still to come waits for it, and sees the end even if it comes before.
        seen = min(self._after_sequence, self._known_sequence)
        if self._ended_at_join and seen == self._known_sequence:
            return
        position: int | None = None
        with self._feed.of_job(self._job_id) as topic:
            while True:
                news = None if position is None else topic.after(position)
                if news is None:
                    page = await asyncio.to_thread(self._feed.journal.events_after, self._job_id, seen, _PAGE)
                    news, position = [self._feed.told(event) for event in page.events], page.as_of_position
                elif not news:
                    await topic.change()
                    continue
                else:
                    position = news[-1][0].position
                for event, message in news:
                    if event.sequence <= seen:
                        continue
                    seen = event.sequence
                    if seen > self._after_sequence:
                        yield message
                    if self._ends_with(event):
                        return

    def _ends_with(self, event: Event) -> bool:
        if event.kind is EventKind.DELETED:
            return True
        if self._ended_at_join:
            return event.sequence >= self._known_sequence
        is_end = event.kind is EventKind.STATE and event.version == self._version and event.state.ended
        return is_end and event.sequence > self._known_sequence


class TenantWatch:
    """The events of all jobs of a tenant after a cursor (empty: from the moment of joining). Never ends by itself."""

    def __init__(self, feed: Feed, *, tenant: str, cursor: str) -> None:
        self._feed = feed
        self._tenant = tenant
        self._cursor = cursor
        self._position = 0

    async def join(self) -> None:
        """Fix where the watch begins. Raises InvalidToken."""
        journal = self._feed.journal
        if self._cursor:
            self._position = journal.position(self._tenant, self._cursor)
        else:
            self._position = await asyncio.to_thread(journal.feed_head)

    async def events(self) -> AsyncGenerator[job_pb2.JobEvent, None]:
        """The events, once joined."""
        position = self._position
        with self._feed.of_tenant(self._tenant) as topic:
            while True:
                news = topic.after(position)
                if news is None:
                    news, position = await self._page(position)
                elif not news:
                    await topic.change()
                    continue
                else:
                    position = news[-1][0].position
                for _, message in news:
                    yield message

    async def _page(self, position: int) -> tuple[list[Told], int]:
        feed = self._feed
        page = await asyncio.to_thread(feed.journal.feed_after, feed.owner, self._tenant, position, _PAGE)
        return [feed.told(event) for event in page.events], page.as_of_position
