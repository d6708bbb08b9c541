"""Compares the bounce of a replayed re-render with the stored one."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from separation_service.package import Package
from servicekit.audio.wav import read_wav
from servicekit.delivery.files import StoredFile
from servicekit.errors import Internal
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """SHA-256 of both bounces; the largest difference of a sample in units of 24 bits; the fingerprint of the replay."""

    stored_sha256: str
    replayed_sha256: str
    largest_difference: int
    fingerprint: Mapping[str, str]


def compare(package: Package, stored: StoredFile, store: ObjectStore) -> Comparison:
    """Compare sample by sample. Bounces of different lengths differ by 2^24. Raises `DataLoss` where the stored one was changed."""
    replayed = package.new_bounce
    if replayed is None:
        raise Internal("only a re-render's bounce can be compared", metadata={"stage": "STORE"})
    data = read_verified(store, stored.key, stored.sha256, max_bytes=stored.size_bytes)
    pcm = read_wav(io.BytesIO(data), name=stored.key)
    same_shape = pcm.shape == replayed.pcm.shape
    largest = int(np.abs(pcm.astype(np.int64) - replayed.pcm).max()) if same_shape else 1 << 24
    return Comparison(
        stored_sha256=stored.sha256,
        replayed_sha256=replayed.digest.sha256,
        largest_difference=largest,
        fingerprint=package.fingerprint,
    )
