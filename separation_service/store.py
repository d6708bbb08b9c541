"""The ZIP goes into the object store. The job's owner stores the completed manifest when it commits the stems."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from separation_service.package import Package
from separation_service.timing.progress import StageProgress
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.zip_archive import write_zip, zip_folder
from servicekit.errors import ServiceError
from servicekit.store.object_store import ObjectStore, ObjectWriter

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What was stored. ``entries`` say where each file lies in the ZIP, ``fingerprint`` is the separation's.

    ``manifest`` is what :func:`put_manifest` stores: until the row tells of the stems, the bounce's own manifest stays.
    """

    zip: StoredFile
    entries: tuple[ZipEntry, ...]
    manifest: StoredFile
    manifest_json: str
    fingerprint: Mapping[str, str]


def store_package(package: Package, store: ObjectStore, progress: StageProgress) -> Delivered:
    """Stream the ZIP into the store. What fails or is stopped leaves none. Raises as `ObjectStore`."""
    with store.writer(package.keys.zip, content_type="application/zip") as writer:
        sink = _WatchedSink(writer, progress, total_bytes=package.audio_bytes)
        facts = write_zip(sink, zip_folder(package.job_id, package.version), package.files)
    data = package.manifest_json.encode()
    return Delivered(
        zip=writer.stored,
        entries=facts.entries,
        manifest=StoredFile(package.keys.manifest, len(data), hashlib.sha256(data).hexdigest()),
        manifest_json=package.manifest_json,
        fingerprint=package.fingerprint,
    )


def put_manifest(delivered: Delivered, store: ObjectStore) -> None:
    """Store the completed manifest. Raises as `ObjectStore`."""
    store.put_bytes(delivered.manifest.key, delivered.manifest_json.encode(), content_type="application/json")


def discard_zip(store: ObjectStore, job_id: str, version: int) -> None:
    """Remove a ZIP that nobody heard of, as far as the store answers."""
    with suppress(ServiceError):
        store.delete(VersionKeys(job_id, version).zip)


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
