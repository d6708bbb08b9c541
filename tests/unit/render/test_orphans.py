"""What a killed render_service left: unnamed files go, the manifest of the bounce comes back."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from render_service.audit import audited_facts
from render_service.bounce import read_bounce
from render_service.orphans import OrphanedTake
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.manifest_json import manifest_text
from servicekit.errors import DataLoss
from servicekit.journal import Job, OrphanedVersion
from tests.support.render_parts import TENANT, RenderParts


def orphan_of(job: Job, manifest: bytes) -> OrphanedVersion:
    """v1 as its row was after the bounce was committed: with this manifest, and no ZIP."""
    keys, files = VersionKeys(job.job_id, 1), dict(job.versions[0].files)
    named: dict[str, Any] = {name: files[name] for name in ("bounce", "latents")}
    digest = hashlib.sha256(manifest).hexdigest()
    named["manifest"] = {"key": keys.manifest, "sha256": digest, "sizeBytes": str(len(manifest))}
    return OrphanedVersion(tenant=TENANT, job_id=job.job_id, version=1, rerendered_stem=None, files=named)


def test_unnamed_files_go_and_the_manifest_comes_back(shared_parts: RenderParts, take: Job) -> None:
    """The worker died after it stored ZIP and manifest with stems: the ZIP goes, the manifest is that of the bounce again."""
    store, version, keys = shared_parts.store, take.versions[0], VersionKeys(take.job_id, 1)
    bounce = read_bounce(version, audited_facts(version, TENANT, shared_parts.journal), store)
    text = manifest_text(bounce.manifest).encode()
    assert store.read(keys.manifest, max_bytes=1 << 20) != text
    assert store.stat(keys.zip) is not None
    OrphanedTake(journal=shared_parts.journal, store=store)(orphan_of(take, text))
    assert store.read(keys.manifest, max_bytes=1 << 20) == text
    assert store.stat(keys.zip) is None
    assert hashlib.sha256(store.read(keys.bounce, max_bytes=1 << 20)).hexdigest() == bounce.sha256
    assert store.stat(keys.latents) is not None


def test_a_manifest_that_cannot_be_made_again_stays(shared_parts: RenderParts, take: Job) -> None:
    """With another digest in the row, as an older release would have, what is stored is not replaced."""
    store, keys = shared_parts.store, VersionKeys(take.job_id, 1)
    before = store.read(keys.manifest, max_bytes=1 << 20)
    OrphanedTake(journal=shared_parts.journal, store=store)(orphan_of(take, b"another manifest"))
    assert store.read(keys.manifest, max_bytes=1 << 20) == before


def test_a_changed_bounce_is_never_read(shared_parts: RenderParts, take: Job) -> None:
    """One flipped bit of the stored bounce is DATA_LOSS."""
    store, version, keys = shared_parts.store, take.versions[0], VersionKeys(take.job_id, 1)
    data = bytearray(store.read(keys.bounce, max_bytes=1 << 20))
    data[-1] ^= 1
    store.put_bytes(keys.bounce, bytes(data), content_type="audio/wav")
    with pytest.raises(DataLoss):
        read_bounce(version, audited_facts(version, TENANT, shared_parts.journal), store)
