"""The version that a re-render starts from, read out of its ZIP: three stems are kept byte for byte, the bounce is built upon.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from separation_service.rerender.align import BaseTake
from servicekit.audio.pcm24 import Pcm24
from servicekit.audio.wav import read_wav
from servicekit.delivery.files import ZipEntry
from servicekit.delivery.manifest import Manifest
from servicekit.delivery.manifest_json import read_manifest
from servicekit.delivery.names import STEMS, StemName
from servicekit.delivery.zip_headers import PackedFile
from servicekit.errors import DataLoss, InvalidFields
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified, verified_chunks

_MAX_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class BaseOrder:
    """Which version: ``entries`` by name, all six of them."""

    version: int
    zip_key: str
    entries: Mapping[str, ZipEntry]


@dataclass(frozen=True, eq=False)
class StoredSlice:
    """A file inside a stored ZIP as the content of another: read again, and checked again, whenever its bytes are asked for."""

    store: ObjectStore
    key: str
    entry: ZipEntry

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return self.entry.size_bytes

    def chunks(self) -> Iterator[bytes]:
        """Its bytes in order. Raises `DataLoss` at their end where they are not those that were stored."""
        entry = self.entry
        return verified_chunks(self.store, self.key, entry.sha256, offset=entry.offset_bytes, length=entry.size_bytes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Base:
    """The base as it is stored, every byte of its files checked: ``take`` has its samples, ``kept`` the files that stay."""

    version: int
    manifest: Manifest
    take: BaseTake
    kept: Mapping[StemName, PackedFile]

    @cached_property
    def kept_facts(self) -> dict[str, dict[str, Any]]:
        """Which version made each kept stem, and when: its WAV says so, and stays as it is."""
        made_before: Mapping[str, Any] = (self.manifest.rerender or {}).get("kept", {})
        here = {
            "version": self.manifest.version,
            "createdAt": self.manifest.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "source": "separated" if self.manifest.origin is None else "generated",
        }
        return {stem: dict(made_before.get(stem, here)) for stem in self.kept}

    @property
    def of_an_upload(self) -> bool:
        """True where the sound under the new stem was not rendered here."""
        return any(facts["source"] == "separated" for facts in self.kept_facts.values())


def read_base(order: BaseOrder, stem: StemName, frames: int, store: ObjectStore) -> Base:
    """Read and check a base version for the replacement of ``stem`` by one of ``frames`` samples.

    Raises `DataLoss` where a file is not the one that was stored, `InvalidFields` where it is no version of that length, and
    `NotFound` where the ZIP is gone.
    """
    text = _read(order, "manifest.json", store, max_bytes=_MAX_MANIFEST_BYTES).decode("utf-8", "replace")
    try:
        manifest = read_manifest(text)
    except InvalidFields as error:
        raise _unusable(order, f"its manifest cannot be read: {error.message}") from error
    if manifest.stems is None or manifest.frames != frames:
        raise _unusable(order, f"it has {manifest.frames} frames, the new mix {frames}")
    pcm = {name: _samples(order, name, frames, store) for name in ("bounce", *STEMS)}
    kept: dict[StemName, PackedFile] = {}
    for other in STEMS:
        if other != stem:
            entry = order.entries[f"{other}.wav"]
            kept[other] = PackedFile.of(entry.name, StoredSlice(store, order.zip_key, entry))
    stems: NDArray[np.int32] = np.stack([pcm[name] for name in STEMS])
    take = BaseTake(bounce=pcm["bounce"], stems=stems, stem=stem, is_first=order.version == 1)
    return Base(version=order.version, manifest=manifest, take=take, kept=kept)


def _samples(order: BaseOrder, name: str, frames: int, store: ObjectStore) -> Pcm24:
    entry = order.entries[f"{name}.wav"]
    pcm = read_wav(io.BytesIO(_read(order, entry.name, store, max_bytes=entry.size_bytes)), name=entry.name)
    if pcm.shape[1] != frames:
        raise _unusable(order, f"{entry.name} has {pcm.shape[1]} frames, the new mix {frames}")
    return pcm


def _read(order: BaseOrder, name: str, store: ObjectStore, *, max_bytes: int) -> bytes:
    entry = order.entries[name]
    return read_verified(
        store, order.zip_key, entry.sha256, max_bytes=max_bytes, offset=entry.offset_bytes, length=entry.size_bytes
    )


def _unusable(order: BaseOrder, why: str) -> DataLoss:
    return DataLoss(
        f"{order.zip_key} cannot be built upon: {why}; restore it from a copy",
        metadata={"key": order.zip_key, "detail": why},
    )
