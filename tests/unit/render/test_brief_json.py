"""The JSON of a resolved brief, as the journal keeps it."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf import json_format

from render_service.brief import Brief, resolve
from render_service.composer.given import GivenChords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap, TempoPoint
from servicekit.delivery.manifest import Licence
from servicekit.delivery.names import LicenceCoverage, StemMode
from sonichaos.jobs.v1 import brief_pb2

PLAIN = Brief(prompt="a tune", persona_id="neon-drift", seed=0)
FULL = Brief(
    prompt="a tune\u00e9",
    persona_id="neon-drift",
    seed=4_294_967_295,
    seconds=12.5,
    tempo_map=TempoMap(
        points=(TempoPoint(start_s=0.0, bpm=90.5), TempoPoint(start_s=4.25, bpm=120.0, beats_per_bar=6, beat_unit=8)),
        swing=0.6,
    ),
    key=Key.parse("Eb major"),
    instrumental=True,
    stems=True,
    stem_mode=StemMode.RAW,
    labels={"album": "one", "empty": ""},
    licence=Licence(tier="sync", licensee="A", terms="B", covers=LicenceCoverage.BOUNCE),
    expires_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    loop=True,
    target_lufs=-14.5,
    score=GivenChords.read("Ebm Bb7"),
)


def test_every_field_has_its_value() -> None:
    """Each field of the message that a take has, with the value of the brief."""
    message = json_format.ParseDict(resolve(FULL).json(), brief_pb2.ResolvedBrief())
    every = set(brief_pb2.ResolvedBrief.DESCRIPTOR.fields_by_name)
    assert {field.name for field, _ in message.ListFields()} == every - {"file_name"}  # only of uploads
    assert [(p.start_seconds, p.bpm, p.beats_per_bar, p.beat_unit) for p in message.tempo_map.points] == [
        (0.0, 90.5, 4, 4),
        (4.25, 120.0, 6, 8),
    ]
    assert message.tempo_map.swing_ratio == 0.6
    assert (message.key, message.stem_mode) == ("Eb major", brief_pb2.STEM_MODE_RAW)
    assert message.score == brief_pb2.ResolvedScore(chords="Ebm Bb7")
    assert message.licence.covers == brief_pb2.LICENCE_COVERAGE_BOUNCE
    assert message.expire_time.ToDatetime(tzinfo=UTC) == FULL.expires_at


def test_a_seed_of_zero_is_set() -> None:
    """The message tells it from a seed that is not set."""
    assert json_format.ParseDict(resolve(PLAIN).json(), brief_pb2.ResolvedBrief()).HasField("seed")
