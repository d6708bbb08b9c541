"""What a killed service stored of a version that now ends without a worker is taken away, before the version ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from servicekit.journal import OrphanedVersion
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore

_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class OrphanedFiles:
    """Given to a runner. ``keys_of`` are the keys that an attempt at a version may store; what its row names stays."""

    store: ObjectStore
    keys_of: Callable[[OrphanedVersion], Iterable[str]]

    def __call__(self, left: OrphanedVersion) -> None:
        """Remove them. Raises as `ObjectStore`; to be called again then, before the version ends."""
        named = {file["key"] for file in left.files.values() if isinstance(file, dict)}
        removed = [key for key in self.keys_of(left) if key not in named and self.store.stat(key) is not None]
        for key in removed:
            self.store.delete(key)
        if removed:
            _log.info("removed what an ended process stored", job_id=left.job_id, version=left.version, keys=removed)
