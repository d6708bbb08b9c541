"""A version's stored bounce and ZIP, with known samples, and their peaks computed in the plainest way."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from jobs_service.journal_json import VersionFiles
from servicekit.audio.bext import WavFacts
from servicekit.audio.loudness import Loudness
from servicekit.audio.pcm24 import MAX_SAMPLE, MIN_SAMPLE, Pcm24
from servicekit.audio.wav import Wav
from servicekit.clock import SystemClock
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.names import STEMS, WavName
from servicekit.delivery.zip_archive import write_zip, zip_folder
from servicekit.delivery.zip_headers import PackedFile
from servicekit.store.folder_store import FolderStore
from servicekit.store.object_store import ObjectStore
from servicekit.store.url_signer import UrlSigner

NAMES: tuple[WavName, ...] = ("bounce", *STEMS)


@dataclass(frozen=True)
class StoredAudio:
    """What was stored, and its samples by the names of the files."""

    files: VersionFiles
    pcm: dict[str, Pcm24]


def folder_store(folder: Path) -> FolderStore:
    """A store whose URLs nobody fetches."""
    return FolderStore(folder, UrlSigner(base_url="http://127.0.0.1:1", secret=bytes(range(32)), now=SystemClock().now))


def noise(frames: int, seed: int = 0) -> Pcm24:
    """Samples over the whole range."""
    return np.random.default_rng(seed).integers(MIN_SAMPLE, MAX_SAMPLE, (2, frames), dtype=np.int32, endpoint=True)


def store_audio(store: ObjectStore, job_id: str, *, frames: int, stems: bool = True, version: int = 1) -> StoredAudio:
    """Store a bounce of noise, and a ZIP with it and four stems if there are ``stems``."""
    keys = VersionKeys(job_id, version)
    facts = [
        WavFacts(
            job_id=job_id,
            version=version,
            name=name,
            created_at=datetime(2026, 3, 4, tzinfo=UTC),
            loudness=Loudness(None, None),
            source="generated",
        )
        for name in NAMES
    ]
    wavs = {f"{one.name}.wav": Wav(noise(frames, seed), one) for seed, one in enumerate(facts, start=version)}
    bounce = io.BytesIO()
    wavs["bounce.wav"].write_to(bounce)
    stored = store.put_bytes(keys.bounce, bounce.getvalue(), content_type="audio/wav")
    if not stems:
        return StoredAudio(VersionFiles(bounce=stored), {"bounce.wav": wavs["bounce.wav"].pcm})
    sink = io.BytesIO()
    packed = write_zip(sink, zip_folder(job_id, version), [PackedFile.of(name, wav) for name, wav in wavs.items()])
    zipped = store.put_bytes(keys.zip, sink.getvalue(), content_type="application/zip")
    files = VersionFiles(bounce=stored, zip=zipped, zip_entries=packed.entries)
    return StoredAudio(files, {name: wav.pcm for name, wav in wavs.items()})


def plain_peaks(pcm: Pcm24, points: int) -> tuple[list[int], list[int]]:
    """Minima rounded down and maxima rounded up to 16 bits, by the formula of ``sonichaos.jobs.v1.Waveform``."""
    frames = pcm.shape[1]
    count = min(points, frames)
    owners = np.array([frame * count // frames for frame in range(frames)])
    parts = [pcm[:, owners == point] for point in range(count)]
    return (
        [int(np.floor(part.min() / 256)) for part in parts],
        [min(int(np.ceil(part.max() / 256)), 32767) for part in parts],
    )
