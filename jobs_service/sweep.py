"""A thread that removes files in the store that nothing names and that are older than a safe age.

Whoever stores a file removes it when the work fails, and whoever takes over after a kill removes it then. This finds what is left
where nobody takes over: a host that never comes back, a job that was deleted while a suspended worker went on storing, an upload
whose record was lost with its disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from jobs_service.store_marker import StoreMarker
from servicekit.delivery.keys import job_folder
from servicekit.faults import NO_FAULTS, Faults
from servicekit.ids import is_job_id, job_time
from servicekit.journal import Journal
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore
from servicekit.work.repeating_thread import RepeatingThread

_PAUSE_S = 600.0
_KEYS = 500
_log = logger(__name__)

Unnamed = Callable[[Sequence[str]], Iterable[str]]
"""Of some keys, those that nothing names and nothing will name; whatever their age."""


class StoreSweep(RepeatingThread):
    """Removes files of ``folders`` that are unnamed and older than ``older_than_s``; None removes nothing.

    Each round looks at 500 keys. ``folders`` has, for each folder, the function that finds which of its keys nothing names. It is
    asked after the keys were listed, so a file that is stored and named meanwhile is not among them.
    """

    def __init__(
        self,
        store: ObjectStore,
        folders: Mapping[str, Unnamed],
        *,
        older_than_s: float | None,
        now: Callable[[], datetime],
        pause_s: float = _PAUSE_S,
        faults: Faults = NO_FAULTS,
    ) -> None:
        super().__init__("sweep of the store", pause_s=pause_s, faults=faults)
        self._store = store
        self._folders = folders
        self._older_than_s = older_than_s
        self._now = now
        self._rest: Iterator[tuple[Unnamed, Sequence[str]]] = iter(())

    def repeat(self) -> bool:
        """The next batch. The pause before and between passes is longer than that between batches."""
        if self._older_than_s is None:
            return False
        batch = next(self._rest, None)
        if batch is None:  # the end of a pass, or an error that ended it
            self._rest = self._batches()
            return False
        unnamed, keys = batch
        before = self._now() - timedelta(seconds=self._older_than_s)
        for key in unnamed(keys):
            self._remove_if_old(key, before)
        return True

    def _batches(self) -> Iterator[tuple[Unnamed, Sequence[str]]]:
        for folder, unnamed in self._folders.items():
            keys = self._store.keys(folder)
            while batch := list(islice(keys, _KEYS)):
                yield unnamed, batch

    def _remove_if_old(self, key: str, before: datetime) -> None:
        found = self._store.stat(key)
        if found is not None and found.modified_at < before:
            self._store.delete(key)
            _log.info("a file that nothing names was removed", key=key, modified_at=found.modified_at.isoformat())


class UnnamedJobFiles:
    """An `Unnamed` for the files of jobs. Files of a job with a version that has not ended count as named.

    So do files of a job without a row, unless the job is younger than the store's marker and the marker is this journal's: a
    service that was started with another journal, or an empty one, must not empty the store. The marker also has the newest audit
    rows. If the journal lacks one of them, it was restored from a copy that is older than the store: rows that named files are
    missing, so all files of jobs of that time count as named.
    """

    folder = job_folder("").rstrip("/")

    def __init__(self, journal: Journal, marker: StoreMarker) -> None:
        self._journal = journal
        self._marker = marker

    def __call__(self, keys: Sequence[str]) -> list[str]:
        """See `Unnamed`."""
        by_job = {key: key.split("/")[1] for key in keys if is_job_id(key.split("/")[1])}
        jobs = self._journal.swept_jobs(sorted(set(by_job.values())))
        marker = self._marker.read()
        if marker is None:
            return []
        unnamed = []
        for key, job_id in by_job.items():
            job = jobs.get(job_id)
            if marker.restored_at is not None and job_time(job_id) <= marker.restored_at:
                continue
            if job is None:
                is_unnamed = marker.is_own and job_time(job_id) > marker.since
            else:
                is_unnamed = job.has_ended and key not in job.named
            if is_unnamed:
                unnamed.append(key)
        return unnamed
