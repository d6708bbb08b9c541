"""Resampling, crossfades, levels and chroma on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from separation_service.alignment.key import Key, chroma, key_scores, scale_share
from separation_service.alignment.level import is_audible, loudness_lufs
from separation_service.alignment.resample import read_at
from separation_service.alignment.seams import FADE_FRAMES, best_lag_s, crossfade, level_error_db
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ


def tone(hz: float, frames: int, *, late_s: float = 0.0) -> np.ndarray:
    """``(2, frames)`` of a sine at half of full scale."""
    return 0.5 * np.sin(2.0 * np.pi * hz * (np.arange(frames) / SAMPLE_RATE_HZ - late_s))[None].repeat(2, axis=0)


@pytest.mark.parametrize("hz", [60.0, 1000.0, 18_000.0])
def test_a_sine_is_read_between_its_samples(hz: float) -> None:
    """At a speed 0.3 % off, with an error of -80 dB or less."""
    at = np.linspace(100.25, 9800.75, 9000)
    read = read_at(tone(hz, 10_000).astype(np.float32), at)[0]
    error = read - 0.5 * np.sin(2.0 * np.pi * hz * at / SAMPLE_RATE_HZ)
    assert 10.0 * np.log10(np.mean(np.square(error)) / 0.125) < -80.0


def test_whole_positions_give_the_samples_and_outside_is_silence() -> None:
    """Bit for bit."""
    audio = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 1000)).astype(np.float32)
    assert (read_at(audio, np.arange(1000.0)).astype(np.float32) == audio).all()
    assert not read_at(audio, np.array([-1e9, -40.0, 1040.0, 1e9])).any()


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.6, 0.95])
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_a_crossfade_holds_the_level_whatever_the_two_have_in_common(rho: float, gain: float) -> None:
    """Within 0.5 dB over the crossfade and 1.5 dB in each quarter of it, where equal power would be +2.0 dB at a rho of 0.6."""
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(40):
        one, other = rng.standard_normal((2, 2, FADE_FRAMES)) * 0.1
        into = gain * (rho * one + np.sqrt(1.0 - rho**2) * other)
        fade = crossfade(one, into)
        assert fade.rho == pytest.approx(rho, abs=0.1)
        error = level_error_db(one, into, fade)
        assert error is not None
        assert abs(error) < 0.5
        joined, quarter = fade.out_gain * one + fade.in_gain * into, FADE_FRAMES // 4
        errors.append([float(np.square(joined[:, q * quarter : (q + 1) * quarter]).mean()) for q in range(4)])
    if gain == 1.0:
        assert np.abs(10.0 * np.log10(np.mean(errors, axis=0) / 0.01)).max() < 0.5


def test_silence_on_one_side_is_a_plain_fade() -> None:
    """Cosine or sine, from whole to nothing."""
    silence, sound = np.zeros((2, FADE_FRAMES)), tone(440.0, FADE_FRAMES)
    fade = crossfade(silence, sound)
    assert fade.rho is None
    assert fade.in_gain[0] < 0.01
    assert fade.in_gain[-1] > 0.99
    assert level_error_db(silence, silence, fade) is None


def test_the_lag_meets_the_phase() -> None:
    """A tone that is 3 ms late is read 3 ms later; where 5 ms are not allowed, no further than is."""
    old, new = tone(110.0, 3 * FADE_FRAMES), tone(110.0, 3 * FADE_FRAMES, late_s=0.003)

    def read(start: int, stop: int) -> np.ndarray:
        return read_at(new.astype(np.float32), np.arange(float(start), float(stop)))

    window = old[:, FADE_FRAMES : 2 * FADE_FRAMES]
    assert best_lag_s(window, read, FADE_FRAMES, max_s=0.005) == pytest.approx(0.003, abs=0.0003)
    assert best_lag_s(window, read, FADE_FRAMES, max_s=0.001) == pytest.approx(0.001, abs=0.0003)
    assert best_lag_s(np.zeros_like(window), read, FADE_FRAMES, max_s=0.005) == 0.0


def test_loudness_tells_silence_from_sound() -> None:
    """A bar of a third of a second has a loudness too."""
    assert loudness_lufs(np.zeros((2, 44100))) is None
    short, long = loudness_lufs(tone(997.0, 15_000)), loudness_lufs(tone(997.0, 88_200))
    assert short is not None
    assert long == pytest.approx(-6.0, abs=0.2)
    assert is_audible(short, long)
    assert not is_audible(-50.0, long)
    assert not is_audible(None, long)


def test_chords_tell_their_key() -> None:
    """Tonic, subdominant and dominant of each key, in either mode."""
    frames = 2 * SAMPLE_RATE_HZ
    for key in (
        Key(tonic=0, minor=False),
        Key(tonic=6, minor=True),
        Key(tonic=9, minor=True),
        Key(tonic=10, minor=False),
    ):
        thirds = (0, 3, 7) if key.minor else (0, 4, 7)
        roots = (0, 5, 7, 0)
        sound = [
            sum(tone(110.0 * 2.0 ** ((key.tonic + root + step - 9) / 12.0), frames) for step in thirds)
            for root in roots
        ]
        shares = chroma(np.concatenate(sound, axis=1).astype(np.float32))
        assert shares is not None
        assert key_scores(shares)[0][1] == key
        assert scale_share(shares, key) > 0.65
        assert Key.named(str(key)) == key
    assert chroma(np.zeros((2, 44100), dtype=np.float32)) is None
    with pytest.raises(ValueError, match="got 'H'"):
        Key.named("H minor")
