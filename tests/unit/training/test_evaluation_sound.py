"""The measures of sound and the judge: signals of known contrast, movement, tonality, balance and width."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from render_service.music.tempo_map import TempoMap
from training.evaluation.judge import pick_share
from training.evaluation.spectrum import (
    band_levels_db,
    band_power,
    bar_similarity,
    crest_db,
    measure_sound,
    third_octaves_db,
    width_db,
)
from training.evaluation.takes import randomise_phases
from training.metrics import RATE_HZ, onsets_s

GRID = TempoMap.constant(120.0)  # a bar lasts 2 s
SECONDS = 8.0
TIME = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
Waveform = NDArray[np.float32]


def _stereo(mono: NDArray[np.float64]) -> Waveform:
    return np.stack([mono, mono]).astype(np.float32)


def _noise(seed: int = 0) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(seed).standard_normal(len(TIME))


def _partials() -> NDArray[np.float64]:
    return np.asarray(0.02 * np.sum([np.sin(2 * np.pi * 220.0 * n * TIME) for n in range(1, 18)], axis=0))


def test_a_harmonic_sound_stands_out_and_noise_does_not() -> None:
    """Partials, contrast and flatness agree."""
    tonal, noisy = (measure_sound(_stereo(signal), GRID) for signal in (_partials() + 1e-3 * _noise(), _noise()))
    assert tonal.low_partials > noisy.low_partials + 15.0
    assert tonal.high_partials > noisy.high_partials + 15.0
    assert tonal.contrast > noisy.contrast + 3.0
    assert tonal.flatness < noisy.flatness - 15.0


def test_sounds_that_come_and_go_move_and_steady_ones_do_not() -> None:
    """Noise switched at 4 Hz: deviation of the levels over time and modulation between 2 and 16 Hz; at 0.1 Hz no modulation."""
    steady, pulsing, slow = (
        measure_sound(_stereo(_noise() * gate), GRID)
        for gate in (1.0, 0.05 + (np.sin(8 * np.pi * TIME) > 0), 0.6 + 0.4 * np.sin(0.2 * np.pi * TIME))
    )
    assert pulsing.deviation > steady.deviation + 5.0
    assert pulsing.modulation > steady.modulation + 5.0
    assert pulsing.modulation > slow.modulation + 5.0


def test_bars_that_repeat_are_similar_and_new_ones_are_not() -> None:
    """The same bar four times; four bars of different bursts; a constant spectrum alone is no similarity."""
    rng = np.random.default_rng(2)
    gates = (rng.random((4, 16)) < 0.4).astype(float)
    gate_of = {"same": np.tile(gates[0], 4), "new": gates.ravel()}
    found = {}
    for name, steps in gate_of.items():
        gate = np.repeat(steps, len(TIME) // 64)
        audio = _noise()[: len(gate)] * (0.03 + gate)
        found[name] = bar_similarity(band_levels_db(band_power(_stereo(audio))), GRID)
    assert found["same"] > 0.8
    assert found["new"] < 0.4
    steady = bar_similarity(band_levels_db(band_power(_stereo(_noise()))), GRID)
    assert abs(steady) < 0.2
    assert np.isnan(bar_similarity(band_levels_db(band_power(_stereo(_noise()[: 3 * RATE_HZ]))), GRID))


def test_width_crest_and_balance_have_their_known_values() -> None:
    """A sine has a crest of 3 dB; independent channels are as wide as they are deep; a tone fills its third octave."""
    sine = np.sin(2 * np.pi * 1000.0 * TIME)
    assert crest_db(_stereo(sine)) == pytest.approx(3.01, abs=0.01)
    assert width_db(np.stack([_noise(0), _noise(1)]).astype(np.float32)) == pytest.approx(0.0, abs=0.1)
    assert width_db(_stereo(sine)) == pytest.approx(-80.0, abs=0.1)
    balance = third_octaves_db(_stereo(sine))
    assert balance[13] == pytest.approx(0.0, abs=0.01)
    assert np.delete(balance, 13).max() < -60.0
    assert third_octaves_db(_stereo(0.1 * sine)) == pytest.approx(balance, abs=0.1)


def test_random_phases_keep_the_spectrum_and_lose_the_events() -> None:
    """The null has the balance, level and width of its song, but no strokes on the beats."""
    beats = _noise() * np.exp(-30.0 * (TIME % 0.5))
    song = np.stack([beats, 0.5 * beats]).astype(np.float32)
    null = randomise_phases(song, seed=3)
    assert third_octaves_db(null) == pytest.approx(third_octaves_db(song), abs=0.2)
    assert width_db(null) == pytest.approx(width_db(song), abs=0.1)
    assert measure_sound(null, GRID).deviation < 0.5 * measure_sound(song, GRID).deviation
    distances = np.abs(onsets_s(null)[:, None] - np.arange(0.0, SECONDS, 0.5)[None, :]).min(axis=1)
    assert (distances < 0.025).mean() < 0.5


def _clouds(*, shift: float, seed: int, songs: int = 12) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(40) * 0.5 + shift + rng.standard_normal((5, 40)) for _ in range(songs)]


def test_the_judge_tells_apart_what_differs_and_nothing_else() -> None:
    """Songs that it was not fitted on: nearly always for a shifted cloud, half the time for the same one, NaN for one song."""
    corpus = _clouds(shift=0.0, seed=0)
    assert pick_share(corpus, _clouds(shift=1.0, seed=1)) > 0.95
    same = np.mean([pick_share(_clouds(shift=0.0, seed=2 * i), _clouds(shift=0.0, seed=2 * i + 1)) for i in range(8)])
    assert same == pytest.approx(0.5, abs=0.12)
    assert np.isnan(pick_share(corpus[:1], corpus[:1]))
