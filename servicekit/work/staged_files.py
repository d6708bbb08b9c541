"""Files in the store that no row names yet: removed when their attempt fails, and when their worker died.

The row of a version names the files that count. A file is stored before the row can name it. `StagedFiles` stores such files and
removes those that it stored itself where the commit fails. `remove_orphaned_files` is for a version whose worker died and that no
other worker will run, `remove_files` for files that were stored before there was a row at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from servicekit.delivery.files import StoredFile
from servicekit.errors import ServiceError
from servicekit.journal import ClaimLost, OrphanedVersion
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore, ObjectWriter

_log = logger(__name__)


class StagedFiles:
    """Stores files, and removes what it stored if its ``with`` block raises. What it did not store it never touches.

    ``overwritten`` maps each key of a JSON object that the block may overwrite to its earlier text, which is restored. The files
    stay where the block raises ClaimLost: they belong to the worker that holds the claim now.
    """

    def __init__(self, store: ObjectStore, *, overwritten: Mapping[str, str] | None = None) -> None:
        self._store = store
        self._stored: list[str] = []
        self._overwritten = dict(overwritten or {})

    @contextmanager
    def writer(self, key: str, *, content_type: str) -> Iterator[ObjectWriter]:
        """As `ObjectStore.writer`."""
        with self._store.writer(key, content_type=content_type) as writer:
            yield writer
            self.add(key)  # before the object becomes visible: an answer of the store may be lost

    def put_bytes(self, key: str, data: bytes, *, content_type: str) -> StoredFile:
        """As `ObjectStore.put_bytes`."""
        self.add(key)
        return self._store.put_bytes(key, data, content_type=content_type)

    def add(self, key: str) -> None:
        """Count an object that another service stored for this attempt."""
        self._stored.append(key)

    def rollback(self) -> None:
        """Remove and restore as far as the store answers, and log what failed; for a commit that failed after the block ended."""
        for key in self._stored:
            text = self._overwritten.get(key)
            with _logged_failure(key):
                if text is None:
                    self._store.delete(key)
                else:
                    self._store.put_bytes(key, text.encode(), content_type="application/json")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and not issubclass(kind, ClaimLost):
            self.rollback()


@contextmanager
def _logged_failure(key: str) -> Iterator[None]:
    try:
        yield
    except ServiceError as error:
        _log.warning("rollback failed; DeleteJob removes the file", key=key, message=error.message)


def remove_files(store: ObjectStore, keys: Iterable[str]) -> list[str]:
    """Delete the objects among ``keys`` that exist; returns their keys. Raises as `ObjectStore`."""
    existing = [key for key in keys if store.stat(key) is not None]
    for key in existing:
        store.delete(key)
    return existing


def remove_orphaned_files(orphan: OrphanedVersion, keys: Iterable[str], store: ObjectStore) -> None:
    """Delete those of ``keys`` that the version's row does not name. ``keys`` are all that an attempt at it may store.

    Raises as `ObjectStore`; the caller calls again before the version ends.
    """
    named = {file["key"] for file in orphan.files.values() if isinstance(file, dict)}
    removed = remove_files(store, [key for key in keys if key not in named])
    if removed:
        _log.info("orphaned files removed", job_id=orphan.job_id, version=orphan.version, keys=removed)
