"""Files in the store that no row names yet: removed when their attempt fails, and when their worker died.

The row of a version names the files that count. A file is stored before the row can name it, so every attempt lists the keys it
may write, and one of these removes them:

- `StagedFiles`, a ``with`` block around the writes and the commit; it rolls back if either fails.
- `remove_orphaned_files`, for a version whose worker died and that no other worker will run.
- `remove_files`, for files that were stored before there was a row at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from servicekit.errors import ServiceError
from servicekit.journal import ClaimLost, OrphanedVersion
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore

_log = logger(__name__)


class StagedFiles:
    """A ``with`` block that removes ``keys`` and restores ``overwritten`` if it raises.

    ``keys`` are those that the block may store and that the version's row does not name yet. ``overwritten`` maps each key of a
    JSON object that the block may overwrite to its earlier text. The files stay where the block raises ClaimLost: they belong to
    the worker that holds the claim now.
    """

    def __init__(
        self, store: ObjectStore, keys: Iterable[str], *, overwritten: Mapping[str, str] | None = None
    ) -> None:
        self._store = store
        self._keys = tuple(keys)
        self._overwritten = dict(overwritten or {})

    def rollback(self) -> None:
        """Remove and restore as far as the store answers, and log what failed; for a commit that failed after the block ended."""
        for key in self._keys:
            with _logged_failure(key):
                self._store.delete(key)
        for key, text in self._overwritten.items():
            with _logged_failure(key):
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
