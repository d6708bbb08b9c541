"""The ZIP and the completed manifest go into the object store, or nothing of them does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from separation_service.package import Package
from separation_service.progress import StageProgress
from servicekit.delivery.zip_archive import ZipEntry, write_zip, zip_folder
from servicekit.errors import ServiceError
from servicekit.store.object_store import ObjectStore, ObjectWriter, StoredObject

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What was stored. ``entries`` say where each file lies in the ZIP, ``fingerprint`` is the separation's."""

    zip: StoredObject
    entries: tuple[ZipEntry, ...]
    manifest: StoredObject
    manifest_json: str
    fingerprint: Mapping[str, str]


def store_package(package: Package, store: ObjectStore, progress: StageProgress) -> Delivered:
    """Stream the ZIP into the store, then put the manifest. What fails half-way leaves neither a ZIP nor a changed manifest.

    Raises as `ObjectStore`.
    """
    folder, version = f"jobs/{package.job_id}", package.version
    zip_key = f"{folder}/v{version}.zip"
    with store.writer(zip_key, content_type="application/zip") as writer:
        sink = _WatchedSink(writer, progress, total_bytes=package.audio_bytes)
        facts = write_zip(sink, zip_folder(package.job_id, version), package.files)
    try:
        text = package.manifest_json.encode()
        manifest = store.put_bytes(f"{folder}/v{version}.json", text, content_type="application/json")
    except ServiceError:
        with suppress(ServiceError):
            store.delete(zip_key)
        raise
    return Delivered(
        zip=writer.stored,
        entries=facts.entries,
        manifest=manifest,
        manifest_json=package.manifest_json,
        fingerprint=package.fingerprint,
    )


class _WatchedSink:
    """One progress step a MiB, so that a cancel also stops a slow upload."""

    def __init__(self, writer: ObjectWriter, progress: StageProgress, *, total_bytes: int) -> None:
        self._writer = writer
        self._progress = progress
        self._total = max(total_bytes // _MIB, 1)
        self._written = 0

    def write(self, data: bytes, /) -> int:
        self._written += len(data)
        self._progress.step(min(self._written // _MIB, self._total), total=self._total)
        return self._writer.write(data)
