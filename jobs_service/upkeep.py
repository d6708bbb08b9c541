"""A thread that finishes erasures and applies the retention settings, in small batches that leave room for other writers."""

from __future__ import annotations

from jobs_service.deletion import JobDeletions
from jobs_service.retention import Retention
from servicekit.errors import NotFound
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import Journal, OwningService
from servicekit.logs import logger
from servicekit.work.repeating_thread import RepeatingThread

_PAUSE_S = 5.0
_EVENTS = 200
_JOBS = 10
_log = logger(__name__)


class Upkeep(RepeatingThread):
    """Upkeep of one owner's jobs during its ``with`` block. Audit rows stay, whatever the retention is."""

    def __init__(
        self,
        journal: Journal,
        owner: OwningService,
        deletions: JobDeletions,
        retention: Retention,
        *,
        pause_s: float = _PAUSE_S,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__("upkeep of the journal", pause_s=pause_s, faults=faults)
        self._journal = journal
        self._owner = owner
        self._deletions = deletions
        self._retention = retention

    def repeat(self) -> bool:
        """One batch of each kind."""
        self._journal.purge_erased()
        return self._prune_events() | self._delete_jobs()

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
