"""The proto-JSON of the journal: what is written reads back, and earlier releases wrote the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from google.protobuf import json_format

from jobs_service.journal_json import (
    ResolvedBrief,
    VersionFiles,
    labels_and_licence,
    loudness_json,
    tempo_and_key_json,
)
from servicekit.audio.loudness import Loudness
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import LicenceCoverage, StemMode
from sonichaos.jobs.v1 import brief_pb2

BOUNCE = StoredFile(key="jobs/j-1/bounce.wav", sha256="0" * 64, size_bytes=44)
ZIP = StoredFile(key="jobs/j-1/v1.zip", sha256="1" * 64, size_bytes=1 << 40)


@dataclass(frozen=True)
class Point:
    """Four quarters a bar."""

    start_s: float
    bpm: float
    beats_per_bar: int = 4
    beat_unit: int = 4


@dataclass(frozen=True)
class Map:
    """One tempo, then another."""

    points: tuple[Point, ...] = (Point(0.0, 90.0), Point(4.5, 120.0))
    first_downbeat_s: float = 0.25
    swing: float = 0.5


@pytest.mark.parametrize(
    "files",
    [
        VersionFiles(),
        VersionFiles(bounce=BOUNCE, manifest=BOUNCE, latents=BOUNCE),
        VersionFiles(
            zip=ZIP,
            zip_entries=(ZipEntry(name="drums.wav", offset_bytes=57, size_bytes=1 << 33, sha256="2" * 64),),
            manifest=BOUNCE,
        ),
    ],
)
def test_files_read_back(files: VersionFiles) -> None:
    """Those that are set, of any size, and no others."""
    assert VersionFiles.read(files.json()) == files


def test_files_are_written_as_their_message() -> None:
    """64-bit numbers are strings, as in every proto-JSON; what is not set is left out."""
    entry = {"name": "drums.wav", "offsetBytes": "57", "sizeBytes": "9", "sha256": "2" * 64}
    files = VersionFiles(
        bounce=BOUNCE, zip_entries=(ZipEntry(name="drums.wav", offset_bytes=57, size_bytes=9, sha256="2" * 64),)
    )
    assert files.json() == {
        "bounce": {"key": "jobs/j-1/bounce.wav", "sizeBytes": "44", "sha256": "0" * 64},
        "zipEntries": [entry],
    }


def test_a_field_of_a_later_release_is_ignored() -> None:
    """A journal may be read by the release before."""
    assert VersionFiles.read({**VersionFiles(bounce=BOUNCE).json(), "score": {"key": "x"}}) == VersionFiles(
        bounce=BOUNCE
    )


def test_silence_has_no_loudness() -> None:
    """Not set, and not 0."""
    assert loudness_json(Loudness(lufs=None, true_peak_dbtp=None)) == {}
    assert loudness_json(Loudness(lufs=-14.5, true_peak_dbtp=0.0)) == {"lufs": -14.5, "truePeakDbtp": 0.0}


def test_a_brief_is_written_as_its_message() -> None:
    """Every field of ResolvedBrief has its value; a seed of 0 is a seed."""
    licence = Licence(tier="sync", licensee="me", terms="t", covers=LicenceCoverage.BOUNCE)
    written = ResolvedBrief(
        prompt="a tune",
        persona_id="nova",
        seed=0,
        seconds=8.0,
        tempo_map=Map(),
        key="Eb major",
        instrumental=True,
        stems=True,
        stem_mode=StemMode.RAW,
        labels={"album": "one"},
        licence=licence,
        expire_time=datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC),
        tempo_source="caller",
        key_source="prompt",
        seed_source="drawn",
        loop=True,
        target_lufs=-14.5,
        score_chords="Am F",
        file_name="mix.wav",
    ).json()
    message = json_format.ParseDict(written, brief_pb2.ResolvedBrief())
    assert {descriptor.name for descriptor, _ in message.ListFields()} == {
        descriptor.name for descriptor in brief_pb2.ResolvedBrief.DESCRIPTOR.fields
    }
    assert message.HasField("seed")
    assert message.score == brief_pb2.ResolvedScore(chords="Am F")
    assert [(point.start_seconds, point.bpm) for point in message.tempo_map.points] == [(0.0, 90.0), (4.5, 120.0)]
    assert written["expireTime"] == "2026-01-02T03:04:05.600Z"
    assert labels_and_licence(written) == ({"album": "one"}, licence)


def test_an_upload_has_few_fields() -> None:
    """No seed, tempo or key is written for it, and they can be added later."""
    upload = ResolvedBrief(seconds=8.0, stems=True, stem_mode=StemMode.EXACT).json()
    assert upload == {
        "seconds": 8.0,
        "stems": True,
        "stemMode": "STEM_MODE_EXACT",
        "licence": {"covers": "LICENCE_COVERAGE_BOUNCE_AND_STEMS"},
    }
    added = tempo_and_key_json(Map(), "A minor", source="caller")
    assert added.keys() == {"tempoMap", "key", "tempoSource", "keySource"}
