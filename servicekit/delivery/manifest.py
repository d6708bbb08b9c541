"""The manifest of one version as a value. manifest_json.py writes and reads its text.

Its fields are described in protos/sonichaos/manifest/v1/manifest.schema.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import PlainSerializer

from servicekit.audio.bext import WavFacts
from servicekit.audio.loudness import Loudness
from servicekit.audio.wav import WavFile
from servicekit.delivery.keys import VersionKeys
from servicekit.delivery.names import STEMS, LicenceCoverage, StemMode, WavName
from servicekit.json_codec import CAMEL_CASE


def utc_seconds(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, such as ``2026-03-04T05:06:07Z``."""
    return (
        moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    )  # strftime's %Y may be one digit


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One WAV: its name in the ZIP's folder, the SHA-256 of its bytes, and its `Loudness`."""

    __pydantic_config__ = CAMEL_CASE

    file: str
    sha256: str
    lufs: float | None
    true_peak_dbtp: float | None

    @classmethod
    def of(cls, wav: WavFile) -> FileFacts:
        """The facts of a WAV. Reads it once for its digest, if nothing has read it before."""
        return replace(cls.draft(wav.facts.name, wav.facts.loudness), sha256=wav.digest.sha256)

    @classmethod
    def draft(cls, name: WavName, loudness: Loudness) -> FileFacts:
        """The facts before the WAV exists, without a digest: the WAV's own header is made from the manifest."""
        return cls(file=f"{name}.wav", sha256="", lufs=loudness.lufs, true_peak_dbtp=loudness.true_peak_dbtp)

    @property
    def loudness(self) -> Loudness:
        """Both measures together."""
        return Loudness(self.lufs, self.true_peak_dbtp)


@dataclass(frozen=True, kw_only=True)
class PersonaFacts:
    """``embedding_sha256`` is of the embedding as float32, little endian."""

    __pydantic_config__ = CAMEL_CASE

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

    __pydantic_config__ = CAMEL_CASE

    name: str
    weights_sha256: str


@dataclass(frozen=True, kw_only=True)
class StemsFacts:
    """The four stems, in the order of :data:`STEMS`, and how they were made.

    ``residual_rule`` is None in raw mode, ``residual_dbfs`` None for digital zero.
    """

    __pydantic_config__ = CAMEL_CASE

    mode: StemMode
    separator: SeparatorFacts
    files: tuple[FileFacts, ...]
    residual_rule: str | None
    residual_dbfs: float | None
    excess_samples: int

    def __post_init__(self) -> None:
        names = tuple(file.file for file in self.files)
        if names != tuple(f"{stem}.wav" for stem in STEMS):
            raise ValueError(f"files must be {', '.join(STEMS)} in this order, got {', '.join(names)}")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One version. ``created_at`` is when it was accepted, with a time zone; whole seconds are kept.

    ``tempo_map`` and ``rerender`` are JSON as in the schema. ``origin``, ``tempo_map`` and ``key`` are None for an upload,
    ``stems`` for a version without stems, ``rerender`` for version 1.
    """

    __pydantic_config__ = CAMEL_CASE

    job_id: str
    version: int
    created_at: Annotated[datetime, PlainSerializer(utc_seconds)]
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
        """Keys of the version's files in the store."""
        return VersionKeys(self.job_id, self.version)

    def wav_facts(self, name: WavName, loudness: Loudness) -> WavFacts:
        """The facts in a WAV's own header. Both services take them from the manifest and so write the same bytes."""
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
        """The manifest of a bounce, completed. The keys of the separation's ``fingerprint`` get the prefix "separation."."""
        added = {f"separation.{key}": value for key, value in fingerprint.items()}
        return replace(
            self,
            stems=stems,
            processing=self.processing + processing,
            fingerprint={**self.fingerprint, **added},
        )
