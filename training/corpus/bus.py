"""The effects of a stem's stereo bus: spectral tilt, reverb, width, saturation, level. Letters: ``T`` frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from training.corpus.loudness import levelling_lufs
from training.corpus.persona import PanLaw, Room
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

_FFT_SIZES = tuple(sorted(base << bits for base in (4, 5, 6) for bits in range(12, 16)))
_BLOCKS_AT_ONCE = 4
_VECTOR_ROWS = 4  # pocketfft transforms this many rows at once
_SINGLE_ROW_COST = 2.7  # of a row that is transformed alone, relative to one of four
_TILT_TAPS = 512
_TILT_FFT = 4096
_TILT_LIMIT_DB = 12.0
_TAIL_SHARE = 0.75  # of the decay time; the tail is cut at -45 dB


def pan_gains(position: float, law: PanLaw, *, level: float = 1.0) -> tuple[float, float]:
    """Gains of both sides; ``position`` from -1 left to 1 right; ``law`` sets the level of each side at the centre."""
    centre = 10.0 ** (law.value / 20.0)
    exponent = np.log(centre) / np.log(0.5)
    share = 0.5 * (1.0 + position)
    return level * float((1.0 - share) ** exponent), level * float(share**exponent)


def add_room(audio: Audio, *, room: Room, wet: float, tilt_db: float) -> Audio:
    """Tilt the spectrum and add reverb, in one convolution. ``(1 or 2, T) -> (2, T)``."""
    return convolve(audio, _response(room, round(wet, 3), round(tilt_db, 2)))


def convolve(audio: Audio, response: Audio) -> Audio:
    """Convolve each side with its own response; the tail is cut at the end. ``(1 or 2, T)``, ``(2, taps) -> (2, T)``.

    Overlap-save with scipy's float32 transforms, which keep their plans and transform four rows at once.
    """
    (sides, frames), taps = audio.shape, response.shape[1]
    size = _fft_size(frames, taps)
    step = size - taps + 1
    filters = scipy.fft.rfft(response, n=size)[:, None]
    wet = np.empty((2, frames), dtype=np.float32)
    blocks = np.zeros((sides, _BLOCKS_AT_ONCE, size), dtype=np.float32)
    starts = range(0, frames, step)
    for first in range(0, len(starts), _BLOCKS_AT_ONCE):
        group = starts[first : first + _BLOCKS_AT_ONCE]
        for block, at in enumerate(group):
            history, until = min(at, taps - 1), min(step, frames - at)
            blocks[:, block, taps - 1 - history : taps - 1 + until] = audio[:, at - history : at + until]
            blocks[:, block, taps - 1 + until :] = 0.0
        spectra = scipy.fft.rfft(blocks[:, : len(group)])
        spectra = np.multiply(spectra, filters, out=spectra if sides == 2 else None)
        pieces = scipy.fft.irfft(spectra, n=size, overwrite_x=True)
        for block, at in enumerate(group):
            wet[:, at : at + step] = pieces[:, block, taps - 1 :][:, : frames - at]
    return wet


def _fft_size(frames: int, taps: int) -> int:
    """The size of the blocks of a stereo convolution that takes the least time."""

    def cost(size: int) -> float:
        vectors, single = divmod(2 * -(-frames // (size - taps + 1)), _VECTOR_ROWS)
        return size * (_VECTOR_ROWS * vectors + _SINGLE_ROW_COST * single)

    return min((size for size in _FFT_SIZES if size >= 2 * taps), key=cost)


def widen(audio: Audio, width: float) -> Audio:
    """Scale the side signal in place: 0 gives mono, 1 changes nothing. ``(2, T) -> (2, T)``."""
    left, right = audio
    side = left - right
    side *= np.float32(0.5 * (width - 1.0))
    left += side
    right -= side
    return audio


def saturate(audio: Audio, drive: float) -> Audio:
    """Soft-clip in place; ``drive`` from 0 to 1, relative to the peak. ``(2, T) -> (2, T)``."""
    peak = peak_of(audio)
    if peak == 0.0:
        return audio
    push = np.float32((1.0 + 4.0 * drive) / peak)
    audio *= push
    np.tanh(audio, out=audio)
    audio *= 1 / push
    return audio


def normalise_loudness(audio: Audio, target_lufs: float) -> Audio:
    """Normalise to a loudness in place; silence stays silent. ``(2, T) -> (2, T)``."""
    loudness = levelling_lufs(audio)
    if loudness is None:
        audio *= np.float32(0.0 if peak_of(audio) < 1e-6 else 1.0)
    else:
        audio *= np.float32(10.0 ** ((target_lufs - loudness) / 20.0))
    return audio


def peak_of(audio: Audio) -> float:
    """The largest magnitude; 0 if empty."""
    return max(float(audio.max(initial=0.0)), -float(audio.min(initial=0.0)))


@lru_cache(maxsize=16)
def _response(room: Room, wet: float, tilt_db: float) -> Audio:
    """Impulse response of direct sound and room ``(2, taps)``."""
    direct = _tilt(tilt_db)
    tail = _tail(room) * wet
    response = np.zeros((2, max(_TILT_TAPS, tail.shape[1])), dtype=np.float64)
    response[:, : tail.shape[1]] += tail
    response[:, :_TILT_TAPS] += direct
    return response.astype(np.float32)


def _tilt(tilt_db: float) -> NDArray[np.float64]:
    """Minimum-phase filter ``(taps,)`` with a constant slope in dB per octave, 0 dB at 1 kHz."""
    hz = np.maximum(np.fft.rfftfreq(_TILT_FFT, 1.0 / SAMPLE_RATE_HZ), 30.0)
    gain_db = np.clip(tilt_db * np.log2(hz / 1000.0), -_TILT_LIMIT_DB, _TILT_LIMIT_DB)
    cepstrum = np.fft.irfft(gain_db * np.log(10.0) / 20.0, _TILT_FFT)
    fold = np.zeros(_TILT_FFT)
    fold[0] = 1.0
    fold[1 : _TILT_FFT // 2] = 2.0
    fold[_TILT_FFT // 2] = 1.0
    taps: NDArray[np.float64] = np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)), _TILT_FFT)[:_TILT_TAPS]
    return taps


@lru_cache(maxsize=4)
def _tail(room: Room) -> NDArray[np.float64]:
    """Decaying noise ``(2, taps)``, independent on each side, unit energy."""
    rng = np.random.default_rng(room.seed)
    delay = round(room.pre_delay_s * SAMPLE_RATE_HZ)
    length = max(64, round(room.decay_s * _TAIL_SHARE * SAMPLE_RATE_HZ))
    t = np.arange(length) / SAMPLE_RATE_HZ
    noise = rng.standard_normal((2, length)) * 10.0 ** (-3.0 * t / room.decay_s)
    hz = np.fft.rfftfreq(length, 1.0 / SAMPLE_RATE_HZ)
    gain = (hz / 150.0) ** 2 / (1.0 + (hz / 150.0) ** 2) / (1.0 + (hz / room.damping_hz) ** 2)
    tail = np.fft.irfft(np.fft.rfft(noise, axis=1) * gain, length, axis=1)
    tail /= np.sqrt(np.mean(np.sum(tail**2, axis=1)))
    return np.pad(tail, ((0, 0), (delay, 0)))
