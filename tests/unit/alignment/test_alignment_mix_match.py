"""A new stem is fitted into the mix: before and after, on signals whose correlations are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from separation_service.alignment.level import loudness_lufs
from separation_service.alignment.mix_match import (
    FULL_MATCH,
    MAX_BAND_DB,
    MAX_CHANGE_LU,
    MIN_NEW_LU,
    MINIMAL_CHANGE,
    FitRule,
    match_mix,
)
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ

Block = NDArray[np.float64]
SECONDS = 6.0


def noise(seed: int, *, seconds: float = SECONDS, tilt_hz: float = 800.0) -> Block:
    """Falling noise like music's long-term spectrum, ``(2, N)``, at -26 LUFS."""
    white = np.random.default_rng(seed).standard_normal((2, round(seconds * SAMPLE_RATE_HZ)))
    return to_lufs(sosfilt(butter(1, tilt_hz, fs=SAMPLE_RATE_HZ, output="sos"), white, axis=1), -26.0)


def to_lufs(audio: Block, lufs: float) -> Block:
    """``audio`` at this loudness."""
    return np.asarray(audio * 10.0 ** ((lufs - lufs_of(audio)) / 20.0))


def lufs_of(audio: Block) -> float:
    """Loudness, of what has one."""
    lufs = loudness_lufs(audio)
    assert lufs is not None
    return lufs


def octaves_db(audio: Block) -> NDArray[np.float64]:
    """Level of each third octave from 63 Hz to 8 kHz."""
    power = np.square(np.abs(np.fft.rfft(audio, axis=1))).sum(axis=0)
    hz = np.fft.rfftfreq(audio.shape[1], 1.0 / SAMPLE_RATE_HZ)
    centres = 1000.0 * 2.0 ** (np.arange(-12, 10) / 3.0)
    return np.array([10.0 * np.log10(power[(hz >= c / 1.1225) & (hz < c * 1.1225)].sum()) for c in centres])


def leaky(leak: float = 0.25, level: float = -30.0) -> tuple[Block, Block, Block]:
    """A new stem, an old stem with a part of the rest in it, as loud, and the rest."""
    rest = noise(1)
    old = to_lufs(noise(2), level) + leak * rest
    return to_lufs(noise(3), lufs_of(old)), old, rest


@pytest.mark.parametrize("rule", [FULL_MATCH, MINIMAL_CHANGE])
@pytest.mark.parametrize("leak", [0.1, 0.25, 0.4, -0.2])
def test_the_mix_keeps_its_loudness(leak: float, rule: FitRule) -> None:
    """Within 0.3 LU, where matching the stem alone is off by more; the stem stays within 1 LU."""
    new, old, rest = leaky(leak)
    stem, match = match_mix(new, old, rest, rule)
    before, after = (lufs_of(rest + candidate) - lufs_of(rest + old) for candidate in (new, stem))
    assert abs(after) < min(0.3, abs(before))
    assert abs(before) > 0.3
    assert abs(lufs_of(stem) - lufs_of(old)) < MAX_CHANGE_LU + 0.15
    assert match.shared_lu is not None or rule is MINIMAL_CHANGE


@pytest.mark.parametrize("leak", [0.1, 0.25, 0.4])
def test_no_more_is_kept_than_the_mix_needs(leak: float) -> None:
    """A gain comes first. What is kept beyond it brings the mix to within 0.05 LU of its loudness."""
    new, old, rest = leaky(leak)
    full, least = (match_mix(new, old, rest, rule) for rule in (FULL_MATCH, MINIMAL_CHANGE))
    kept_lu = [-100.0 if match.shared_lu is None else match.shared_lu for _, match in (full, least)]
    assert kept_lu[1] < kept_lu[0] - 1.0
    assert lufs_of(rest + least[0]) == pytest.approx(lufs_of(rest + old), abs=0.07)
    assert _foreign(least[0], new) < 0.8 * _foreign(full[0], new)


def _foreign(stem: Block, new: Block) -> float:
    """The share of the stem's energy that is not the new sound."""
    own = new * float((stem * new).sum() / (new * new).sum())
    return float(np.square(stem - own).sum() / np.square(stem).sum())


def test_small_deviations_of_third_octaves_are_left_alone() -> None:
    """A timbre that moves the mix by less than 2 dB is not equalised at all; holes of another one shrink."""
    _, old, rest = leaky(0.0)
    slightly = to_lufs(noise(3, tilt_hz=1200.0), lufs_of(old))
    stem, match = match_mix(slightly, old, rest, MINIMAL_CHANGE)
    assert np.abs(octaves_db(rest + stem) - octaves_db(rest + old)).max() < 2.2
    assert not any(band.gain_db for band in match.equaliser)
    _, loud, rest = leaky(0.0, level=-24.0)
    bright = to_lufs(noise(3, tilt_hz=6000.0), lufs_of(loud))
    stem, match = match_mix(bright, loud, rest, MINIMAL_CHANGE)
    before, after = (
        np.abs(octaves_db(rest + candidate) - octaves_db(rest + loud)).max() for candidate in (bright, stem)
    )
    assert after < before - 1.0
    assert any(band.gain_db for band in match.equaliser)


def test_holes_in_third_octaves_shrink() -> None:
    """Those that the lost correlation left, in the whole range."""
    new, old, rest = leaky(0.3)
    stem, match = match_mix(new, old, rest, FULL_MATCH)
    before, after = (octaves_db(rest + candidate) - octaves_db(rest + old) for candidate in (new, stem))
    assert before.min() < -1.5
    assert np.abs(after).max() < 0.5
    assert all(abs(band.gain_db) < 1.0 for band in match.equaliser)


def _muffled(audio: Block) -> Block:
    return np.asarray(sosfilt(butter(2, 500.0, fs=SAMPLE_RATE_HZ, output="sos"), audio, axis=1))


def _thin(audio: Block) -> Block:
    return np.asarray(sosfilt(butter(2, 500.0, "high", fs=SAMPLE_RATE_HZ, output="sos"), audio, axis=1))


@pytest.mark.parametrize("timbre", [_muffled, _thin])
def test_another_timbre_is_equalised_within_bounds(timbre: Callable[[Block], Block]) -> None:
    """The bounce's third octaves come nearer to what they were; no band is moved by more than 6 dB."""
    _, old, rest = leaky(0.2, level=-24.0)
    new = to_lufs(timbre(noise(3)), lufs_of(old))
    stem, match = match_mix(new, old, rest, FULL_MATCH)
    before, after = (np.abs(octaves_db(rest + candidate) - octaves_db(rest + old)) for candidate in (new, stem))
    assert after.mean() < 0.8 * before.mean()
    assert after.max() < before.max()
    gains = np.array([band.gain_db for band in match.equaliser])
    assert np.abs(gains).max() <= MAX_BAND_DB
    assert np.abs(np.diff(gains)).max() <= 6.0


def test_the_new_sound_prevails() -> None:
    """Also where the old stem is little but a copy of the rest: it stays within 3 LU of the old stem."""
    rest = noise(1)
    old = 0.2 * rest + to_lufs(noise(2), -48.0)
    new = to_lufs(noise(3), lufs_of(old))
    stem, match = match_mix(new, old, rest, FULL_MATCH)
    own = stem - rest * float((stem * rest).sum() / (rest * rest).sum())
    assert match.shared_lu == pytest.approx(-6.0, abs=0.01)
    assert lufs_of(own) > lufs_of(old) + MIN_NEW_LU - 0.3
    assert abs(lufs_of(stem) - lufs_of(old)) < MAX_CHANGE_LU + 0.15


def test_nothing_is_added_where_nothing_is_shared() -> None:
    """A new stem like the old one, neither correlated with the rest, comes back almost as it was."""
    rest, old, new = noise(1), noise(2), noise(3)
    stem, match = match_mix(new, old, rest, FULL_MATCH)
    assert match.shared_lu is not None
    assert match.shared_lu < -25.0
    assert np.square(stem - new).sum() < 0.02 * np.square(new).sum()


def test_time_is_kept() -> None:
    """The filters are zero-phase: a stroke stays where it is."""
    _, old, rest = leaky(0.2)
    new = np.zeros_like(old)
    new[:, SAMPLE_RATE_HZ :: SAMPLE_RATE_HZ // 2] = 1.0
    new = to_lufs(_muffled(new), lufs_of(old))
    stem, _ = match_mix(new, old, rest, FULL_MATCH)
    own = stem - rest * float((stem * rest).sum() / (rest * rest).sum())
    spectra = np.fft.rfft(own[0]), np.fft.rfft(new[0])
    lag = int(np.argmax(np.fft.irfft(spectra[0] * spectra[1].conj())))
    assert lag == 0


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.5])
def test_short_bars_are_fitted_too(seconds: float) -> None:
    """What is shorter than a filter or a gating block."""
    rest, old, new = (noise(seed)[:, : round(seconds * SAMPLE_RATE_HZ)] for seed in (1, 2, 3))
    old = old + 0.25 * rest
    new = to_lufs(new, lufs_of(old))
    stem, _ = match_mix(new, old, rest, FULL_MATCH)
    assert stem.shape == new.shape
    assert np.isfinite(stem).all()
    assert abs(lufs_of(rest + stem) - lufs_of(rest + old)) < 0.5


def test_a_stem_that_is_the_whole_mix_has_nothing_to_share() -> None:
    """The rest is silent."""
    old, new = noise(2), noise(3)
    stem, match = match_mix(new, old, np.zeros_like(old), FULL_MATCH)
    assert match.shared_lu is None
    assert lufs_of(stem) == pytest.approx(lufs_of(old), abs=0.1)


def test_the_same_sounds_give_the_same_stem() -> None:
    """A replay depends on it."""
    assert np.array_equal(match_mix(*leaky(), FULL_MATCH)[0], match_mix(*leaky(), FULL_MATCH)[0])
