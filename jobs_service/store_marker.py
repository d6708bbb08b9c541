"""A file in the store that says which journal it belongs to, since when, and which audit rows that journal has.

By it a service notices that it was started with another journal, or with one that was restored from a backup older than the store:
then rows that named files may be missing, and the sweep must not take those files for files that nothing names.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import ChainHead, Journal
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore
from servicekit.work.repeating_thread import RepeatingThread

_PAUSE_S = 5.0
_KEY = "journal.json"
_MAX_BYTES = 1 << 20
_log = logger(__name__)


class StoreMarker(RepeatingThread):
    """Keeps the store's marker up to date during its ``with`` block: new audit rows are in it within ``pause_s``.

    So a restored journal is noticed, unless all that it lacks was written in the last ``pause_s`` before the services ended.
    """

    def __init__(
        self, journal: Journal, store: ObjectStore, *, pause_s: float = _PAUSE_S, faults: Faults = NO_FAULTS
    ) -> None:
        super().__init__("the marker of the store", pause_s=pause_s, faults=faults)
        self._journal = journal
        self._store = store
        self._lock = threading.Lock()
        self._heads: Mapping[str, ChainHead] | None = None

    def repeat(self) -> bool:
        """Update the marker if the journal has new audit rows; the store is not asked otherwise."""
        if self._heads != dict(self._journal.chain_heads()):
            self.read()
        return False

    def read(self) -> Marker | None:
        """The store's marker, with this journal's newest audit rows from now on; None where it has just been written."""
        with self._lock:
            now, heads = self._journal.clock.now(), dict(self._journal.chain_heads())
            marker = self._updated(now, heads)
            self._heads = heads
            return marker

    def _updated(self, now: datetime, heads: Mapping[str, ChainHead]) -> Marker | None:
        found = self._store.stat(_KEY)
        if found is None:
            self._write(Marker(self._journal.identity, now, heads, None))
            return None
        marker = Marker.parse(self._store.read(_KEY, max_bytes=_MAX_BYTES), self._journal.identity)
        if not marker.is_own:
            _log.warning("the store has files of another journal; those of jobs without a row stay", key=_KEY)
            return marker
        if not self._journal.has_chain_heads(marker.heads):
            _log.warning("the journal is older than the store; all files of jobs made before now stay", key=_KEY)
            marker = replace(marker, restored_at=now, heads=heads)
            self._write(marker)
        elif marker.heads != heads:
            self._write(replace(marker, heads=heads))
        return marker

    def _write(self, marker: Marker) -> None:
        self._store.put_bytes(_KEY, marker.json(), content_type="application/json")


@dataclass(frozen=True)
class Marker:
    """From ``since`` on the journal has had a row of every job in the store, unless it was restored at ``restored_at``."""

    journal: str
    since: datetime
    heads: Mapping[str, ChainHead]
    restored_at: datetime | None
    is_own: bool = True

    @classmethod
    def parse(cls, content: bytes, identity: str) -> Self:
        """Read what :meth:`json` wrote; that of a store that has none of the later keys too."""
        facts = json.loads(content)
        restored_at = facts.get("restoredAt")
        return cls(
            journal=facts["journal"],
            since=datetime.fromisoformat(facts["since"]),
            heads={tenant: ChainHead(*head) for tenant, head in facts.get("heads", {}).items()},
            restored_at=None if restored_at is None else datetime.fromisoformat(restored_at),
            is_own=facts["journal"] == identity,
        )

    def json(self) -> bytes:
        """JSON, in UTF-8."""
        facts = {
            "journal": self.journal,
            "since": self.since.isoformat(),
            "heads": {tenant: [head.sequence, head.digest] for tenant, head in self.heads.items()},
            "restoredAt": None if self.restored_at is None else self.restored_at.isoformat(),
        }
        return json.dumps(facts).encode()
