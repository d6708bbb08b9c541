"""The loudness target and the look-ahead limiter, read by the meter that the standard asks for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from servicekit.audio.limiter import MAX_GAIN_DB, MAX_REDUCTION_DB, Levelled, level
from servicekit.audio.loudness import Loudness, measure
from servicekit.audio.pcm24 import FULL_SCALE, SAMPLE_RATE_HZ, to_pcm24
from servicekit.errors import Internal

MAX_DBTP = -1.0
Audio = NDArray[np.float32]


def beat(seconds: float = 6.0, *, seed: int = 0, hits: float = 0.3) -> Audio:
    """A bass note under two noisy hits a second, ``(2, T)``; its peaks lie about 17 dB above its loudness."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    noise = np.random.default_rng(seed).standard_normal((2, t.size)) * np.exp(-8.0 * ((2.0 * t) % 1.0))
    return (hits * noise + 0.2 * np.sin(2.0 * np.pi * 55.0 * t + [[0.0], [0.3]])).astype(np.float32)


def steady(seconds: float = 4.0, *, amplitude: float = 0.1) -> Audio:
    """A chord without peaks, ``(2, T)``."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    chord = sum(np.sin(2.0 * np.pi * hz * t + [[0.0], [1.0]]) for hz in (220.0, 277.2, 329.6))
    return (amplitude * np.asarray(chord)).astype(np.float32)


def clipped_square(seconds: float = 3.0) -> Audio:
    """Full-scale square waves, whose true peak lies far above their samples."""
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.sign(np.sin(2.0 * np.pi * 1378.125 * t + [[0.1], [0.7]])).astype(np.float32)


def lone_click() -> Audio:
    """A quiet chord with one sample at four times full scale."""
    waveform = steady(amplitude=0.05)
    waveform[1, 60_000] = 4.0
    return waveform


HARD = {
    "beat": beat(),
    "hot beat": beat(hits=3.0),
    "noise": np.random.default_rng(3).standard_normal((2, 3 * SAMPLE_RATE_HZ)).astype(np.float32),
    "near Nyquist": 0.9 * np.cos(np.pi * 0.98 * np.arange(2 * SAMPLE_RATE_HZ) + [[0.0], [0.4]]).astype(np.float32),
    "square": clipped_square(),
    "click": lone_click(),
    "half a second": beat(0.5),
    "one sample": np.full((2, 1), 2.0, dtype=np.float32),
}


def read(levelled: Levelled) -> Loudness:
    """The reading of the rounded samples."""
    return measure(to_pcm24(levelled.waveform, stage="TEST"))


@pytest.mark.parametrize("target_lufs", [-30.0, -23.0, -16.0, -14.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_target_is_reached(target_lufs: float, seed: int) -> None:
    """Within 0.1 LU where the limiter needs at most 6 dB, up and down, with and without limiting."""
    levelled = level(beat(seed=seed), target_lufs, max_dbtp=MAX_DBTP)
    assert levelled.max_reduction_db <= MAX_REDUCTION_DB
    assert read(levelled).lufs == pytest.approx(target_lufs, abs=0.1)
    assert levelled.lufs == pytest.approx(target_lufs, abs=0.1)
    assert (levelled.max_reduction_db > 0.0) == (target_lufs >= -16.0)


@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("target_lufs", [-16.0, -9.0])
def test_the_true_peak_holds_on_hard_material(name: str, target_lufs: float) -> None:
    """At most -1 dBTP after rounding, by the standard's meter and by a stricter interpolation; the reduction stays near 6 dB."""
    levelled = level(HARD[name], target_lufs, max_dbtp=MAX_DBTP)
    pcm = to_pcm24(levelled.waveform, stage="TEST")
    peak = measure(pcm).true_peak_dbtp
    assert peak is not None
    assert peak <= MAX_DBTP
    assert 20.0 * np.log10(np.abs(resample_poly(pcm / FULL_SCALE, 8, 1, axis=1)).max()) <= MAX_DBTP + 0.05
    assert levelled.max_reduction_db <= MAX_REDUCTION_DB + 0.5


def test_a_target_beyond_six_decibels_of_limiting_is_approached() -> None:
    """The gain stops where the limiter reaches 6 dB; the loudness that this allows is reported as it is measured."""
    levelled = level(beat(), -9.0, max_dbtp=MAX_DBTP)
    assert levelled.max_reduction_db == pytest.approx(MAX_REDUCTION_DB, abs=0.1)
    assert levelled.lufs is not None
    assert levelled.lufs < -9.5
    assert read(levelled).lufs == pytest.approx(levelled.lufs, abs=0.1)


def test_material_within_the_limit_gets_one_gain() -> None:
    """Nothing but the gain changes, to the last bit of float32."""
    waveform = steady()
    levelled = level(waveform, -20.0, max_dbtp=MAX_DBTP)
    assert levelled.max_reduction_db == 0.0
    assert np.array_equal(levelled.waveform, waveform * np.float32(10.0 ** (levelled.gain_db / 20.0)))


def test_the_gain_moves_slowly_and_alike_in_both_channels() -> None:
    """The limiter neither clips nor moves the stereo image: its gain changes by at most 0.03 dB between two samples."""
    waveform = beat()
    levelled = level(waveform, -14.0, max_dbtp=MAX_DBTP)
    heard = (np.abs(waveform) > 1e-3).all(axis=0)
    gains = 20.0 * np.log10((levelled.waveform / np.where(waveform == 0.0, 1.0, waveform))[:, heard])
    assert np.abs(gains[0] - gains[1]).max() < 1e-3
    away = np.diff(np.flatnonzero(heard))
    assert (np.abs(np.diff(gains[0])) / away).max() < 0.03
    assert gains.max() == pytest.approx(levelled.gain_db, abs=1e-3)


def test_the_gain_is_back_soon_after_a_peak() -> None:
    """A lone click lowers what is around it, not the whole take."""
    waveform = lone_click()
    levelled = level(waveform, -30.0, max_dbtp=MAX_DBTP)
    gain = 10.0 ** (levelled.gain_db / 20.0)
    assert levelled.max_reduction_db > 3.0
    assert np.allclose(levelled.waveform[:, :59_000], waveform[:, :59_000] * gain, rtol=1e-5)
    assert np.allclose(levelled.waveform[:, 68_000:], waveform[:, 68_000:] * gain, rtol=1e-5)


@pytest.mark.parametrize("frames", [0, 1, 1000, SAMPLE_RATE_HZ])
def test_silence_stays_silence(frames: int) -> None:
    """No loudness: no gain."""
    silence = np.zeros((2, frames), dtype=np.float32)
    levelled = level(silence, -16.0, max_dbtp=MAX_DBTP)
    assert (levelled.gain_db, levelled.max_reduction_db, levelled.lufs) == (0.0, 0.0, None)
    assert np.array_equal(levelled.waveform, silence)


def test_what_is_too_short_for_a_loudness_keeps_its_level() -> None:
    """Less than a gating block has none."""
    short = steady(0.39)
    assert np.array_equal(level(short, -16.0, max_dbtp=MAX_DBTP).waveform, short)


def test_a_whisper_is_lifted_by_twenty_decibels_at_most() -> None:
    """What is far below the target is mostly noise."""
    levelled = level(steady(amplitude=0.0005), -16.0, max_dbtp=MAX_DBTP)
    assert levelled.gain_db == MAX_GAIN_DB
    assert levelled.lufs == pytest.approx(read(levelled).lufs, abs=0.1)


def test_the_same_waveform_gives_the_same_samples() -> None:
    """A replay depends on it."""
    assert np.array_equal(
        level(beat(), -14.0, max_dbtp=MAX_DBTP).waveform, level(beat(), -14.0, max_dbtp=MAX_DBTP).waveform
    )


@pytest.mark.parametrize("rest_frames", [0, 1, 17])
def test_the_gain_of_a_loop_goes_on_at_its_start(rest_frames: int) -> None:
    """A peak at the very start already lowers the end, whatever the length, so that the wrap has no step."""
    frames = 2 * SAMPLE_RATE_HZ + rest_frames
    waveform = steady(3.0)[:, :frames].copy()
    waveform[:, 40:60] *= 4.0
    once = level(waveform, -16.0, max_dbtp=MAX_DBTP, loop=True)
    straight = level(waveform, -16.0, max_dbtp=MAX_DBTP)
    gain = once.waveform[1] / waveform[1]
    straight_gain = straight.waveform[1] / waveform[1]
    assert once.max_reduction_db > 1.0
    assert abs(gain[-1] / gain[0] - 1.0) < 0.005
    assert gain[-1] < 0.95 * gain[frames // 2]
    assert straight_gain[-1] == pytest.approx(straight_gain[frames // 2], rel=1e-4)


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e38])
def test_what_has_no_peak_is_refused(broken: float) -> None:
    """NaN and infinity fail, naming the stage."""
    waveform = steady()
    waveform[0, 9] = broken
    with pytest.raises(Internal) as caught:
        level(waveform, -16.0, max_dbtp=MAX_DBTP)
    assert caught.value.reason == "NOT_FINITE"
