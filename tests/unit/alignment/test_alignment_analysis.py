"""Tempo map and key of audio that comes without them."""

from __future__ import annotations

import numpy as np
import pytest

from separation_service.alignment import Hints, analyze
from separation_service.alignment.beats import straighten
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from tests.support.corpus_takes import STRAIGHT, needs_soundfont, pair


@needs_soundfont
def test_a_song_tells_its_tempo_its_beats_and_its_key() -> None:
    """Of a song at 118 bpm in F minor: the tempo within 2 %, beats within 70 ms, the key's seven notes."""
    take = pair("straight")
    found = analyze(take.original.mix)
    (span,) = found.tempo
    assert span.bpm == pytest.approx(118.0, rel=0.02)
    assert span.start_s == 0.0
    beat_s = 60.0 / span.bpm
    assert abs((found.first_downbeat_s + 0.5 * beat_s) % beat_s - 0.5 * beat_s) < 0.07
    assert found.key is not None
    assert sorted(found.key.scale) == sorted(take.key.scale)
    assert 0.3 < found.tempo_confidence <= 1.0
    assert 0.0 <= found.key_confidence <= 1.0
    assert found.swing == STRAIGHT.swing


@needs_soundfont
def test_the_caller_corrects_octave_and_metre() -> None:
    """A range of bpm moves the tempo an octave down, and the metre is what is said."""
    found = analyze(pair("straight").original.mix, Hints(bpm_range=(50.0, 70.0), beats_per_bar=3))
    assert found.tempo[0].bpm == pytest.approx(59.0, rel=0.02)
    assert found.tempo[0].beats_per_bar == 3


def test_silence_and_a_drone_have_no_tempo() -> None:
    """No beat is made up; a drone still has pitch classes."""
    at_s = np.arange(8 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    drone = 0.2 * np.sin(2.0 * np.pi * 220.0 * at_s) * np.sin(np.pi * at_s / at_s[-1])
    for sound, has_key in ((np.zeros_like(drone), False), (drone, True)):
        found = analyze(np.stack([sound, sound]).astype(np.float32))
        assert found.tempo == ()
        assert (found.tempo_confidence, found.other_bpm) == (0.0, None)
        assert (found.key is not None) == has_key


def test_a_change_of_tempo_begins_a_stretch_and_a_stray_beat_does_not() -> None:
    """Forty beats at 120, then forty at 96; one of them 60 ms late, one left over at the end."""
    beats = np.concatenate([0.5 * np.arange(40), 20.0 + 0.625 * np.arange(40)])
    beats[12] += 0.06
    first, second = straighten(np.append(beats, beats[-1] + 0.4))
    assert 60.0 / first.period_s == pytest.approx(120.0, abs=0.1)
    assert 60.0 / second.period_s == pytest.approx(96.0, abs=0.1)
    assert abs(second.start - 40) <= 1
