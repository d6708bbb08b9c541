"""Chords that a caller writes: symbols, bars, their place in a take, and the key that they are in."""

from __future__ import annotations

from itertools import pairwise

import pytest

from render_service.music.chord_text import ChordTextError, lay_chords, read_chords
from render_service.music.key import Key
from render_service.music.key_estimate import estimate_key
from render_service.music.tempo_map import TempoMap, TempoPoint

A_MINOR = Key.parse("A minor")
GRID = TempoMap.constant(120.0)  # a bar lasts 2 s


def laid(text: str, *, seconds: float = 8.0, grid: TempoMap = GRID, ending_s: float | None = None) -> list[str]:
    """Chords with their starts, as text."""
    spans = lay_chords(read_chords(text), key=A_MINOR, tempo_map=grid, seconds=seconds, ending_s=ending_s)
    assert spans[0].start_s == 0.0
    assert spans[-1].end_s == seconds
    assert all(a.end_s == b.start_s for a, b in pairwise(spans))
    return [f"{span.start_s:g} {span}" for span in spans]


@pytest.mark.parametrize(
    ("symbol", "chord"),
    [
        ("C", "C:maj"),
        ("F#m", "F#:min"),
        ("Bb7", "A#:dom7"),
        ("E♭maj7", "D#:maj7"),
        ("CM7", "C:maj7"),
        ("Dmin7", "D:min7"),
        ("Bdim", "B:dim"),
        ("Gsus4", "G:sus4"),
        ("Am/C", "A:min/C"),
        ("C/Bb", "C:maj/A#"),
    ],
)
def test_symbols_are_read(symbol: str, chord: str) -> None:
    """Root, quality, and a bass note that need not belong to the chord."""
    assert laid(symbol) == [f"{2 * bar} {chord}" for bar in range(4)]


def test_a_progression_is_repeated_to_fill_the_take() -> None:
    """One chord a bar."""
    assert laid("Am F C", seconds=10.0) == ["0 A:min", "2 F:maj", "4 C:maj", "6 A:min", "8 F:maj"]


@pytest.mark.parametrize("text", ["Am,F C", "Am , F C", "| Am F | C |", "Am F | C"])
def test_chords_share_a_bar(text: str) -> None:
    """Joined by commas, or between bar lines."""
    assert laid(text, seconds=4.0) == ["0 A:min", "1 F:maj", "2 C:maj"]


def test_three_chords_in_four_beats_change_on_beats() -> None:
    """The first one lasts longest; where there are more chords than beats, they share the bar equally."""
    assert laid("Am,F,C", seconds=2.0) == ["0 A:min", "1 F:maj", "1.5 C:maj"]
    waltz = TempoMap.constant(60.0, beats_per_bar=1)
    assert laid("Am,F", seconds=1.0, grid=waltz) == ["0 A:min", "0.5 F:maj"]


def test_a_take_ends_on_the_tonic_unless_the_chords_reach_the_end() -> None:
    """The caller's chords win; a repetition is replaced."""
    assert laid("Dm F", ending_s=6.0) == ["0 D:min", "2 F:maj", "4 D:min", "6 A:min"]
    assert laid("Dm F C G", ending_s=6.0) == ["0 D:min", "2 F:maj", "4 C:maj", "6 G:maj"]


def test_a_pickup_holds_the_first_chord() -> None:
    """Bars are those of the tempo map."""
    grid = TempoMap(points=(TempoPoint(start_s=0.0, bpm=120.0),), first_downbeat_s=1.0)
    assert laid("Am F", seconds=5.0, grid=grid) == ["0 A:min", "3 F:maj"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Am H C", "got 'H'"),
        ("Am9", "got 'Am9'"),
        ("a", "got 'a'"),
        ("C/", "got 'C/'"),
        ("A" * 50, "got 'AAAA"),
        (" ", "must have 1 to 256 bars of chords, got none"),
        ("| |", "must have 1 to 256 bars of chords, got none"),
        ("C " * 257, "must have 1 to 256 bars of chords, got 257"),
        ("C,C,C,C,C,C,C,C,C", "at most 8 chords a bar, got 9: C C C"),
        ("C" + " " * 2000, "at most 2000 characters, got 2001"),
    ],
)
def test_what_is_no_chord_is_refused(text: str, message: str) -> None:
    """The message names the symbol."""
    with pytest.raises(ChordTextError, match=message):
        read_chords(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Am F C G", "A minor"),
        ("C G Am F", "C major"),
        ("F#m D A E", "F# minor"),
        ("D A Bm G", "D major"),
        ("Dm7 G7 Cmaj7 Cmaj7", "C major"),
        ("Em Am B7 Em", "E minor"),
        ("Eb", "Eb major"),
    ],
)
def test_the_key_follows_from_the_chords(text: str, key: str) -> None:
    """The scale that has their notes; among relatives, the one that they begin or end on."""
    spans = lay_chords(read_chords(text), key=A_MINOR, tempo_map=GRID, seconds=8.0, ending_s=None)
    assert str(estimate_key(spans)) == key
