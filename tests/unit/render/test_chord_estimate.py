"""The chords of a given score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from render_service.composer.chord_estimate import estimate_chords, estimate_score_key
from render_service.composer.score import Note, Part, Score
from render_service.composer.style import Instrumentation
from render_service.music.harmony import chord_index_at, draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from tests.support.scores import composed_score

GRID = TempoMap.constant(120.0)
KEY = Key.parse("D major")
EMPTY = Score(instrumentation=(Instrumentation.PIANO,), sections=(), notes=(), sung=())


def chord(start_s: float, *pitches: int, bass: int) -> list[Note]:
    """A second of chords over a bass note."""
    parts = [(Part.CHORDS, pitch) for pitch in pitches] + [(Part.BASS, bass)]
    return [Note(part=part, start_s=start_s, end_s=start_s + 1.0, pitch=p, velocity=0.7) for part, p in parts]


def test_each_half_bar_has_the_chord_that_sounds() -> None:
    """Equal neighbours are one chord; silence keeps the chord before it; an inversion has its bass."""
    notes = [*chord(0.0, 57, 60, 64, bass=33), *chord(1.0, 57, 60, 64, bass=33), *chord(2.0, 60, 64, 67, bass=40)]
    spans = estimate_chords(replace(EMPTY, notes=tuple(notes)), tempo_map=GRID, seconds=6.0, key=KEY)
    assert [f"{span.start_s:g}-{span.end_s:g} {span}" for span in spans] == ["0-2 A:min", "2-6 C:maj/E"]


def test_a_score_without_pitches_has_the_tonic() -> None:
    """Drums alone have no key."""
    drums = replace(EMPTY, notes=(Note(part=Part.KIT, start_s=0.0, end_s=1.0, pitch=36, velocity=0.7),))
    (span,) = estimate_chords(drums, tempo_map=GRID, seconds=6.0, key=KEY)
    assert (span.start_s, span.end_s, span.root) == (0.0, 6.0, KEY.tonic)
    assert estimate_score_key(drums, tempo_map=GRID, seconds=6.0) is None


@pytest.mark.parametrize("key", ["D major", "F minor"])
def test_composed_takes_have_the_chords_and_the_key_that_they_were_composed_from(key: str) -> None:
    """At least four fifths of the time the same root, over eight takes; the key, or its relative, in at least six."""
    roots, keys = [], 0
    for seed in range(8):
        tonality, grid = Key.parse(key), TempoMap.constant(100.0)
        score = composed_score(seed, seconds=30.0, tempo_map=grid, key=key)
        found = estimate_chords(score, tempo_map=grid, seconds=30.0, key=tonality)
        asked = draw_chords(
            np.random.default_rng(seed), key=tonality, tempo_map=grid, seconds=30.0, ending_s=score.ending_s
        )
        times = np.arange(0.3, 30.0, 0.6)
        pairs = zip(chord_index_at(found, times), chord_index_at(asked, times), strict=True)
        roots += [found[i].root == asked[j].root for i, j in pairs]
        estimate = estimate_score_key(score, tempo_map=grid, seconds=30.0)
        assert estimate is not None
        keys += set(estimate.scale) == set(tonality.scale)
    assert np.mean(roots) >= 0.8
    assert keys >= 6
