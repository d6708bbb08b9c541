"""One reader of the journal for all watchers of a service, however many they are.

What this process commits is published without a read if it follows directly on what was published last. The reader looks twice a
second for what another process wrote, and at once where the next position is missing. Each new event goes to the topics (a job, or
a tenant) that have watchers. A topic keeps its newest events as messages, so that a thousand watchers of one job cost one
translation. A watcher that falls behind reads pages from the journal instead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from types import TracebackType
from typing import NamedTuple, Self

from jobs_service.messages import event_message
from servicekit.errors import ServiceError
from servicekit.journal import Event, Journal, OwningService
from servicekit.logs import logger
from servicekit.repeated_problem import RepeatedProblem
from sonichaos.jobs.v1 import job_pb2

_POLL_S = 0.5
_PAGE = 256
_TOPIC_EVENTS = 256
_COLLECT_S = 0.02
"""How long a missing position is waited for: threads that commit one after the other may report in another order."""
_log = logger(__name__)


class FeedEntry(NamedTuple):
    """An event and its message."""

    event: Event
    message: job_pb2.JobEvent


class Topic:
    """The newest events of one job or tenant."""

    def __init__(self, since: int) -> None:
        self._since = since  # _entries has every event of the topic after this feed position
        self._entries: deque[FeedEntry] = deque()
        self._changed = asyncio.Event()
        self.watchers = 0

    def after(self, position: int) -> list[FeedEntry] | None:
        """The events after a feed position; None where the topic does not reach back that far."""
        if position < self._since:
            return None
        newer = list(takewhile(lambda entry: entry.event.position > position, reversed(self._entries)))
        newer.reverse()
        return newer

    def add(self, entry: FeedEntry) -> None:
        """Append an event and wake the watchers."""
        if len(self._entries) == _TOPIC_EVENTS:
            self._since = self._entries.popleft().event.position
        self._entries.append(entry)
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, timeout_s: float | None) -> bool:
        """Wait for the next event; False where none came within ``timeout_s`` (None: wait without end)."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._changed.wait()
        except TimeoutError:
            return False


class Feed:
    """The reader and its topics, in one event loop. Use with ``async with``."""

    def __init__(self, journal: Journal, owner: OwningService) -> None:
        self.journal = journal
        self.owner = owner
        self._topics: dict[tuple[str, str], Topic] = {}
        self._position = 0
        self._ahead: dict[int, Event] = {}  # committed, but an earlier position is missing
        self._wake_up = asyncio.Event()
        self._problem = RepeatedProblem("reading events from the journal")

    async def __aenter__(self) -> Self:
        self._position = await asyncio.to_thread(self.journal.feed_head)
        self._loop = asyncio.get_running_loop()
        self._subscription = self.journal.subscribe(self._on_commit)
        self._subscription.__enter__()
        self._reader = asyncio.create_task(self._read(), name="feed")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._subscription.__exit__(kind, error, trace)
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader

    @contextmanager
    def of_job(self, job_id: str) -> Iterator[Topic]:
        """The topic of one job, kept while it has watchers."""
        with self._topic("job", job_id) as topic:
            yield topic

    @contextmanager
    def of_tenant(self, tenant: str) -> Iterator[Topic]:
        """The topic of all jobs of a tenant, kept while it has watchers."""
        with self._topic("tenant", tenant) as topic:
            yield topic

    def entry(self, event: Event) -> FeedEntry:
        """An event with its message."""
        return FeedEntry(event, event_message(event, self.journal.cursor(event.tenant, event.position)))

    @contextmanager
    def _topic(self, kind: str, name: str) -> Iterator[Topic]:
        topic = self._topics.setdefault((kind, name), Topic(self._position))
        topic.watchers += 1
        try:
            yield topic
        finally:
            topic.watchers -= 1
            if not topic.watchers:
                del self._topics[kind, name]

    def _on_commit(self, events: Sequence[Event]) -> None:
        """Called in the thread that committed."""
        with suppress(RuntimeError):  # the loop has just been closed
            self._loop.call_soon_threadsafe(self._add, events)

    def _add(self, events: Sequence[Event]) -> None:
        """Publish committed events that follow on the last position; keep others until the missing ones come or are read."""
        self._ahead.update((event.position, event) for event in events if event.position > self._position)
        self._publish_next()
        if self._ahead:
            self._loop.call_later(_COLLECT_S, self._wake_if_behind)

    def _wake_if_behind(self) -> None:
        if self._ahead:
            self._wake_up.set()

    def _publish_next(self) -> None:
        """Positions are committed in ascending order, so nothing can come between two that are adjacent."""
        while (event := self._ahead.get(self._position + 1)) is not None:
            if event.owner is self.owner:
                self._publish(event)
            self._position = event.position
            del self._ahead[event.position]

    async def _read(self) -> None:
        while True:
            self._wake_up.clear()
            try:
                more = await self._read_page()
            except ServiceError as error:
                self._problem.occurred(error)
                await asyncio.sleep(_POLL_S)
                continue
            except Exception as error:  # noqa: BLE001  the boundary of a task that all watchers depend on
                _log.error("reading events from the journal failed unexpectedly", exc_info=error)
                await asyncio.sleep(_POLL_S)
                continue
            self._problem.over()
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake_up.wait(), _POLL_S)

    async def _read_page(self) -> bool:
        """Publish the next page of events; True where there may be more."""
        page = await asyncio.to_thread(self.journal.feed_after, self.owner, None, self._position, _PAGE)
        for event in page.events:
            if event.position > self._position:  # not published meanwhile
                self._publish(event)
                self._position = event.position
        self._position = max(self._position, page.as_of_position)
        self._ahead = {position: event for position, event in self._ahead.items() if position > self._position}
        self._publish_next()
        return len(page.events) == _PAGE

    def _publish(self, event: Event) -> None:
        keys = (("job", event.job_id), ("tenant", event.tenant))
        topics = [self._topics[key] for key in keys if key in self._topics]
        if topics:
            entry = self.entry(event)
            for topic in topics:
                topic.add(entry)
