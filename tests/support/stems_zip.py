"""A ZIP of stems, created by the code of the services, that a test can change before it is packed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import Pcm24, to_pcm24
from servicekit.audio.true_peak import limit_true_peak
from servicekit.audio.wav import Wav
from servicekit.delivery.manifest import (
    FileFacts,
    Licence,
    Manifest,
    ModelFacts,
    Origin,
    PersonaFacts,
    SeparatorFacts,
    StemsFacts,
)
from servicekit.delivery.manifest_json import manifest_text
from servicekit.delivery.names import STEMS, StemMode
from servicekit.delivery.zip_archive import write_zip, zip_folder
from servicekit.delivery.zip_headers import PackedFile
from sonichaos_client.verify import VerifyReport
from tests.support.fitted_stems import fitted

JOB = "j-01jd8m3k7qv5t9w2x4y6z8a1bc"
SHA = "0123456789abcdef" * 4
ORIGIN = Origin(
    prompt="dusty boom bap",
    persona=PersonaFacts(id="ember", prefix="warm", embedding_sha256=SHA),
    seed=7,
    model=ModelFacts(name="starter", licence="Apache-2.0", digests={"denoiser": SHA}),
)
TEMPO_MAP = {
    "points": [{"second": 0.0, "bpm": 92.0, "beatsPerBar": 4, "beatUnit": 4}],
    "firstDownbeatSecond": 0.0,
    "swingRatio": 0.5,
}


@dataclass
class Delivery:
    """The files of a ZIP by name, in their order. Change them, then :meth:`pack`."""

    folder: str
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest."""
        facts: dict[str, Any] = json.loads(self.files["manifest.json"])
        return facts

    @manifest.setter
    def manifest(self, facts: dict[str, Any]) -> None:
        self.files["manifest.json"] = json.dumps(facts).encode()

    def edit(self, path: str, value: object) -> None:
        """Change one fact of the manifest; ``...`` removes it."""
        facts = self.manifest
        *parents, last = path.split(".")
        at = facts
        for name in parents:
            at = at[name]
        if value is ...:
            del at[last]
        else:
            at[last] = value
        self.manifest = facts

    def set_wav(self, name: str, data: bytes) -> None:
        """Replace a WAV and its digest in the manifest."""
        self.files[name] = data
        path = "bounce" if name == "bounce.wav" else f"stems.files.{name.removesuffix('.wav')}"
        self.edit(f"{path}.sha256", hashlib.sha256(data).hexdigest())

    def pack(self, path: Path) -> Path:
        """Write the ZIP."""
        sink = io.BytesIO()
        write_zip(sink, self.folder, [PackedFile.of(name, _Bytes(data)) for name, data in self.files.items()])
        path.write_bytes(sink.getvalue())
        return path


@dataclass(frozen=True)
class _Bytes:
    """Bytes as they are."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """The bytes as one chunk."""
        yield self.data


def some_mix(frames: int, seed: int = 0) -> tuple[Pcm24, NDArray[np.float32]]:
    """A bounce below the true peak limit, and a model's stems that nearly sum to it; vocals are silent."""
    noise = (
        np.random.default_rng(seed).standard_normal((4, 2, frames)) * np.array([0.1, 0.05, 0.0, 0.03])[:, None, None]
    )
    mix, _ = limit_true_peak(noise.sum(axis=0).astype(np.float32))
    return to_pcm24(mix, stage="TEST"), (noise * 0.98).astype(np.float32)


def delivery(
    *, mode: StemMode = StemMode.EXACT, upload: bool = False, version: int = 1, frames: int = 44117
) -> Delivery:
    """A valid ZIP that a test may change."""
    return Delivery(zip_folder(JOB, version), dict(_files(mode, upload, version, frames)))


@cache
def _files(mode: StemMode, upload: bool, version: int, frames: int) -> dict[str, bytes]:  # noqa: FBT001  a key of the cache
    """Its files by name, in their order."""
    bounce, model = some_mix(frames)
    loudness = measure(bounce)
    manifest = Manifest(
        job_id=JOB,
        version=version,
        created_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        origin=None if upload else ORIGIN,
        tempo_map=None if upload else TEMPO_MAP,
        key=None if upload else "A minor",
        frames=frames,
        bounce=FileFacts.draft("bounce", loudness),
        licence=Licence(),
        labels={},
        fingerprint={"device": "cpu"},
        rerender={"baseVersion": 1, "stem": "vocals"} if version > 1 else None,
    )
    pcm_of_stems, fitted_facts = fitted(bounce, model, mode=mode)
    mix = Wav(bounce, manifest.wav_facts("bounce", loudness))
    wavs = [Wav(pcm, manifest.wav_facts(t, measure(pcm))) for t, pcm in zip(STEMS, pcm_of_stems, strict=True)]
    stems = StemsFacts(
        mode=mode,
        separator=SeparatorFacts(name="starter", weights_sha256=SHA),
        files=tuple(FileFacts.of(wav) for wav in wavs),
        residual_rule=fitted_facts.residual_rule,
        residual_dbfs=fitted_facts.residual_dbfs,
        excess_samples=fitted_facts.excess_samples,
    )
    whole = replace(manifest, bounce=FileFacts.of(mix)).with_stems(stems, fingerprint={"device": "cpu"})
    files = {f"{wav.facts.name}.wav": b"".join(wav.chunks()) for wav in (mix, *wavs)}
    return files | {"manifest.json": manifest_text(whole).encode()}


def rules(report: VerifyReport) -> set[tuple[str, str]]:
    """The broken rules, each with its file."""
    return {(failure.rule, failure.file) for failure in report.failures}
