"""The join in integers, at and beyond full scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from separation_service.alignment.splice import Joint, SplicedStem, splice_stem
from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE, Pcm24
from servicekit.audio.true_peak import TruePeakMeter, decibels

FRAMES = 4000


def noise(seed: int, level: float, frames: int = FRAMES) -> np.ndarray:
    """``(2, frames)`` of full scale 1.0, smooth enough to have a true peak near its samples."""
    rough = np.random.default_rng(seed).uniform(-1.0, 1.0, (2, frames))
    return level * np.apply_along_axis(lambda x: np.convolve(x, np.hanning(9) / np.hanning(9).sum(), "same"), 1, rough)


def integers(waveform: np.ndarray) -> Pcm24:
    """Rounded and held at full scale."""
    return np.clip(np.rint(waveform * FULL_SCALE), MIN_SAMPLE, MAX_SAMPLE).astype(np.int32)


def assert_joined(done: SplicedStem, bounce: Pcm24, old: Pcm24, joint: Joint) -> None:
    """What holds whatever was asked."""
    assert (done.bounce.astype(np.int64) == bounce.astype(np.int64) - old + done.stem).all()
    for samples in (done.bounce, done.stem):
        assert samples.dtype == np.int32
        assert samples.min() >= MIN_SAMPLE
        assert samples.max() <= MAX_SAMPLE
    outside = np.ones(FRAMES, dtype=bool)
    outside[joint.window] = False
    assert (done.stem[:, outside] == old[:, outside]).all()
    assert (done.bounce[:, outside] == bounce[:, outside]).all()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    level=st.sampled_from([0.0, 0.1, 1.0, 3.0]),
    max_dbtp=st.sampled_from([None, -1.0]),
    max_limiting_db=st.sampled_from([0.0, 3.0]),
    window=st.sampled_from([(0, FRAMES), (500, 2500), (0, 1)]),
)
def test_the_bounce_is_base_less_old_plus_new_under_its_ceiling(
    seed: int, level: float, max_dbtp: float | None, max_limiting_db: float, window: tuple[int, int]
) -> None:
    """In integers, sample for sample, at any level; nothing outside the joint changes."""
    old, rest = integers(noise(seed, 1.0)), integers(noise(seed + 1, 1.0))
    bounce = integers((old + rest.astype(np.int64)) / FULL_SCALE * 0.8)
    added = noise(seed + 2, level)[:, slice(*window)]
    joint = Joint(start=window[0], kept=np.zeros_like(added), added=added)
    done = splice_stem(bounce, old, joint, max_true_peak_dbtp=max_dbtp, max_limiting_db=max_limiting_db)
    assert_joined(done, bounce, old, joint)
    assert -6.0 <= done.lowered_db <= 0.0
    if max_dbtp is not None and window[1] == FRAMES:
        meter = TruePeakMeter()
        meter.add(done.bounce)
        peak_dbtp = decibels(meter.peak())
        assert peak_dbtp is None or peak_dbtp <= max_dbtp + 0.01


def test_what_fits_is_the_new_stem_itself() -> None:
    """Rounded to the nearest integer, no gain, nothing limited."""
    old, added = integers(noise(1, 0.2)), noise(2, 0.2)
    bounce = integers(noise(3, 0.3))
    done = splice_stem(bounce, old, Joint(start=0, kept=np.zeros_like(added), added=added), max_true_peak_dbtp=-1.0)
    assert (done.stem == np.rint(added * FULL_SCALE)).all()
    assert (done.lowered_db, done.limited_samples) == (0.0, 0)


def test_only_the_gain_of_the_new_stem_is_lowered_where_that_is_enough() -> None:
    """By no more than is needed: half a decibel louder would pass."""
    tone = np.sin(2.0 * np.pi * 440.0 * np.arange(FRAMES) / 44100.0)[None].repeat(2, axis=0)
    old, bounce = integers(0.1 * tone), integers(0.6 * tone)
    joint = Joint(start=0, kept=np.zeros_like(tone), added=0.5 * tone)
    done = splice_stem(bounce, old, joint, max_true_peak_dbtp=-1.0)
    assert_joined(done, bounce, old, joint)
    room = 10.0 ** (-1.0 / 20.0) - 0.5
    assert done.limited_samples == 0
    assert done.lowered_db == pytest.approx(20.0 * np.log10(room / 0.5), abs=0.1)


@pytest.mark.parametrize("peak", [0.5, 0.85, 0.99])
def test_a_few_high_peaks_are_limited_instead_of_the_whole_stem(peak: float) -> None:
    """Up to 3 dB above the limit: around the peak the bounce is limited, elsewhere the stem is as it came."""
    t = np.arange(FRAMES)
    tone = np.sin(2.0 * np.pi * 440.0 * t / 44100.0)[None].repeat(2, axis=0)
    swell = 0.2 + (peak - 0.2) * np.exp(-(((t - 2000) / 100.0) ** 2))
    old, bounce = integers(0.1 * tone), integers(0.45 * tone)  # the others reach 0.35 of full scale
    joint = Joint(start=0, kept=np.zeros_like(tone), added=swell * tone)
    done = splice_stem(bounce, old, joint, max_true_peak_dbtp=-1.0, max_limiting_db=3.0)
    assert_joined(done, bounce, old, joint)
    assert (done.lowered_db < 0.0) == (peak > 0.9)
    plain = np.rint(joint.added * 10.0 ** (done.lowered_db / 20.0) * FULL_SCALE)
    away = (t < 1200) | (t > 2800)
    assert np.abs(done.stem - plain)[:, away].max() <= FULL_SCALE * 1e-3
    meter = TruePeakMeter()
    meter.add(done.bounce)
    peak_dbtp = decibels(meter.peak())
    assert peak_dbtp is not None
    assert peak_dbtp <= -1.0
    assert (done.limited_samples > 0) == (peak > 0.6)


def test_what_the_kept_stems_pass_by_is_carried_by_the_new_stem() -> None:
    """Without the old stem, which cancelled it, the rest is beyond full scale: the new stem cancels as much as is needed."""
    tone = np.sin(2.0 * np.pi * 220.0 * np.arange(FRAMES) / 44100.0)[None].repeat(2, axis=0)
    old, bounce = integers(-0.7 * tone), integers(0.6 * tone)
    added = noise(5, 0.05)
    joint = Joint(start=0, kept=np.zeros_like(added), added=added)
    for max_dbtp in (None, -1.0):
        done = splice_stem(bounce, old, joint, max_true_peak_dbtp=max_dbtp)
        assert_joined(done, bounce, old, joint)
        assert done.limited_samples > FRAMES // 4
        assert done.lowered_db == -6.0
