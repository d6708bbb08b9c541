"""The effects of a stem's stereo bus: spectral tilt, reverb, width, saturation, level. Letters: ``T`` frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from training.corpus.loudness import loudness_lufs
from training.corpus.persona import PanLaw, Room
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

_SMALLEST_BLOCK_BITS = 14
_TILT_TAPS = 512
_TILT_FFT = 4096
_TILT_LIMIT_DB = 12.0
_TAIL_SHARE = 0.75  # of the decay time; the tail is cut at -45 dB


def pan(mono: Audio, position: float, law: PanLaw) -> Audio:
    """``(T,) -> (2, T)``; ``position`` from -1 left to 1 right; ``law`` sets the level of each side at the centre."""
    centre = 10.0 ** (law.value / 20.0)
    exponent = np.log(centre) / np.log(0.5)
    share = 0.5 * (1.0 + position)
    gains = np.array([[(1.0 - share) ** exponent], [share**exponent]], dtype=np.float32)
    return gains * mono


def add_room(audio: Audio, *, room: Room, wet: float, tilt_db: float) -> Audio:
    """Tilt the spectrum and add reverb, in one convolution. ``(2, T) -> (2, T)``."""
    return convolve(audio, _response(room, round(wet, 3), round(tilt_db, 2)))


def convolve(audio: Audio, response: Audio) -> Audio:
    """Convolve each side with its own response; the tail is cut at the end. ``(2, T)``, ``(2, taps) -> (2, T)``.

    Overlap-add with torch's float32 transforms, twice as fast as scipy's `oaconvolve`.
    """
    frames, taps = audio.shape[1], response.shape[1]
    size = 1 << max((4 * taps - 1).bit_length(), _SMALLEST_BLOCK_BITS)
    step = size - taps + 1
    count = -(-frames // step)
    padded = torch.zeros(2, count * step)
    padded[:, :frames] = torch.from_numpy(np.ascontiguousarray(audio))
    spectra = torch.fft.rfft(padded.reshape(2, count, step), n=size)
    spectra *= torch.fft.rfft(torch.from_numpy(response), n=size)[:, None]
    pieces = torch.fft.irfft(spectra, n=size)
    wet = torch.zeros(2, count * step + taps - 1)
    for block in range(count):
        wet[:, block * step : block * step + size] += pieces[:, block]
    return np.ascontiguousarray(wet[:, :frames].numpy())


def widen(audio: Audio, width: float) -> Audio:
    """Scale the side signal: 0 gives mono, 1 changes nothing. ``(2, T) -> (2, T)``."""
    middle = 0.5 * (audio[0] + audio[1])
    side = np.float32(0.5 * width) * (audio[0] - audio[1])
    return np.stack([middle + side, middle - side])


def saturate(audio: Audio, drive: float) -> Audio:
    """Soft-clip; ``drive`` from 0 to 1, relative to the peak. ``(2, T) -> (2, T)``."""
    peak = float(np.abs(audio).max(initial=0.0))
    if peak == 0.0:
        return audio
    push = np.float32((1.0 + 4.0 * drive) / peak)
    rounded: Audio = np.tanh(audio * push) / push
    return rounded


def normalise_loudness(audio: Audio, target_lufs: float) -> Audio:
    """Normalise to a loudness; silence stays silent. ``(2, T) -> (2, T)``."""
    loudness = loudness_lufs(audio)
    if loudness is None:
        return audio * np.float32(0.0) if float(np.abs(audio).max(initial=0.0)) < 1e-6 else audio
    return audio * np.float32(10.0 ** ((target_lufs - loudness) / 20.0))


@lru_cache(maxsize=16)
def _response(room: Room, wet: float, tilt_db: float) -> Audio:
    """Impulse response of direct sound and room ``(2, taps)``."""
    direct = _tilt(tilt_db)
    tail = _tail(room) * wet
    response = np.zeros((2, max(_TILT_TAPS, tail.shape[1])), dtype=np.float64)
    response[:, : tail.shape[1]] += tail
    response[:, :_TILT_TAPS] += direct
    return response.astype(np.float32)


def _tilt(tilt_db: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Minimum-phase filter ``(taps,)`` with a constant slope in dB per octave, 0 dB at 1 kHz."""
    hz = np.maximum(np.fft.rfftfreq(_TILT_FFT, 1.0 / SAMPLE_RATE_HZ), 30.0)
    gain_db = np.clip(tilt_db * np.log2(hz / 1000.0), -_TILT_LIMIT_DB, _TILT_LIMIT_DB)
    cepstrum = np.fft.irfft(gain_db * np.log(10.0) / 20.0, _TILT_FFT)
    fold = np.zeros(_TILT_FFT)
    fold[0] = 1.0
    fold[1 : _TILT_FFT // 2] = 2.0
    fold[_TILT_FFT // 2] = 1.0
    taps: np.ndarray[tuple[int], np.dtype[np.float64]] = np.fft.irfft(np.exp(np.fft.rfft(cepstrum * fold)), _TILT_FFT)[
        :_TILT_TAPS
    ]
    return taps


def _tail(room: Room) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
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
