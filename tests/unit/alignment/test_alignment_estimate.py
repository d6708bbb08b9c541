"""Onsets, and offset and drift estimated from them, on songs with known events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from separation_service.alignment.estimate import UNKNOWN, estimate
from separation_service.alignment.grid import Grid, nearest
from separation_service.alignment.onsets import find_onsets
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from tests.support.corpus_takes import SECONDS, grid_of, needs_soundfont, pair, spoiled
from training.corpus.compose import HELD_OUT_SEEDS, compose, draw_persona
from training.corpus.song import perform

DISTORTIONS = [
    {"offset_s": 0.02, "drift": 0.003},
    {"offset_s": -0.035, "drift": -0.002},
    {"offset_s": 0.012, "drift": 0.003, "jitter_s": 0.004},
]


def worst_ms(grid: Grid, mix: np.ndarray, offset_s: float, drift: float) -> float:
    """The largest error of the estimated time map over the take."""
    found = estimate(find_onsets(mix), grid)
    assert found.onsets > 0
    at_s = np.linspace(0.0, SECONDS, 49)
    return float(1e3 * np.abs(found.in_mix(at_s) - (at_s + offset_s + drift * at_s)).max())


@needs_soundfont
@pytest.mark.parametrize("name", ["straight", "winding"])
@pytest.mark.parametrize("distortion", DISTORTIONS)
def test_a_mix_with_drums_is_placed_within_3_ms(name: str, distortion: dict[str, float]) -> None:
    """By another persona, shifted, drifted and jittered, over a tempo change, a pickup and swing."""
    take = pair(name)
    mix = spoiled(take.other.mix, **distortion)
    # Two seconds without a sound, as a break has them, change nothing.
    mix[:, 4 * SAMPLE_RATE_HZ : 6 * SAMPLE_RATE_HZ] = 0.0
    assert worst_ms(take.grid, mix, distortion["offset_s"], distortion["drift"]) < 3.0


@needs_soundfont
def test_a_mix_without_drums_is_placed_within_8_ms() -> None:
    """Bass, voice and chords carry the offset too, where some of them are struck or plucked (docs/measurements.md)."""
    take = pair("winding")
    tonal = take.other.mix - take.other.stems["drums"]
    assert worst_ms(take.grid, spoiled(tonal, offset_s=0.02), 0.02, 0.0) < 8.0


@needs_soundfont
def test_a_mix_that_only_swells_is_placed_within_8_ms() -> None:
    """Every instrument of this song is detected late, even the sharpest, by more than 8 ms in the median."""
    seed, seconds = HELD_OUT_SEEDS[6039], 16.0
    score = replace(compose(seed, seconds=seconds), persona=draw_persona(seed + 600_000))
    grid, song = grid_of(score.tempo_map, seconds), perform(score)
    onsets = find_onsets(spoiled(song.mix - song.stems["drums"], offset_s=0.02))
    late_s = onsets.times_s - 0.02 - grid.subdivisions_s[grid.nearest(onsets.times_s - 0.02)]
    assert np.median(late_s[np.abs(late_s) < 0.05]) > 0.008
    found = estimate(onsets, grid)
    assert found.onsets > 0
    assert found.drift == 0.0
    assert found.offset_s == pytest.approx(0.02, abs=0.008)


def test_what_does_not_keep_to_the_grid_is_not_placed() -> None:
    """Silence, a few clicks, and clicks at random times give no estimate rather than a wrong one."""
    beats = np.arange(0.0, 20.0, 0.5)
    grid = Grid(seconds=20.0, beats_s=beats, downbeats_s=beats[::4], subdivisions_s=np.arange(0.0, 20.0, 0.125))
    rng = np.random.default_rng(3)
    mix = np.zeros((2, 20 * SAMPLE_RATE_HZ), dtype=np.float32)
    assert estimate(find_onsets(mix), grid) == UNKNOWN
    for count in (5, 60):
        clicks = mix.copy()
        for at in rng.uniform(0.5, 19.5, count):
            start = int(at * SAMPLE_RATE_HZ)
            clicks[:, start : start + 400] += rng.uniform(-0.5, 0.5, 400).astype(np.float32)
        assert estimate(find_onsets(clicks), grid) == UNKNOWN


@needs_soundfont
def test_strokes_are_found_where_they_are() -> None:
    """Nearly every onset found in a kit is a stroke, to the millisecond."""
    take = pair("straight")
    onsets = find_onsets(take.other.stems["drums"])
    strokes = np.unique([event.start_s for event in take.other.score.events if event.stem == "drums"])
    late_ms = 1e3 * (onsets.times_s - strokes[nearest(strokes, onsets.times_s)])
    assert onsets.count > 15
    assert np.percentile(np.abs(late_ms), 90.0) < 2.0


def test_a_steady_tone_and_silence_have_no_onsets() -> None:
    """A tone that swells for seconds starts nowhere."""
    at_s = np.arange(6 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    swell = 0.3 * np.sin(2.0 * np.pi * 220.0 * at_s) * np.sin(np.pi * at_s / at_s[-1]) ** 2
    assert find_onsets(np.stack([swell, swell]).astype(np.float32)).count <= 1
    assert find_onsets(np.zeros((2, SAMPLE_RATE_HZ), dtype=np.float32)).count == 0
    assert find_onsets(np.zeros((2, 100), dtype=np.float32)).count == 0
