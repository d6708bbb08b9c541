"""How far recordings are apart: a measure that hears a phase and one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from servicekit.audio.difference import UNEQUAL_LENGTHS, difference
from servicekit.audio.pcm24 import Pcm24

_FRAMES = 400_000  # longer than a batch of the transform


def noise(seed: int, gain: float = 1.0) -> Pcm24:
    """Stereo noise."""
    samples = np.random.default_rng(seed).normal(0.0, 500_000.0 * gain, (2, _FRAMES))
    return np.rint(samples).astype(np.int32)


def test_equal_recordings_have_no_difference() -> None:
    """And nothing to measure."""
    found = difference(noise(1), noise(1))
    assert (found.largest, found.spectral_db, found.loudness_lu) == (0, None, None)


def test_the_opposite_polarity_has_other_samples_and_the_same_spectrum() -> None:
    """Nor another loudness."""
    found = difference(noise(1), -noise(1))
    assert found.largest > 1_000_000
    assert found.spectral_db is not None
    assert found.spectral_db < -150.0
    assert found.loudness_lu == pytest.approx(0.0)


def test_a_gain_is_measured_by_all() -> None:
    """Half the level: the difference has a quarter of the energy."""
    found = difference(noise(1), noise(1, 0.5))
    assert found.spectral_db == pytest.approx(-6.02, abs=0.05)
    assert found.loudness_lu == pytest.approx(6.02, abs=0.05)


def test_other_music_is_far_away_and_other_lengths_have_no_measure() -> None:
    """Silence has no spectrum to compare with."""
    other = difference(noise(1), noise(2)).spectral_db
    assert other is not None
    assert other > -6.0
    assert difference(noise(1), noise(1)[:, :-1]).largest == UNEQUAL_LENGTHS
    assert difference(np.zeros((2, 9), np.int32), noise(1)[:, :9]).spectral_db is None
