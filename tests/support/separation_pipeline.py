"""A separation pipeline over a folder, and short takes to run through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment import Grid
from separation_service.engine import Separator
from separation_service.pipeline import Receive, SeparationPipeline
from separation_service.receive import receive_stored
from separation_service.rerender.base_version import BaseVersionRef
from separation_service.rerender.replacement import Replacement
from separation_service.scratch import DEFAULT_MEMORY_BYTES, ScratchFolder
from separation_service.store import StoredPackage
from separation_service.timing.eta import EtaEstimator
from separation_service.timing.latency_budget import LatencyBudget
from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.audio.wav import Wav
from servicekit.clock import Clock, SystemClock
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import FileFacts, Licence, Manifest
from servicekit.delivery.names import StemName
from servicekit.gpu_lock import GpuLock
from servicekit.metrics import Metrics
from servicekit.store.folder_store import FolderStore
from servicekit.store.object_store import ObjectStore
from servicekit.store.url_signer import UrlSigner

JOB_ID = "j-01hq0000000000000000000000"


def new_store(folder: Path) -> FolderStore:
    """A store in ``folder``; its URLs lead nowhere."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    return FolderStore(folder / "store", signer)


def new_pipeline(
    folder: Path,
    separator: Separator,
    *,
    store: ObjectStore,
    metrics: Metrics,
    clock: Clock | None = None,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
) -> SeparationPipeline:
    """A pipeline with scratch and device lock in ``folder``."""
    (folder / "spool").mkdir()
    return SeparationPipeline(
        separator=separator,
        device_lock=GpuLock(folder / "cpu.lock"),
        scratch=ScratchFolder(folder / "spool", memory_bytes=memory_bytes),
        store=store,
        fingerprint={"k": "v"},
        clock=clock or SystemClock(),
        estimator=EtaEstimator(),
        budget=LatencyBudget(30.0, metrics),
    )


def music(seconds: float, seed: int = 0) -> NDArray[np.int32]:
    """Tones and noise as 24-bit integers ``(2, T)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = np.stack([0.3 * np.sin(2 * np.pi * hz * t) for hz in (110.0, 523.0)])
    return np.rint((tones + 0.05 * rng.standard_normal(tones.shape)) * (1 << 23)).astype(np.int32)


@dataclass(frozen=True, kw_only=True)
class Take:
    """A bounce as a WAV, and the manifest of its version without stems."""

    wav: Wav
    manifest: Manifest

    def stored_as(self, key: str, store: ObjectStore) -> StoredFile:
        """Put the WAV into the store."""
        return store.put_bytes(key, b"".join(self.wav.chunks()), content_type="audio/wav")

    def receive(self, store: ObjectStore) -> Receive:
        """The first stage for this take, whose WAV is put into the store's uploads."""
        stored = self.stored_as(f"uploads/v{self.manifest.version}.wav", store)
        return lambda scratch: receive_stored(self.manifest, stored, store, scratch)


def take_of(pcm: NDArray[np.int32], *, version: int = 1, rerender: Mapping[str, Any] | None = None) -> Take:
    """A take of :data:`JOB_ID`."""
    loudness = measure(pcm)
    draft = Manifest(
        job_id=JOB_ID,
        version=version,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        origin=None,
        tempo_map=None,
        key=None,
        frames=pcm.shape[1],
        bounce=FileFacts.draft("bounce", loudness),
        licence=Licence(),
        labels={},
        fingerprint={},
        rerender=rerender,
    )
    wav = Wav(pcm, draft.wav_facts("bounce", loudness))
    return Take(wav=wav, manifest=replace(draft, bounce=FileFacts.of(wav)))


def new_mix(seconds: float, *, version: int = 2, stem: StemName = StemName.OTHER) -> Take:
    """What a re-render of ``stem`` is made from."""
    facts = {"baseVersion": 1, "stem": stem, "persona": "hiss", "seed": 5, "fresh": True, "strength": None}
    return take_of(music(seconds, seed=version), version=version, rerender=facts)


def replacement_in(base: StoredPackage, seconds: float, *, stem: StemName = StemName.OTHER) -> Replacement:
    """``stem`` in all of version 1, on a grid of 120 bpm, whatever its drift."""
    beats = np.arange(0.0, seconds, 0.5)
    grid = Grid(seconds=seconds, beats_s=beats, downbeats_s=beats[::4], subdivisions_s=np.arange(0.0, seconds, 0.125))
    entries = {entry.name: entry for entry in base.entries}
    ref = BaseVersionRef(number=1, zip_key=base.zip.key, entries=entries)
    return Replacement(stem=stem, base=ref, grid=grid, region=None, allow_drift=True, match_mix=True)
