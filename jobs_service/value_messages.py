"""The values that both services share as messages of ``sonichaos.jobs.v1``, and back.

Readers of an enum return None for a number that names none of its values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.audio.loudness import Loudness
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import STEMS, LicenceCoverage, StemMode, StemName
from servicekit.errors import FieldViolation
from servicekit.journal import Stage
from sonichaos.jobs.v1 import brief_pb2, job_pb2

_STEMS = {brief_pb2.Stem.Value(f"STEM_{stem.name}"): stem for stem in STEMS}
_STEM_MODES = {brief_pb2.StemMode.Value(f"STEM_MODE_{mode.name}"): mode for mode in StemMode}
_COVERAGE = {brief_pb2.LicenceCoverage.Value(f"LICENCE_COVERAGE_{covers.name}"): covers for covers in LicenceCoverage}
_STAGES = {job_pb2.Stage.Value(f"STAGE_{stage.name}"): stage for stage in Stage}


def stem_message(stem: StemName) -> brief_pb2.Stem.ValueType:
    """A stem."""
    return brief_pb2.Stem.Value(f"STEM_{stem.name}")


def read_stem(value: brief_pb2.Stem.ValueType) -> StemName | None:
    """A stem; None also where it is unspecified."""
    return _STEMS.get(value)


def stem_mode_message(mode: StemMode) -> brief_pb2.StemMode.ValueType:
    """A stem mode."""
    return brief_pb2.StemMode.Value(f"STEM_MODE_{mode.name}")


def read_stem_mode(value: brief_pb2.StemMode.ValueType) -> StemMode | None:
    """A stem mode; None also where it is unspecified."""
    return _STEM_MODES.get(value)


def read_requested_stem_mode(
    value: brief_pb2.StemMode.ValueType, violations: list[FieldViolation], *, field: str
) -> StemMode:
    """The stem mode that a caller asks for; exact where it is unspecified, or unknown, which ``violations`` then has."""
    mode = read_stem_mode(value)
    if mode is None and value != brief_pb2.STEM_MODE_UNSPECIFIED:
        names = " or ".join(f"STEM_MODE_{known.name}" for known in StemMode)
        violations.append(FieldViolation(field, f"must be {names}, got {value}"))
    return mode or StemMode.EXACT


def licence_message(licence: Licence) -> brief_pb2.Licence:
    """Terms of use."""
    covers = brief_pb2.LicenceCoverage.Value(f"LICENCE_COVERAGE_{licence.covers.name}")
    return brief_pb2.Licence(tier=licence.tier, licensee=licence.licensee, terms=licence.terms, covers=covers)


def read_licence(message: brief_pb2.Licence, violations: list[FieldViolation], *, field: str) -> Licence:
    """Terms of use. An unknown coverage goes to ``violations`` and is read as an unspecified one: bounce and stems."""
    covers = _COVERAGE.get(message.covers)
    if covers is None and message.covers != brief_pb2.LICENCE_COVERAGE_UNSPECIFIED:
        names = " or ".join(f"LICENCE_COVERAGE_{known.name}" for known in LicenceCoverage)
        violations.append(FieldViolation(f"{field}.covers", f"must be {names}, got {message.covers}"))
    return Licence(
        tier=message.tier,
        licensee=message.licensee,
        terms=message.terms,
        covers=covers or LicenceCoverage.BOUNCE_AND_STEMS,
    )


def stored_file_message(file: StoredFile) -> job_pb2.StoredFile:
    """A stored file."""
    return job_pb2.StoredFile(key=file.key, size_bytes=file.size_bytes, sha256=file.sha256)


def read_stored_file(message: job_pb2.StoredFile) -> StoredFile:
    """A stored file."""
    return StoredFile(key=message.key, size_bytes=message.size_bytes, sha256=message.sha256)


def zip_entry_messages(entries: Iterable[ZipEntry]) -> list[job_pb2.ZipEntry]:
    """The files in a ZIP."""
    return [
        job_pb2.ZipEntry(
            name=entry.name, offset_bytes=entry.offset_bytes, size_bytes=entry.size_bytes, sha256=entry.sha256
        )
        for entry in entries
    ]


def read_zip_entries(messages: Iterable[job_pb2.ZipEntry]) -> tuple[ZipEntry, ...]:
    """The files in a ZIP."""
    return tuple(
        ZipEntry(
            name=message.name,
            offset_bytes=message.offset_bytes,
            size_bytes=message.size_bytes,
            sha256=message.sha256,
        )
        for message in messages
    )


def loudness_message(loudness: Loudness) -> job_pb2.Loudness:
    """Loudness; what silence lacks stays unset."""
    return job_pb2.Loudness(lufs=loudness.lufs, true_peak_dbtp=loudness.true_peak_dbtp)


def read_loudness(message: job_pb2.Loudness) -> Loudness:
    """Loudness; None for what is not set."""
    return Loudness(
        lufs=message.lufs if message.HasField("lufs") else None,
        true_peak_dbtp=message.true_peak_dbtp if message.HasField("true_peak_dbtp") else None,
    )


def stage_message(stage: Stage) -> job_pb2.Stage.ValueType:
    """A stage."""
    return job_pb2.Stage.Value(f"STAGE_{stage.name}")


def read_stage(value: job_pb2.Stage.ValueType) -> Stage | None:
    """A stage; None also where it is unspecified."""
    return _STAGES.get(value)


def stage_timing_message(stage: Stage, seconds: float, *, attempt: int) -> job_pb2.StageTiming:
    """How many seconds a stage took."""
    message = job_pb2.StageTiming(stage=stage_message(stage), attempt=attempt)
    message.duration.FromMicroseconds(round(seconds * 1e6))
    return message


class TempoPoint(Protocol):
    """Tempo and metre from a moment on."""

    @property
    def start_s(self) -> float:
        """Seconds from the first sample."""

    @property
    def bpm(self) -> float:
        """Beats per minute."""

    @property
    def beats_per_bar(self) -> int:
        """Beats per bar."""

    @property
    def beat_unit(self) -> int:
        """Note value of a beat: 4 is a quarter note."""


def tempo_map_message(
    points: Sequence[TempoPoint], *, first_downbeat_s: float, swing_ratio: float
) -> brief_pb2.TempoMap:
    """A tempo map."""
    messages = [
        brief_pb2.TempoPoint(
            start_seconds=point.start_s,
            bpm=point.bpm,
            beats_per_bar=point.beats_per_bar,
            beat_unit=point.beat_unit,
        )
        for point in points
    ]
    return brief_pb2.TempoMap(points=messages, first_downbeat_seconds=first_downbeat_s, swing_ratio=swing_ratio)


def timestamp(moment: datetime) -> Timestamp:
    """An aware time as protobuf has it."""
    message = Timestamp()
    message.FromDatetime(moment)
    return message


def read_time(message: Timestamp) -> datetime | None:
    """The time in UTC; None for one that lies outside the years 1 to 9999 or has malformed nanoseconds."""
    if not (0 <= message.nanos < 1_000_000_000 and -62_135_596_800 <= message.seconds <= 253_402_300_799):
        return None
    return message.ToDatetime(tzinfo=UTC)
