"""Briefs: which fields are refused, and how open values are decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from render_service.api.requests import read_brief
from render_service.brief import Brief, Source, resolve
from render_service.music.key import Key, KeyFormatError, Mode
from render_service.music.prompt_words import read_prompt
from render_service.music.tempo_map import TempoMap, TempoPoint
from servicekit.errors import InvalidFields
from sonichaos.jobs.v1 import brief_pb2

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(**fields: object) -> Brief:
    """The brief of a message with these fields."""
    message = brief_pb2.Brief(**({"prompt": "a tune", "persona_id": "neon-drift"} | fields))  # type: ignore[arg-type]
    return read_brief(message, now=NOW)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"prompt": ""}, "brief.prompt"),
        ({"prompt": "  \n"}, "brief.prompt"),
        ({"prompt": "x" * 2001}, "brief.prompt"),
        ({"prompt": "a\x00b"}, "brief.prompt"),
        ({"persona_id": ""}, "brief.persona_id"),
        ({"seconds": 1.9}, "brief.seconds"),
        ({"seconds": 181}, "brief.seconds"),
        ({"seconds": -4}, "brief.seconds"),
        ({"seconds": float("nan")}, "brief.seconds"),
        ({"target_lufs": 0}, "brief.target_lufs"),
        ({"target_lufs": -30.1}, "brief.target_lufs"),
        ({"target_lufs": float("nan")}, "brief.target_lufs"),
        ({"bpm": 20}, "brief.bpm"),
        ({"bpm": 301}, "brief.bpm"),
        ({"key": "H minor"}, "brief.key"),
        ({"key": "A phrygian"}, "brief.key"),
        ({"tempo_map": brief_pb2.TempoMap()}, "brief.tempo_map.points"),
        ({"tempo_map": brief_pb2.TempoMap(points=[brief_pb2.TempoPoint(bpm=5)])}, "brief.tempo_map.points[0].bpm"),
        ({"labels": {"": "x"}}, "brief.labels"),
        ({"labels": {"a\n": "x"}}, "brief.labels"),
        ({"labels": {"a": "x" * 257}}, "brief.labels[a]"),
        ({"labels": {"a": "x\x00y"}}, "brief.labels[a]"),
        ({"licence": brief_pb2.Licence(terms="x\x00y")}, "brief.licence.terms"),
        (
            {"tempo_map": brief_pb2.TempoMap(points=[brief_pb2.TempoPoint(bpm=90)], swing_ratio=0.9)},
            "brief.tempo_map.swing_ratio",
        ),
        (
            {"tempo_map": brief_pb2.TempoMap(points=[brief_pb2.TempoPoint(bpm=90)], first_downbeat_seconds=99)},
            "brief.tempo_map.first_downbeat_seconds",
        ),
        ({"labels": {f"k{i}": "" for i in range(33)}}, "brief.labels"),
        ({"stem_mode": 9}, "brief.stem_mode"),
        ({"licence": brief_pb2.Licence(tier="x" * 65)}, "brief.licence.tier"),
        ({"expire_time": NOW - timedelta(seconds=1)}, "brief.expire_time"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, object], path: str) -> None:
    """Each wrong field comes back under its path."""
    with pytest.raises(InvalidFields) as error:
        read(**fields)
    assert [v.field for v in error.value.violations] == [path]


def test_all_wrong_fields_are_named_at_once() -> None:
    """A caller can correct all fields at once."""
    with pytest.raises(InvalidFields) as error:
        read(prompt="", seconds=1000, key="Q")
    assert {v.field for v in error.value.violations} == {"brief.prompt", "brief.seconds", "brief.key"}


def test_explicit_wins_over_prompt_wins_over_draw() -> None:
    """A tempo field of 120 wins over 90 bpm in the prompt, which wins over a draw."""
    words = "slow ballad at 90 bpm in F# minor"
    asked = resolve(read(prompt=words, bpm=120, key="C major", seed=1))
    assert (asked.tempo_map, asked.tempo_source) == (TempoMap.constant(120), Source.CALLER)
    assert (asked.key, asked.key_source) == (Key(tonic=0, mode=Mode.MAJOR), Source.CALLER)
    said = resolve(read(prompt=words, seed=1))
    assert (said.tempo_map, said.tempo_source) == (TempoMap.constant(90), Source.PROMPT)
    assert (str(said.key), said.key_source) == ("F# minor", Source.PROMPT)
    drawn = resolve(read(prompt="a tune", seed=1))
    assert drawn.tempo_source is Source.DRAWN
    assert drawn.key_source is Source.DRAWN


def test_a_loudness_target_has_a_default() -> None:
    """-16 LUFS, unless the caller gives one."""
    assert (read().target_lufs, read(target_lufs=-9).target_lufs) == (-16.0, -9.0)


@pytest.mark.parametrize(
    ("seconds", "tempo", "loop_s"),
    [
        (9.9, TempoMap.constant(120), 8.0),
        (8.0, TempoMap.constant(120), 8.0),
        (2.727, TempoMap.constant(88), 2.727273),
        (10.0, TempoMap.constant(90, beats_per_bar=3), 10.0),
        (
            11.0,
            TempoMap(points=(TempoPoint(start_s=0.0, bpm=120), TempoPoint(start_s=4.0, bpm=90, beats_per_bar=3))),
            10.0,
        ),
    ],
)
def test_a_loop_is_cut_to_whole_bars(seconds: float, tempo: TempoMap, loop_s: float) -> None:
    """The last bar line within the asked length, a millisecond after it included; the job shows the loop's length."""
    resolved = resolve(Brief(prompt="a tune", persona_id="neon-drift", seconds=seconds, tempo_map=tempo, loop=True))
    assert resolved.seconds == pytest.approx(loop_s, abs=1e-6)
    assert resolved.json()["seconds"] == resolved.seconds
    assert resolve(Brief(prompt="a tune", persona_id="neon-drift", seconds=seconds)).seconds == seconds


def test_a_loop_needs_room_for_a_bar_and_a_downbeat_at_its_start() -> None:
    """What is wrong is named."""
    with pytest.raises(InvalidFields, match="room for one bar") as short:
        resolve(read(loop=True, bpm=40, seconds=5))
    late = TempoMap(points=TempoMap.constant(120).points, first_downbeat_s=0.5)
    with pytest.raises(InvalidFields, match=r"downbeat is at 0 s, got 0\.5 s") as pickup:
        resolve(Brief(prompt="a tune", persona_id="neon-drift", tempo_map=late, loop=True))
    assert [error.value.violations[0].field for error in (short, pickup)] == ["brief.seconds", "brief.loop"]


def test_a_seed_decides_every_draw_and_streams_are_independent() -> None:
    """The same seed draws the same values; setting the tempo does not change the key."""
    once, again = resolve(read(seed=7)), resolve(read(seed=7))
    assert (once.tempo_map, once.key) == (again.tempo_map, again.key)
    assert resolve(read(seed=7, bpm=100)).key == once.key
    others = {(resolve(read(seed=s)).tempo_map, resolve(read(seed=s)).key) for s in range(20)}
    assert len(others) > 15


def test_a_missing_seed_is_drawn() -> None:
    """Takes of one brief without a seed get different seeds, recorded as drawn."""
    seeds = {resolve(read()).seed for _ in range(5)}
    assert len(seeds) == 5
    assert resolve(read()).seed_source is Source.DRAWN


@pytest.mark.parametrize(
    ("prompt", "low", "high"),
    [
        ("slow piano", 62, 84),
        ("a mid-tempo groove", 88, 110),
        ("upbeat brass", 114, 134),
        ("very fast synths", 138, 170),
    ],
)
def test_tempo_words_mean_a_range(prompt: str, low: float, high: float) -> None:
    """The tempo is drawn from the range of the words."""
    assert read_prompt(prompt).bpm_range == (low, high)
    for seed in range(10):
        assert low <= resolve(read(prompt=prompt, seed=seed)).tempo_map.points[0].bpm <= high


@pytest.mark.parametrize(
    ("prompt", "quote"),
    [
        ("a Down-Tempo ballad", "Down-Tempo"),
        ("93.5  BPM, fast", "93.5  BPM"),
        ("999 bpm, fast and racing", "fast"),
        ("999 bpm", ""),
        ("a song in A minor", ""),
    ],
)
def test_the_words_that_say_the_tempo_are_quoted(prompt: str, quote: str) -> None:
    """A number wins over words; a number out of range says nothing."""
    assert read_prompt(prompt).tempo_quote == quote


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("a sad song in a minor key", None),
        ("something in a major mood", None),
        ("a waltz in a minor", "A minor"),
        ("in A minor key", "A minor"),
        ("in b minor key", "B minor"),
    ],
)
def test_an_article_is_not_a_tonic(prompt: str, key: str | None) -> None:
    """The "a" of "in a minor key" does not name a key."""
    found = read_prompt(prompt).key
    assert (None if found is None else str(found)) == key


@pytest.mark.parametrize("prompt", ["an instrumental", "piano, no vocals", "strings without singing"])
def test_a_prompt_can_ask_for_no_voice(prompt: str) -> None:
    """Common phrases for music without a voice are recognised."""
    assert resolve(read(prompt=prompt)).instrumental


@pytest.mark.parametrize(
    ("text", "tonic", "mode"),
    [
        ("A minor", 9, Mode.MINOR),
        ("f#m", 6, Mode.MINOR),
        ("Bb", 10, Mode.MAJOR),
        ("E♭ major", 3, Mode.MAJOR),
        ("Cb", 11, Mode.MAJOR),
    ],
)
def test_keys_are_read_as_musicians_write_them(text: str, tonic: int, mode: Mode) -> None:
    """Sharps, flats, short and long modes."""
    assert Key.parse(text) == Key(tonic=tonic, mode=mode)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Eb major", "Eb major"),
        ("D# major", "D# major"),
        ("gb", "Gb major"),
        ("A♭ minor", "Ab minor"),
        (Key(tonic=3, mode=Mode.MAJOR), "Eb major"),
        (Key(tonic=6, mode=Mode.MINOR), "F# minor"),
        (Key(tonic=1, mode=Mode.MAJOR), "Db major"),
        (Key(tonic=1, mode=Mode.MINOR), "C# minor"),
    ],
)
def test_a_key_is_spelled_as_the_caller_or_else_as_musicians_spell_it(given: str | Key, shown: str) -> None:
    """The caller's spelling is kept; a drawn key gets its usual name."""
    assert str(Key.parse(given) if isinstance(given, str) else given) == shown


def test_the_resolved_brief_keeps_the_spelling_of_caller_and_prompt() -> None:
    """As the job shows it."""
    assert resolve(read(key="Eb major")).json()["key"] == "Eb major"
    assert resolve(read(prompt="a waltz in A flat minor")).json()["key"] == "Ab minor"


def test_a_key_reads_back_what_it_writes() -> None:
    """For all 24 keys."""
    for tonic in range(12):
        for mode in Mode:
            key = Key(tonic=tonic, mode=mode)
            assert Key.parse(str(key)) == key


def test_a_malformed_key_is_refused() -> None:
    """The error shows the expected form."""
    with pytest.raises(KeyFormatError, match="A minor"):
        Key.parse("loud")
