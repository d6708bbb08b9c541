"""A thread that finishes erasures and applies the retention settings, in small batches that leave room for other writers."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from jobs_service.deletion import JobDeletions
from servicekit.errors import NotFound, ServiceError
from servicekit.host_settings import HostSettings
from servicekit.journal import Journal, OwningService
from servicekit.logs import logger
from servicekit.work.thread_group import boundary

_PAUSE_S = 5.0
_EVENTS = 200
_JOBS = 10
_DAY_S = 24 * 3600.0
_log = logger(__name__)


@dataclass(frozen=True)
class Retention:
    """For how many seconds events of ended jobs, and ended jobs, are kept; None keeps them for good."""

    events_s: float | None
    jobs_s: float | None

    @classmethod
    def of(cls, settings: HostSettings) -> Self:
        """That of the settings, where 0 keeps for good."""
        days = (settings.event_retention_days, settings.job_retention_days)
        events_s, jobs_s = (number * _DAY_S if number else None for number in days)
        return cls(events_s, jobs_s)


class Upkeep:
    """Upkeep of one owner's jobs during its ``with`` block. Audit rows stay, whatever the retention is."""

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        deletions: JobDeletions,
        retention: Retention,
        *,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._deletions = deletions
        self._retention = retention
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="upkeep", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            more = False
            with boundary("upkeep of the journal failed"):
                try:
                    self._journal.purge_erased()
                    more = self._prune_events() | self._delete_jobs()
                except ServiceError as error:
                    _log.warning("upkeep of the journal failed, will retry", message=error.message)
            # The writer is never held by one batch after the other.
            self._stopping.wait(self._pause_s / 50 if more else self._pause_s)

    def _prune_events(self) -> bool:
        """One batch; True where there may be more."""
        older_than_s = self._retention.events_s
        if older_than_s is None:
            return False
        return self._journal.prune_events(self._owner, older_than_s=older_than_s, limit=_EVENTS) == _EVENTS

    def _delete_jobs(self) -> bool:
        """One batch; True where there may be more."""
        older_than_s = self._retention.jobs_s
        if older_than_s is None:
            return False
        found = self._journal.old_jobs(self._owner, older_than_s=older_than_s, limit=_JOBS)
        for tenant, job_id in found:
            try:
                self._deletions.delete(tenant, job_id)
            except NotFound:
                continue  # deleted meanwhile
            _log.info("an old job was deleted", job_id=job_id)
        return len(found) == _JOBS
