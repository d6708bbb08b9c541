"""Compares the bounce of a replayed re-render with the stored one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from separation_service.package import Package
from servicekit.audio.difference import Difference, difference
from servicekit.audio.wav import read_wav
from servicekit.delivery.files import StoredFile
from servicekit.errors import Internal
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """SHA-256 of both bounces, how far they are apart, and the fingerprint of the replay."""

    stored_sha256: str
    replayed_sha256: str
    difference: Difference
    fingerprint: Mapping[str, str]


def compare(package: Package, stored: StoredFile, store: ObjectStore) -> Comparison:
    """Compare both bounces. Raises `DataLoss` where the stored one was changed."""
    replayed = package.new_bounce
    if replayed is None:
        raise Internal("only a re-render's bounce can be compared", metadata={"stage": "STORE"})
    data = read_verified(store, stored.key, stored.sha256, max_bytes=stored.size_bytes)
    pcm = read_wav(io.BytesIO(data), name=stored.key)
    return Comparison(
        stored_sha256=stored.sha256,
        replayed_sha256=replayed.digest.sha256,
        difference=difference(pcm, replayed.pcm),
        fingerprint=package.fingerprint,
    )
