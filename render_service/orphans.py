"""Cleans up a version that a killed render_service left and that no worker will run again.

Deletes files that no row names, and restores the manifest of the bounce.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from render_service.audit import audited_facts
from render_service.bounce import read_bounce
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.manifest_json import MAX_TEXT_CHARACTERS, manifest_text
from servicekit.errors import DataLoss, NotFound
from servicekit.journal import Journal, OrphanedVersion
from servicekit.logs import logger
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified
from servicekit.work import remove_orphaned_files

_log = logger(__name__)
_MAX_BYTES = 4 * MAX_TEXT_CHARACTERS
_NOT_RESTORED = "manifest not restored; restore it from a backup"


@dataclass(frozen=True, kw_only=True)
class OrphanedTake:
    """The runner calls it before it ends an orphaned version."""

    journal: Journal
    store: ObjectStore

    def __call__(self, orphan: OrphanedVersion) -> None:
        """Delete and restore. If the store raises, the runner calls again before the version ends."""
        remove_orphaned_files(orphan, VersionKeys(orphan.job_id, orphan.version).all, self.store)
        if not orphan.rerendered_stem and "manifest" in orphan.files:
            self._restore_manifest(orphan)

    def _restore_manifest(self, orphan: OrphanedVersion) -> None:
        """The worker may have died after it stored the manifest with stems and before the commit; the row names the bounce's."""
        named = orphan.files["manifest"]
        log = {"job_id": orphan.job_id, "version": orphan.version}
        try:
            read_verified(self.store, named["key"], named["sha256"], max_bytes=_MAX_BYTES)
        except DataLoss:
            _log.info("manifest differs from the committed one; restoring", key=named["key"], **log)
        else:
            return
        version = self.journal.job(orphan.tenant, orphan.job_id).versions[orphan.version - 1]
        try:
            bounce = read_bounce(version, audited_facts(version, orphan.tenant, self.journal), self.store)
        except (DataLoss, NotFound) as error:
            _log.error(_NOT_RESTORED, key=named["key"], message=error.message, **log)
            return
        text = manifest_text(bounce.manifest).encode()
        if hashlib.sha256(text).hexdigest() != named["sha256"]:
            _log.error(_NOT_RESTORED, key=named["key"], message="this release makes another manifest", **log)
            return
        self.store.put_bytes(named["key"], text, content_type="application/json")
