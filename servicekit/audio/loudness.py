"""Integrated loudness by ITU-R BS.1770-4 and true peak by its Annex 2, in memory that does not grow with length.

The K-weighting is pyloudnorm's 'DeMan' pair of filters, which follow the standard's own coefficients at 44.1 kHz (0.02 LU on EBU
Tech 3341 signals 1 to 6, where pyloudnorm's default is within 0.06 LU).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import CHANNELS, FULL_SCALE, SAMPLE_RATE_HZ, Pcm24, Waveform, blocks
from servicekit.audio.true_peak import TruePeakMeter, decibels

# BS.1770-4: gating blocks of 400 ms that overlap by 75 %, an absolute gate at -70 LKFS, a relative one 10 LU below.
HOP_FRAMES = SAMPLE_RATE_HZ // 10
_HOPS_PER_BLOCK = 4
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_DB = -0.691

Biquad = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Loudness:
    """Loudness of one file, rounded to 0.01 so that manifest, WAV and job agree.

    ``lufs`` is integrated loudness; None for what has none: silence, and anything shorter than one gating block of 0.4 s.
    ``true_peak_dbtp`` is None for digital silence.
    """

    lufs: float | None
    true_peak_dbtp: float | None


def measure(pcm: Pcm24) -> Loudness:
    """Loudness and true peak of ``(2, T)``."""
    meter = Meter()
    for block in blocks(pcm.shape[1]):
        meter.add(pcm[:, block])
    return meter.loudness()


class Meter:
    """Loudness and true peak of a stream: :meth:`add` its blocks in order, then read the result once.

    The reading is the same to the last bit however the stream is cut into blocks.
    """

    def __init__(self) -> None:
        self._loudness = LoudnessMeter()
        self._peak = TruePeakMeter()

    def add(self, pcm: Pcm24) -> None:
        """Add the next block ``(2, N)``."""
        self._loudness.add(pcm)
        self._peak.add(pcm)

    def loudness(self) -> Loudness:
        """Result over all blocks; nothing can be added afterwards."""
        lufs = self._loudness.integrated_lufs()
        peak_dbtp = decibels(self._peak.peak())
        return Loudness(
            lufs=None if lufs is None else round(lufs, 2),
            true_peak_dbtp=None if peak_dbtp is None else round(peak_dbtp, 2),
        )


def integrated_lufs(pcm: Pcm24) -> float | None:
    """Integrated loudness of ``(2, T)`` in LUFS, not rounded; None if no gating block passes the absolute gate."""
    meter = LoudnessMeter()
    for block in blocks(pcm.shape[1]):
        meter.add(pcm[:, block])
    return meter.integrated_lufs()


class LoudnessMeter:
    """Integrated loudness of a stream: :meth:`add` its blocks in order, of any length, then read the result."""

    def __init__(self) -> None:
        self._energy = _WeightedEnergy(HOP_FRAMES)

    def add(self, pcm: Pcm24) -> None:
        """Add the next block ``(2, N)``."""
        self._energy.add(pcm / float(FULL_SCALE))

    def integrated_lufs(self) -> float | None:
        """Result so far; None if no gating block passes the absolute gate."""
        return gated_lufs(self._energy.pieces())


def weighted_energy(waveform: Waveform, piece_frames: int) -> NDArray[np.float64]:
    """The K-weighted energy of ``(2, T)`` in each whole piece, both channels summed. ``(T // piece_frames,)``."""
    energy = _WeightedEnergy(piece_frames)
    for block in blocks(waveform.shape[1]):
        energy.add(np.asarray(waveform[:, block], dtype=np.float64))
    return energy.pieces()


def gated_lufs(energy: NDArray[np.float64]) -> float | None:
    """Integrated loudness from the :func:`weighted_energy` of each hop; None if no block passes the absolute gate."""
    if energy.size < _HOPS_PER_BLOCK:
        return None
    hops = np.lib.stride_tricks.sliding_window_view(energy, _HOPS_PER_BLOCK)
    power = hops.sum(axis=1) / (_HOPS_PER_BLOCK * HOP_FRAMES)
    heard = power[power > _power_of(_ABSOLUTE_GATE_LUFS)]
    if heard.size == 0:
        return None
    gated = heard[heard > _power_of(_lufs_of(heard) + _RELATIVE_GATE_LU)]
    return _lufs_of(gated)


class _WeightedEnergy:
    """:func:`weighted_energy` of a stream: :meth:`add` its blocks in order, of any length."""

    def __init__(self, piece_frames: int) -> None:
        self._piece_frames = piece_frames
        self._states: list[NDArray[np.float64]] = [np.zeros((CHANNELS, 2)) for _ in _k_weighting()]
        self._pieces: list[NDArray[np.float64]] = [np.empty(0)]
        self._open = np.empty(0)

    def add(self, samples: NDArray[np.float64]) -> None:
        """Add the next block ``(2, N)``, full scale 1.0."""
        from scipy.signal import lfilter

        if not samples.shape[1]:
            return  # lfilter returns an invalid state for an empty block
        for index, (b, a) in enumerate(_k_weighting()):
            samples, self._states[index] = lfilter(b, a, samples, axis=1, zi=self._states[index])
        # Each piece is summed in one operation, so that block boundaries do not affect the last bits.
        power = np.concatenate([self._open, np.square(samples).sum(axis=0)])
        whole = power.size - power.size % self._piece_frames
        self._pieces.append(power[:whole].reshape(-1, self._piece_frames).sum(axis=1))
        self._open = power[whole:]

    def pieces(self) -> NDArray[np.float64]:
        """The energy of each whole piece so far."""
        return np.concatenate(self._pieces)


@cache
def _k_weighting() -> tuple[Biquad, ...]:
    """High shelf, then high pass, as ``(b, a)``. Source of the four numbers each: pyloudnorm's 'DeMan' class."""
    from pyloudnorm.iirfilter import IIRfilter

    shelf = IIRfilter(3.99984385397, 0.7071752369554193, 1681.9744509555319, SAMPLE_RATE_HZ, "high_shelf_DeMan")
    high_pass = IIRfilter(0.0, 0.5003270373253953, 38.13547087613982, SAMPLE_RATE_HZ, "high_pass_DeMan")
    return (shelf.b, shelf.a), (high_pass.b, high_pass.a)


def _lufs_of(powers: NDArray[np.float64]) -> float:
    return _OFFSET_DB + 10.0 * math.log10(float(powers.mean()))


def _power_of(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_DB) / 10.0))
