"""Reads the version that a re-render starts from out of its ZIP. Its other three stems are copied byte for byte.

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

from separation_service.rerender.target import BaseTake
from servicekit.audio.pcm24 import Pcm24
from servicekit.audio.wav import read_wav
from servicekit.delivery.files import ZipEntry
from servicekit.delivery.manifest import Manifest, utc_seconds
from servicekit.delivery.manifest_json import read_manifest
from servicekit.delivery.names import STEMS, StemName
from servicekit.delivery.zip_headers import PackedFile
from servicekit.errors import DataLoss, InvalidFields
from servicekit.store.object_store import ObjectStore
from servicekit.store.verified_read import read_verified, verified_chunks

_MAX_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class BaseVersionRef:
    """A stored version: its number, the key of its ZIP, and the ZIP's six entries by name with the digests they must have."""

    number: int
    zip_key: str
    entries: Mapping[str, ZipEntry]


@dataclass(frozen=True, eq=False)
class StoredEntry:
    """An entry of a stored ZIP as the content of another one. Read and checked again each time its bytes are needed."""

    store: ObjectStore
    zip_key: str
    entry: ZipEntry

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return self.entry.size_bytes

    def chunks(self) -> Iterator[bytes]:
        """Its bytes in order. Raises `DataLoss` at their end where their digest is not the entry's."""
        entry = self.entry
        return verified_chunks(
            self.store, self.zip_key, entry.sha256, offset=entry.offset_bytes, length=entry.size_bytes
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseVersion:
    """A stored version whose files were all checked. ``copied`` are the files of the three stems that stay."""

    manifest: Manifest
    take: BaseTake
    copied: Mapping[StemName, PackedFile]

    @cached_property
    def copied_facts(self) -> dict[StemName, dict[str, Any]]:
        """Which version made each copied stem, and when, as its WAV says; for the manifest's ``kept``."""
        earlier: Mapping[str, Any] = (self.manifest.rerender or {}).get("kept", {})
        here = {
            "version": self.manifest.version,
            "createdAt": utc_seconds(self.manifest.created_at),
            "source": "separated" if self.manifest.origin is None else "generated",
        }
        return {stem: dict(earlier.get(stem, here)) for stem in self.copied}

    @property
    def is_upload(self) -> bool:
        """True where a copied stem is of an upload, which was not rendered here."""
        return any(facts["source"] == "separated" for facts in self.copied_facts.values())


def read_base_version(ref: BaseVersionRef, stem: StemName, frames: int, store: ObjectStore) -> BaseVersion:
    """Read and check a version whose ``stem`` is to be replaced by one of ``frames`` samples.

    Raises `DataLoss` where the ZIP is missing, or a file in it does not match its digest or has another length.
    """
    text = _read(ref, "manifest.json", store, max_bytes=_MAX_MANIFEST_BYTES).decode("utf-8", "replace")
    try:
        manifest = read_manifest(text)
    except InvalidFields as error:
        raise _unusable(ref, f"its manifest cannot be read: {error.message}") from error
    if manifest.stems is None or manifest.frames != frames:
        raise _unusable(ref, f"it has {manifest.frames} frames, the new mix has {frames}")
    bounce = _samples(ref, "bounce.wav", frames, store)
    stems: NDArray[np.int32] = np.stack([_samples(ref, f"{name}.wav", frames, store) for name in STEMS])
    copied: dict[StemName, PackedFile] = {}
    for name in STEMS:
        if name != stem:
            entry = ref.entries[f"{name}.wav"]
            copied[name] = PackedFile.of(entry.name, StoredEntry(store, ref.zip_key, entry))
    take = BaseTake(bounce=bounce, stems=stems, stem=stem, is_original=_maker(manifest, stem) == 1)
    return BaseVersion(manifest=manifest, take=take, copied=copied)


def _maker(manifest: Manifest, stem: StemName) -> int:
    """The version that made a stem of a stored version."""
    kept: Mapping[str, Any] = (manifest.rerender or {}).get("kept", {})
    return int(kept[stem]["version"]) if stem in kept else manifest.version


def _samples(ref: BaseVersionRef, name: str, frames: int, store: ObjectStore) -> Pcm24:
    entry = ref.entries[name]
    pcm = read_wav(io.BytesIO(_read(ref, name, store, max_bytes=entry.size_bytes)), name=name)
    if pcm.shape[1] != frames:
        raise _unusable(ref, f"{name} has {pcm.shape[1]} frames, the new mix has {frames}")
    return pcm


def _read(ref: BaseVersionRef, name: str, store: ObjectStore, *, max_bytes: int) -> bytes:
    entry = ref.entries[name]
    return read_verified(
        store, ref.zip_key, entry.sha256, max_bytes=max_bytes, offset=entry.offset_bytes, length=entry.size_bytes
    )


def _unusable(ref: BaseVersionRef, why: str) -> DataLoss:
    return DataLoss(
        f"{ref.zip_key} cannot be the base of a re-render: {why}; restore it from a copy",
        metadata={"key": ref.zip_key, "detail": why},
    )
