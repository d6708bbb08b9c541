"""Remembers whose bounce is being stored before its job is accepted, so that a crash in between leaves no file that nobody owns."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servicekit.errors import NotFound
from servicekit.ids import is_job_id
from servicekit.journal import Journal
from servicekit.store.object_store import ObjectStore


class Unaccepted:
    """A note on disk for each upload between its first stored byte and its accepted job. ``folder`` is this process's alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def noted(self, job_id: str, tenant: str) -> Iterator[None]:
        """Keep a note during the block; it outlives a process that is killed in it."""
        note = self._folder / job_id
        with note.open("x", encoding="utf-8") as file:
            file.write(tenant)
            file.flush()
            os.fsync(file.fileno())
        _sync(self._folder)
        try:
            yield
        finally:
            note.unlink()

    def sweep(self, journal: Journal, store: ObjectStore) -> int:
        """Remove the files of every noted upload that became no job; gives the number of files. To be called before any upload."""
        swept = 0
        for note in sorted(self._folder.iterdir()):
            if is_job_id(note.name) and not _is_job(journal, note.read_text(encoding="utf-8"), note.name):
                swept += store.delete_prefix(f"jobs/{note.name}")
            note.unlink()
        return swept


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
