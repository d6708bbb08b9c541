"""Rate conversion: tones in the pass band are unchanged, aliases are removed, and there is no delay."""

from __future__ import annotations

import numpy as np
import pytest

from servicekit.audio.rate import convert_blocks, convert_rate, converted_frames, low_pass


def _tone(hz: float, rate_hz: int, frames: int) -> np.ndarray:
    return 0.5 * np.sin(2.0 * np.pi * hz * np.arange(frames) / rate_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 44100), (44100, 48000)])
@pytest.mark.parametrize("hz", [40.0, 997.0, 20000.0])
def test_a_tone_in_the_pass_band_is_unchanged(from_hz: int, to_hz: int, hz: float) -> None:
    """To -120 dB of its level, including its phase, away from the ends."""
    converted = convert_rate(_tone(hz, from_hz, from_hz)[None].astype(np.float32), from_hz=from_hz, to_hz=to_hz)[0]
    error = (converted - _tone(hz, to_hz, to_hz))[2000:-2000]
    assert converted.dtype == np.float32
    assert 20.0 * np.log10(error.std() / 0.3536) < -120.0


def test_frequencies_above_the_lower_rates_half_are_removed() -> None:
    """Aliases of tones above 22.05 kHz are below -120 dB."""
    for hz in (22100.0, 23500.0):
        converted = convert_rate(_tone(hz, 48000, 48000)[None].astype(np.float32), from_hz=48000, to_hz=44100)[0]
        assert 20.0 * np.log10(converted[2000:-2000].std() / 0.3536) < -120.0


@pytest.mark.parametrize("frames", [1, 160, 161, 48_001])
def test_the_length_is_exact_and_channels_are_independent(frames: int) -> None:
    """The number of frames is rounded up; a silent channel stays silent."""
    sound = np.zeros((2, frames), dtype=np.float32)
    sound[1] = 0.25
    converted = convert_rate(sound, from_hz=48000, to_hz=44100)
    assert converted.shape == (2, -(-frames * 147 // 160))
    assert not converted[0].any()
    assert converted[1].any()


def test_equal_rates_change_nothing() -> None:
    """The same array comes back."""
    sound = np.ones((2, 10), dtype=np.float32)
    assert convert_rate(sound, from_hz=48000, to_hz=48000) is sound


@pytest.mark.parametrize("rate_hz", [48000, 96000, 22050, 8000])
@pytest.mark.parametrize("block", [997, 65536])
def test_blocks_give_the_samples_of_the_whole(rate_hz: int, block: int) -> None:
    """However a recording is cut into blocks, the converted samples are those of the whole."""
    frames = 30_011
    sound = np.random.default_rng(0).standard_normal((2, frames))
    blocks = (sound[:, start : start + block] for start in range(0, frames, block))
    pieces = list(convert_blocks(blocks, from_hz=rate_hz, to_hz=44100, frames=frames))
    whole = convert_rate(sound.astype(np.float32), from_hz=rate_hz, to_hz=44100)
    joined = np.concatenate(pieces, axis=1)
    assert joined.shape == whole.shape == (2, converted_frames(frames, from_hz=rate_hz, to_hz=44100))
    assert np.abs(joined - whole).max() < 1e-5


def test_the_filter_has_linear_phase() -> None:
    """An odd number of symmetric taps with sum 1."""
    taps = low_pass(48000, 44100)
    assert len(taps) % 2 == 1
    assert np.allclose(taps, taps[::-1], atol=1e-15)
    assert taps.sum() == pytest.approx(1.0, abs=1e-9)
