"""The proto-JSON that the journal keeps for each version, written from the services' values and read back as them.

Fields of a later release are ignored when reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from jobs_service.value_messages import (
    TempoPoint,
    licence_message,
    loudness_message,
    read_licence,
    read_stored_file,
    read_zip_entries,
    stem_mode_message,
    stored_file_message,
    tempo_map_message,
    timestamp,
    zip_entry_messages,
)
from servicekit.audio.loudness import Loudness
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import StemMode
from servicekit.errors import FieldViolation
from sonichaos.jobs.v1 import brief_pb2, job_pb2

Json = Mapping[str, Any]
M = TypeVar("M", bound=Message)


def parsed(value: Json, message: M) -> M:
    """Fill ``message`` with what the journal has for it."""
    return json_format.ParseDict(dict(value), message, ignore_unknown_fields=True)


@dataclass(frozen=True, kw_only=True)
class VersionFiles:
    """The files that a version has stored."""

    bounce: StoredFile | None = None
    manifest: StoredFile | None = None
    zip: StoredFile | None = None
    zip_entries: tuple[ZipEntry, ...] = ()
    latents: StoredFile | None = None
    midi: StoredFile | None = None

    def json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        message = job_pb2.VersionFiles(
            bounce=_optional_file(self.bounce),
            manifest=_optional_file(self.manifest),
            zip=_optional_file(self.zip),
            zip_entries=zip_entry_messages(self.zip_entries),
            latents=_optional_file(self.latents),
            midi=_optional_file(self.midi),
        )
        return json_format.MessageToDict(message)

    @classmethod
    def read(cls, value: Json) -> VersionFiles:
        """The inverse of :meth:`json`."""
        message = parsed(value, job_pb2.VersionFiles())
        present = {descriptor.name for descriptor, _ in message.ListFields()}
        return cls(
            bounce=read_stored_file(message.bounce) if "bounce" in present else None,
            manifest=read_stored_file(message.manifest) if "manifest" in present else None,
            zip=read_stored_file(message.zip) if "zip" in present else None,
            zip_entries=read_zip_entries(message.zip_entries),
            latents=read_stored_file(message.latents) if "latents" in present else None,
            midi=read_stored_file(message.midi) if "midi" in present else None,
        )


def _optional_file(file: StoredFile | None) -> job_pb2.StoredFile | None:
    return None if file is None else stored_file_message(file)


def loudness_json(loudness: Loudness) -> dict[str, Any]:
    """Loudness of a version's bounce."""
    return json_format.MessageToDict(loudness_message(loudness))


class TempoMap(Protocol):
    """Tempo and metre over time."""

    @property
    def points(self) -> Sequence[TempoPoint]:
        """In order, the first at 0 s."""

    @property
    def first_downbeat_s(self) -> float:
        """Seconds from the first sample to the first bar."""

    @property
    def swing(self) -> float:
        """Share of a beat taken by its first eighth note."""


@dataclass(frozen=True, kw_only=True)
class ResolvedBrief:
    """A brief with every value decided. An upload has neither prompt, persona, seed, tempo map nor key.

    ``score_midi_sha256`` or ``score_chords`` is set if the caller gave a score, ``file_name`` for an upload that has one.
    """

    seconds: float
    stems: bool
    stem_mode: StemMode
    prompt: str = ""
    persona_id: str = ""
    seed: int | None = None
    tempo_map: TempoMap | None = None
    key: str = ""
    instrumental: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    licence: Licence = field(default_factory=Licence)
    expire_time: datetime | None = None
    tempo_source: str = ""
    key_source: str = ""
    seed_source: str = ""
    loop: bool = False
    target_lufs: float | None = None
    score_midi_sha256: str = ""
    score_chords: str = ""
    file_name: str = ""

    def json(self) -> dict[str, Any]:
        """As the journal keeps it."""
        message = brief_pb2.ResolvedBrief(
            prompt=self.prompt,
            persona_id=self.persona_id,
            seed=self.seed,
            seconds=self.seconds,
            tempo_map=None if self.tempo_map is None else _tempo_map(self.tempo_map),
            key=self.key,
            instrumental=self.instrumental,
            stems=self.stems,
            stem_mode=stem_mode_message(self.stem_mode),
            labels=self.labels,
            licence=licence_message(self.licence),
            expire_time=None if self.expire_time is None else timestamp(self.expire_time),
            tempo_source=self.tempo_source,
            key_source=self.key_source,
            seed_source=self.seed_source,
            loop=self.loop,
            target_lufs=self.target_lufs,
            score=self._score(),
            file_name=self.file_name,
        )
        return json_format.MessageToDict(message)

    def _score(self) -> brief_pb2.ResolvedScore | None:
        if not self.score_midi_sha256 and not self.score_chords:
            return None
        return brief_pb2.ResolvedScore(midi_sha256=self.score_midi_sha256, chords=self.score_chords)


def tempo_and_key_json(tempo_map: TempoMap, key: str, *, source: str) -> dict[str, Any]:
    """The fields of a brief that an upload lacks until someone supplies them; ``source`` is who did."""
    message = brief_pb2.ResolvedBrief(tempo_map=_tempo_map(tempo_map), key=key, tempo_source=source, key_source=source)
    return json_format.MessageToDict(message)


def labels_and_licence(brief: Json) -> tuple[dict[str, str], Licence]:
    """The caller's labels and terms of use in a brief that the journal keeps."""
    message = parsed(brief, brief_pb2.ResolvedBrief())
    violations: list[FieldViolation] = []  # none: only checked licences are kept
    return dict(message.labels), read_licence(message.licence, violations, field="licence")


def _tempo_map(tempo_map: TempoMap) -> brief_pb2.TempoMap:
    return tempo_map_message(tempo_map.points, first_downbeat_s=tempo_map.first_downbeat_s, swing_ratio=tempo_map.swing)
