"""Records on disk of uploads whose bounce is being stored and whose job is not accepted yet.

Where no job was made, the record leads to the stored file that belongs to none. Where it is not known whether a job was made,
because the journal did not answer or the process was killed, the record stays, and the next upload or start finds out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servicekit.delivery.keys import VersionKeys
from servicekit.errors import ServiceError
from servicekit.ids import is_job_id
from servicekit.journal import Journal
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore

_log = logger(__name__)


class PendingUploads:
    """One file for each upload, from its first stored byte to its accepted job. No other process may use ``folder``."""

    def __init__(self, folder: Path, journal: Journal, store: ObjectStore) -> None:
        self._folder = folder
        self._journal = journal
        self._store = store
        self._unresolved: set[Path] = set()

    @contextmanager
    def recorded(self, job_id: str) -> Iterator[None]:
        """Keep a record during the block, also after a kill in it. At its end the bounce is removed unless a job was made."""
        for earlier in list(self._unresolved):
            self._try_to_resolve(earlier)
        record = self._folder / job_id
        record.touch(exist_ok=False)
        _sync(self._folder)
        try:
            yield
        finally:
            self._try_to_resolve(record)

    def remove_orphans(self) -> int:
        """Remove the stored file of every recorded upload without a job; returns their number. Call it before any upload."""
        return sum(self._resolve(record) for record in sorted(self._folder.iterdir()))

    def _try_to_resolve(self, record: Path) -> None:
        self._unresolved.discard(record)
        try:
            self._resolve(record)
        except ServiceError as error:
            self._unresolved.add(record)
            _log.warning("an upload's outcome is unknown for now", job_id=record.name, message=error.message)

    def _resolve(self, record: Path) -> bool:
        """Remove the record and, where no job was made, the stored file; True where there was one."""
        key, removed = VersionKeys(record.name, 1).bounce, False
        if is_job_id(record.name) and not self._journal.has_job(record.name):
            removed = self._store.stat(key) is not None
            self._store.delete(key)
        record.unlink(missing_ok=True)  # two uploads may resolve an earlier one at the same time
        return removed


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
