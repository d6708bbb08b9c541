"""The manifest: what is known of one version, as a value. manifest_json.py turns it into text and back.

Its fields are those of protos/sonichaos/manifest/v1/manifest.schema.json, where each is described.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from servicekit.audio.bext import WavFacts
from servicekit.audio.loudness import Loudness
from servicekit.audio.wav import WavFile
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.names import STEMS, LicenceCoverage, StemMode, WavName


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One WAV: its name in the ZIP's folder, the SHA-256 of its bytes, its loudness."""

    file: str
    sha256: str
    loudness: Loudness

    @classmethod
    def of(cls, wav: WavFile) -> FileFacts:
        """Read ``wav`` once for its digest."""
        return cls(file=f"{wav.facts.name}.wav", sha256=wav.digest.sha256, loudness=wav.facts.loudness)


@dataclass(frozen=True, kw_only=True)
class PersonaFacts:
    """``embedding_sha256`` is of the embedding as float32, little endian."""

    id: str
    prefix: str
    embedding_sha256: str


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """A renderer: ``digests`` holds the SHA-256 of each weights file by its role."""

    name: str
    licence: str
    digests: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a take has and an upload lacks."""

    prompt: str
    persona: PersonaFacts
    seed: int
    model: ModelFacts


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Terms of use; recorded, never interpreted."""

    tier: str = ""
    licensee: str = ""
    terms: str = ""
    covers: LicenceCoverage = LicenceCoverage.BOUNCE_AND_STEMS


@dataclass(frozen=True, kw_only=True)
class SeparatorFacts:
    """``weights_sha256`` is over the digests of the weights."""

    name: str
    weights_sha256: str


@dataclass(frozen=True, kw_only=True)
class StemsFacts:
    """The four stems, in the order of :data:`STEMS`, and how they were made.

    ``residual_rule`` is None in raw mode, ``residual_dbfs`` None for digital zero.
    """

    mode: StemMode
    separator: SeparatorFacts
    files: tuple[FileFacts, ...]
    residual_rule: str | None
    residual_dbfs: float | None
    excess_samples: int

    def __post_init__(self) -> None:
        names = tuple(file.file for file in self.files)
        if names != tuple(f"{stem}.wav" for stem in STEMS):
            raise ValueError(f"wanted the files of {', '.join(STEMS)} in this order, got {', '.join(names)}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One version. ``created_at`` is its acceptance, with a time zone; whole seconds are kept.

    ``tempo_map`` is JSON as in the schema. ``origin``, ``tempo_map`` and ``key`` are None where they are not known, as for an
    upload; ``stems`` until there are any; ``rerender`` is set from version 2 on.
    """

    job_id: str
    version: int
    created_at: datetime
    origin: Origin | None
    tempo_map: Mapping[str, Any] | None
    key: str | None
    frames: int
    bounce: FileFacts
    licence: Licence
    labels: Mapping[str, str]
    fingerprint: Mapping[str, str]
    processing: tuple[str, ...] = ()
    stems: StemsFacts | None = None
    rerender: Mapping[str, Any] | None = None

    @property
    def keys(self) -> VersionKeys:
        """Where the version's files lie in the store."""
        return VersionKeys(self.job_id, self.version)

    def wav_facts(self, name: WavName, loudness: Loudness) -> WavFacts:
        """What a WAV of this version says of itself, so that both services make the same bytes."""
        return WavFacts(
            job_id=self.job_id,
            version=self.version,
            name=name,
            created_at=self.created_at.astimezone(UTC),
            loudness=loudness,
            source="separated" if self.origin is None else "generated",
        )

    def with_stems(
        self, stems: StemsFacts, *, fingerprint: Mapping[str, str], processing: tuple[str, ...] = ()
    ) -> Manifest:
        """The manifest of a bounce, completed. The separation's ``fingerprint`` goes under keys that begin with "separation."."""
        added = {f"separation.{key}": value for key, value in fingerprint.items()}
        return replace(
            self,
            stems=stems,
            processing=self.processing + processing,
            fingerprint={**self.fingerprint, **added},
        )
