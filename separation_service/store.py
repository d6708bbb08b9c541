"""Stores the ZIP, and a bounce that was made here. The job's owner stores the manifest when it commits the version."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from separation_service.package import Package
from separation_service.timing.progress import StageProgress
from servicekit.audio.loudness import Loudness
from servicekit.audio.wav import Wav
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.zip_archive import write_zip, zip_folder
from servicekit.store.object_store import ObjectWriter
from servicekit.work import StagedFiles

_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class StoredBounce:
    """A bounce that a re-render made."""

    file: StoredFile
    loudness: Loudness


@dataclass(frozen=True, kw_only=True)
class StoredPackage:
    """The stored files of a version; ``bounce`` is None where it was stored before.

    ``manifest`` and ``manifest_json`` are what the job's owner stores, under a key of its own. ``fingerprint`` is the separation's.
    """

    zip: StoredFile
    entries: tuple[ZipEntry, ...]
    manifest: StoredFile
    manifest_json: str
    fingerprint: Mapping[str, str]
    bounce: StoredBounce | None


def store_package(package: Package, staged: StagedFiles, progress: StageProgress) -> StoredPackage:
    """Store the bounce, if it is new, and the ZIP. Raises as `ObjectStore`; then ``staged`` removes what was stored."""
    manifest, files = package.manifest, package.files
    bounce = None if package.new_bounce is None else _store_bounce(package.new_bounce, staged)
    with staged.writer("zip", content_type="application/zip") as writer:
        sink = _ProgressSink(writer, progress, total_bytes=sum(file.digest.size_bytes for file in files))
        facts = write_zip(sink, zip_folder(manifest.job_id, manifest.version), files)
    data = package.manifest_json.encode()
    return StoredPackage(
        zip=writer.stored,
        entries=facts.entries,
        manifest=StoredFile(key=manifest.keys.manifest, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data)),
        manifest_json=package.manifest_json,
        fingerprint=package.fingerprint,
        bounce=bounce,
    )


def _store_bounce(wav: Wav, staged: StagedFiles) -> StoredBounce:
    with staged.writer("bounce", content_type="audio/wav") as writer:
        wav.write_to(writer)
    return StoredBounce(file=writer.stored, loudness=wav.facts.loudness)


class _ProgressSink:
    """Reports one step for each MiB written, so that a cancel stops a slow upload too."""

    def __init__(self, writer: ObjectWriter, progress: StageProgress, *, total_bytes: int) -> None:
        self._writer = writer
        self._progress = progress
        self._total = max(total_bytes // _MIB, 1)
        self._written = 0

    def write(self, data: bytes, /) -> int:
        self._written += len(data)
        self._progress.step(min(self._written // _MIB, self._total), total=self._total)
        return self._writer.write(data)
