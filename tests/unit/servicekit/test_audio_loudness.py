"""Loudness and true peak against known signals and against pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from servicekit.audio.loudness import LoudnessMeter, integrated_lufs, measure
from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, Pcm24, to_pcm24
from servicekit.audio.true_peak import _ANNEX_2, TruePeakMeter, decibels, limit_true_peak, true_peak
from servicekit.errors import Internal

RATE_HZ = 44100


def tone(seconds: float, level_dbfs: float, *, hz: float = 1000.0, phase: float = 0.0) -> NDArray[np.float64]:
    """A sine of this peak level in both channels, ``(2, T)``."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sine = 10.0 ** (level_dbfs / 20.0) * np.sin(2.0 * np.pi * hz * t + phase)
    return np.stack([sine, sine])


def pcm_of(*parts: NDArray[np.float64]) -> Pcm24:
    """The parts one after the other as integers."""
    return to_pcm24(np.concatenate(parts, axis=1), stage="TEST")


def noise(seconds: float, *, seed: int = 0, level: float = 0.1) -> Pcm24:
    """White noise as integers."""
    waveform = np.random.default_rng(seed).standard_normal((2, round(seconds * RATE_HZ))) * level
    return to_pcm24(np.clip(waveform, -1.0, MAX_SAMPLE / FULL_SCALE), stage="TEST")


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([(20, -23.0)], -23.0),
        ([(20, -33.0)], -33.0),
        ([(10, -36.0), (60, -23.0), (10, -36.0)], -23.0),
        ([(10, -72.0), (10, -36.0), (60, -23.0), (10, -36.0), (10, -72.0)], -23.0),
        ([(20, -26.0), (20.1, -20.0), (20, -26.0)], -23.0),
    ],
    ids=["1", "2", "3", "4", "5"],
)
def test_ebu_tech_3341(parts: list[tuple[float, float]], wanted: float) -> None:
    """EBU Tech 3341, signals 1 to 5: stereo sines at 1 kHz read within 0.1 LU of what the document says."""
    measured = integrated_lufs(pcm_of(*(tone(seconds, level) for seconds, level in parts)))
    assert measured == pytest.approx(wanted, abs=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_pyloudnorm(seed: int) -> None:
    """On noise that swells and fades, it reads what pyloudnorm reads over the whole array."""
    swell = np.abs(np.sin(np.arange(20 * RATE_HZ) / RATE_HZ * (seed + 1))) ** 4
    pcm = np.rint(noise(20, seed=seed) * swell).astype(np.int32)
    reference = pyloudnorm.Meter(RATE_HZ, filter_class="DeMan").integrated_loudness(pcm.T / FULL_SCALE)
    assert integrated_lufs(pcm) == pytest.approx(reference, abs=0.01)


def pieces() -> dict[str, Pcm24]:
    """Signals at which a gate or an end could go wrong. Lengths are whole hops of 0.1 s, where pyloudnorm counts blocks alike."""
    return {
        "one block": noise(0.4),
        "a hop more": noise(0.5, seed=1),
        "one channel": noise(2) * np.array([[1], [0]], dtype=np.int32),
        "loud, then far below the relative gate": pcm_of(tone(3, -15.0), tone(6, -40.0)),
        "loud, then below the absolute gate": pcm_of(tone(3, -20.0), tone(6, -85.0)),
        "sound between silences": pcm_of(tone(2, -120.0), tone(1, -12.0, hz=60.0), tone(2, -120.0)),
        "full scale": pcm_of(tone(1, -0.001, hz=997.0)),
    }


@pytest.mark.parametrize("name", pieces())
def test_gates_agree_with_pyloudnorm(name: str) -> None:
    """Short, gated, one-sided and loud: within 0.01 LU of pyloudnorm over the whole array."""
    pcm = pieces()[name]
    reference = pyloudnorm.Meter(RATE_HZ, filter_class="DeMan").integrated_loudness(pcm.T / FULL_SCALE)
    assert integrated_lufs(pcm) == pytest.approx(reference, abs=0.01)


@pytest.mark.parametrize(
    "cuts", [[1, 2, 4409, 4411, 70_000, 70_001], [65_525], [131_070], list(range(0, 132_300, 997))]
)
def test_blocks_leave_no_trace(cuts: list[int]) -> None:
    """A stream in whatever blocks reads what the whole reads, loudness and true peak, to the last bit."""
    pcm = noise(3)
    meter, peak = LoudnessMeter(), TruePeakMeter()
    for part in np.array_split(pcm, cuts, axis=1):
        meter.add(part)
        peak.add(part)
    assert meter.integrated_lufs() == integrated_lufs(pcm)
    assert peak.peak() == true_peak(pcm.astype(np.float32)) / FULL_SCALE


def test_silence_has_none() -> None:
    """Digital silence has neither loudness nor true peak; a whisper below -70 LUFS has a peak only; nor has too short a take."""
    silent = measure(np.zeros((2, RATE_HZ), dtype=np.int32))
    assert (silent.lufs, silent.true_peak_dbtp) == (None, None)
    whisper = measure(pcm_of(tone(2, -90.0)))
    assert whisper.lufs is None
    assert whisper.true_peak_dbtp == pytest.approx(-90.0, abs=0.3)
    short = measure(noise(0.39))
    assert short.lufs is None
    assert short.true_peak_dbtp is not None
    assert measure(np.zeros((2, 0), dtype=np.int32)) == silent


def test_numbers_are_rounded_once() -> None:
    """What is measured has two decimals, so that manifest, WAV and row say the same number."""
    found = measure(noise(2))
    assert found.lufs == round(found.lufs or 0.0, 2)
    assert found.true_peak_dbtp == round(found.true_peak_dbtp or 0.0, 2)


@pytest.mark.parametrize(
    ("divisor", "phase_degrees", "peak"),
    [(4, 0.0, 0.5), (4, 45.0, 0.5), (6, 60.0, 0.5), (8, 67.5, 0.5), (4, 45.0, 1.41)],
)
def test_true_peak_between_samples(divisor: int, phase_degrees: float, peak: float) -> None:
    """EBU Tech 3341, signals 15 to 19: the peak of a sine is found between its samples, +0.2 / -0.4 dB."""
    t = np.arange(RATE_HZ)
    fade = np.minimum(1.0, np.minimum(t, t[::-1]) / 1000.0)
    sine = peak * np.sin(2.0 * np.pi * t / divisor + np.radians(phase_degrees)) * fade
    measured = decibels(true_peak(np.stack([sine, sine]).astype(np.float32)))
    assert measured is not None
    assert -0.4 <= measured - 20.0 * np.log10(peak) <= 0.2


@pytest.mark.parametrize("frames", [1, 11, 31, 32, 33, 65_535, 65_536, 65_537])
def test_true_peak_sees_every_sample(frames: int) -> None:
    """A lone full-scale sample is found at either end and anywhere in a block."""
    for at in {0, frames // 2, frames - 1}:
        waveform = np.zeros((2, frames), dtype=np.float32)
        waveform[1, at] = -0.75
        assert true_peak(waveform) == np.float32(0.75)


@pytest.mark.parametrize("loud", [0.0, 0.3, 0.55, 0.9])
def test_true_peak_is_that_of_every_interpolated_sample(loud: float) -> None:
    """Rows that are left out hide nothing: a peak between quiet samples is found beside a louder sample elsewhere."""
    waveform = (0.02 * np.random.default_rng(7).standard_normal((2, 70_000))).astype(np.float32)
    waveform[0, 69_950:69_970] = 0.5 * np.sin(np.pi * np.arange(20) / 2.0 + np.pi / 4.0)
    waveform[1, 1_000] = loud
    wanted = max(np.abs(np.convolve(channel, phase)).max() for channel in waveform for phase in _ANNEX_2)
    assert true_peak(waveform) == pytest.approx(max(wanted, np.abs(waveform).max()), rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("level", [0.2, 1.0, 30.0])
def test_limited_to_the_ceiling(seed: int, level: float) -> None:
    """One gain brings any waveform under -1 dBTP after rounding, by our meter and by a stricter interpolation."""
    waveform = (np.random.default_rng(seed).standard_normal((2, RATE_HZ)) * level).astype(np.float32)
    limited, gain_db = limit_true_peak(waveform)
    np.testing.assert_allclose(limited, waveform * 10.0 ** (gain_db / 20.0), rtol=1e-5)
    pcm = to_pcm24(limited, stage="TEST")
    found = measure(pcm).true_peak_dbtp
    assert found is not None
    assert found <= -1.0
    strict = np.abs(resample_poly(pcm / FULL_SCALE, 8, 1, axis=1)).max()
    assert 20.0 * np.log10(strict) <= -0.95
    if gain_db < 0.0:
        assert found >= -1.75


def test_quiet_is_left_alone() -> None:
    """Audio within the limit is returned unchanged, and silence too."""
    waveform = tone(0.2, -6.0).astype(np.float32)
    limited, gain_db = limit_true_peak(waveform)
    assert limited is waveform
    assert gain_db == 0.0
    assert limit_true_peak(np.zeros((2, 100), dtype=np.float32))[1] == 0.0


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e38])
def test_limiter_refuses_what_has_no_peak(broken: float) -> None:
    """NaN, infinity and what is as good as infinite fail, naming the stage."""
    waveform = np.zeros((2, 10), dtype=np.float32)
    waveform[1, 3] = broken
    with pytest.raises(Internal) as caught:
        limit_true_peak(waveform)
    assert caught.value.reason == "NOT_FINITE"
