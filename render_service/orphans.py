"""What a killed render_service left of a version that ends without a worker: what no row names goes, the manifest is as it was."""

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


@dataclass(frozen=True, kw_only=True)
class OrphanedTake:
    """Given to a runner."""

    journal: Journal
    store: ObjectStore

    def __call__(self, left: OrphanedVersion) -> None:
        """Put them right. Raises as `ObjectStore`; to be called again then, before the version ends."""
        remove_orphaned_files(left, VersionKeys(left.job_id, left.version).all, self.store)
        if not left.rerendered_stem and "manifest" in left.files:
            self._restore_manifest(left)

    def _restore_manifest(self, left: OrphanedVersion) -> None:
        """Its worker may have died when the manifest with the stems was stored and not yet kept: the row names the bounce's."""
        named = left.files["manifest"]
        try:
            read_verified(self.store, named["key"], named["sha256"], max_bytes=_MAX_BYTES)
        except DataLoss:
            _log.info("the manifest is not the one that was kept", job_id=left.job_id, version=left.version)
        else:
            return
        version = self.journal.job(left.tenant, left.job_id).versions[left.version - 1]
        try:
            bounce = read_bounce(version, audited_facts(version, left.tenant, self.journal), self.store)
        except (DataLoss, NotFound) as error:
            _log.error("the manifest cannot be made again", job_id=left.job_id, message=error.message)
            return
        text = manifest_text(bounce.manifest).encode()
        if hashlib.sha256(text).hexdigest() == named["sha256"]:
            self.store.put_bytes(named["key"], text, content_type="application/json")
