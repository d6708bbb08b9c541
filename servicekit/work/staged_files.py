"""Files in the store that no row names yet: removed when their attempt fails, and when their worker died.

The row of a version names the files that count. A file is stored before the row can name it. `StagedFiles` stores the files of an
attempt under keys that nobody else uses and, where the attempt fails, removes those that no row names. `remove_orphaned_files`
removes what earlier attempts left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from servicekit.delivery.files import StoredFile
from servicekit.delivery.keys import FileKind, VersionKeys, attempt_of, is_of_version, job_folder
from servicekit.errors import ServiceError
from servicekit.journal import OrphanedVersion, named_keys
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore, ObjectWriter

_log = logger(__name__)


def _none() -> Collection[str]:
    return ()


class StagedFiles:
    """Stores files of an attempt at a version, and removes what it stored if its ``with`` block raises.

    It never touches what it did not store. ``named`` reads which keys the version's row names: a commit may have taken effect
    though its answer was lost. Where that cannot be read, the files stay for the next attempt to remove.

    The first attempt stores under the names that callers see, where the store can tell that they are free; else, and in every
    later attempt, files go to a folder that nobody else uses (see `servicekit.delivery.keys`). ``leftovers`` are files of the
    same attempt that could not be removed before; they are removed at the end.
    """

    def __init__(
        self,
        store: ObjectStore,
        job_id: str,
        number: int,
        attempt: int,
        *,
        named: Callable[[], Collection[str]] = _none,
        leftovers: list[str] | None = None,
    ) -> None:
        self._store = store
        self._is_first = attempt == 1
        self._names = VersionKeys(job_id, number)
        self._own = VersionKeys.of_attempt(job_id, number, attempt)
        self._named = named
        self._leftovers = [] if leftovers is None else leftovers
        self._stored: list[str] = []
        self._replaced: list[str] = []

    @contextmanager
    def writer(self, kind: FileKind, *, content_type: str, is_final: bool = True) -> Iterator[ObjectWriter]:
        """As `ObjectStore.writer`. A file that is not final will be replaced before the version is complete."""
        name, own = self._names.file(kind), self._own.file(kind)
        if self._is_first and is_final:
            opened = self._store.writer(name, content_type=content_type, fallback=own)
        else:
            opened = self._store.writer(own, content_type=content_type)
        with opened as writer:
            yield writer
            self.add(own)  # before the file becomes visible: the store's answer may be lost
        self.add(writer.stored.key)

    def put_bytes(self, kind: FileKind, data: bytes, *, content_type: str, is_final: bool = True) -> StoredFile:
        """As `ObjectStore.put_bytes`."""
        with self.writer(kind, content_type=content_type, is_final=is_final) as writer:
            writer.write(data)
        return writer.stored

    def add(self, key: str) -> None:
        """Count an object that another service stored for this attempt."""
        self._stored.append(key)

    def replaces(self, file: StoredFile) -> None:
        """Remove an earlier file at the end of the block, unless the row still names it."""
        self._replaced.append(file.key)

    def rollback(self) -> None:
        """Remove what was stored and no row names; for an attempt that failed after the block ended."""
        self._remove(self._stored)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove(self._replaced if kind is None else self._stored)

    def _remove(self, keys: Collection[str]) -> None:
        left = list(dict.fromkeys([*keys, *self._leftovers]))
        self._leftovers.clear()
        if not left:
            return
        try:
            named = self._named()
            while left:
                if left[0] not in named:
                    self._store.delete(left[0])
                del left[0]
        except ServiceError as error:
            _log.warning("staged files stay for now", keys=left, message=error.message)
            self._leftovers.extend(left)


def remove_orphaned_files(orphan: OrphanedVersion, store: ObjectStore, *, keep: Collection[str] = ()) -> None:
    """Remove the files of a version's attempts up to ``orphan.attempt`` that its row does not name; ``keep`` stay.

    Those attempts can commit no more, and no later one writes to their keys. Raises as `ObjectStore`; the caller calls again.
    """
    named = {*named_keys(orphan.files), *keep}
    removed = [key for key in store.keys(job_folder(orphan.job_id)) if key not in named and _is_orphaned(key, orphan)]
    for key in removed:
        store.delete(key)
    if removed:
        _log.info("orphaned files removed", job_id=orphan.job_id, version=orphan.version, keys=removed)


def _is_orphaned(key: str, orphan: OrphanedVersion) -> bool:
    """True also for a name that callers see, which only a first attempt uses."""
    made_by = attempt_of(key)
    return is_of_version(key, orphan.job_id, orphan.version) and (made_by is None or made_by[1] <= orphan.attempt)
