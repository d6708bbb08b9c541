"""Records on disk of uploads whose bounce is being stored and whose job is not accepted yet.

After a crash in between, the record leads to the stored file that belongs to no job.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servicekit.delivery.keys import VersionKeys
from servicekit.errors import NotFound
from servicekit.ids import is_job_id
from servicekit.journal import Journal
from servicekit.store.object_store import ObjectStore
from servicekit.work import remove_files


class PendingUploads:
    """One file for each upload, from its first stored byte to its accepted job. No other process may use ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def recorded(self, job_id: str, tenant: str) -> Iterator[None]:
        """Keep a record during the block; it outlives a process that is killed in it."""
        record = self._folder / job_id
        with record.open("x", encoding="utf-8") as file:
            file.write(tenant)
            file.flush()
            os.fsync(file.fileno())
        _sync(self._folder)
        try:
            yield
        finally:
            record.unlink()

    def remove_orphans(self, journal: Journal, store: ObjectStore) -> int:
        """Remove the stored files of every recorded upload without a job; returns their number. Call it before any upload."""
        removed = 0
        for record in sorted(self._folder.iterdir()):
            if is_job_id(record.name) and not _is_job(journal, record.read_text(encoding="utf-8"), record.name):
                removed += len(remove_files(store, [VersionKeys(record.name, 1).bounce]))
            record.unlink()
        return removed


def _is_job(journal: Journal, tenant: str, job_id: str) -> bool:
    try:
        journal.job(tenant, job_id)
    except NotFound:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
