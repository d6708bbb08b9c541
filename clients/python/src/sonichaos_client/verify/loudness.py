"""Integrated loudness by ITU-R BS.1770-4 and true peak by its Annex 2, block by block, with numpy only.

``N`` is the number of samples of a block. Samples are 24-bit integers.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sonichaos_client.verify.wav import BLOCK_FRAMES, RATE_HZ

_FULL_SCALE = float(1 << 23)
_STANDARD_RATE_HZ = 48000
# BS.1770-4, tables 1 and 2: coefficients at 48 kHz, (b0, b1, b2), (1, a1, a2).
_SHELF = (1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)
_HIGH_PASS = (1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)
# The impulse response of the 38 Hz high pass decays by 200 dB within 0.2 s.
_TAPS = 1 << 14
_FFT_SIZE = 2 * BLOCK_FRAMES
_HOP_FRAMES = RATE_HZ // 10
_HOPS_PER_BLOCK = 4

# BS.1770-4, Annex 2: two of the four phases; the others are these reversed.
_PHASES = (
    (0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
     0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500),
    (-0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
     0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375),
)  # fmt: skip
_PEAK_TAPS = len(_PHASES[0])


class Meter:
    """Loudness and true peak of a stream of ``(2, N)`` blocks of at most :data:`BLOCK_FRAMES`."""

    def __init__(self) -> None:
        self._tail = np.zeros((2, _TAPS - 1))
        self._power = np.zeros(0)
        self._hops: list[float] = []
        self._peak = 0.0

    def add(self, block: NDArray[np.int32]) -> None:
        """Add the next block."""
        samples = np.concatenate([self._tail, block / _FULL_SCALE], axis=1)
        frames = block.shape[1]
        spectrum = np.fft.rfft(samples, _FFT_SIZE, axis=1) * _k_weighting()
        weighted = np.fft.irfft(spectrum, _FFT_SIZE, axis=1)[:, _TAPS - 1 : _TAPS - 1 + frames]
        self._power = np.concatenate([self._power, np.square(weighted).sum(axis=0)])
        whole = self._power.size // _HOP_FRAMES * _HOP_FRAMES
        self._hops += self._power[:whole].reshape(-1, _HOP_FRAMES).sum(axis=1).tolist()
        self._power = self._power[whole:]
        self._find_peak(samples[:, -(frames + _PEAK_TAPS - 1) :])
        self._tail = samples[:, -(_TAPS - 1) :]

    def lufs(self) -> float | None:
        """Integrated loudness of all blocks so far; None if no gating block is above -70 LUFS."""
        if len(self._hops) < _HOPS_PER_BLOCK:
            return None
        sums = np.convolve(np.array(self._hops), np.ones(_HOPS_PER_BLOCK), "valid")
        blocks = sums / (_HOPS_PER_BLOCK * _HOP_FRAMES)
        blocks = blocks[blocks > _power_of(-70.0)]
        if blocks.size == 0:
            return None
        return _lufs_of(blocks[blocks > _power_of(_lufs_of(blocks) - 10.0)])

    def true_peak_dbtp(self) -> float | None:
        """True peak of all blocks so far; None for digital silence."""
        self._find_peak(np.pad(self._tail[:, -(_PEAK_TAPS - 1) :], ((0, 0), (0, _PEAK_TAPS - 1))))
        return 20.0 * math.log10(self._peak) if self._peak > 0.0 else None

    def _find_peak(self, samples: NDArray[np.float64]) -> None:
        self._peak = max(self._peak, float(np.abs(samples).max(initial=0.0)))
        for channel in samples:
            for phase in _PHASES:
                for taps in (phase, phase[::-1]):
                    self._peak = max(self._peak, float(np.abs(np.convolve(channel, taps, "valid")).max(initial=0.0)))


@cache
def _k_weighting() -> NDArray[np.complex128]:
    """The spectrum of both filters' joint impulse response, for blocks of :data:`_FFT_SIZE`."""
    response = np.zeros(_TAPS)
    response[0] = 1.0
    for numerator, denominator in (_SHELF, _HIGH_PASS):
        response = _filtered(_at_44k1(numerator), _at_44k1(denominator), response)
    return np.asarray(np.fft.rfft(response, _FFT_SIZE), dtype=np.complex128)


def _at_44k1(coefficients: tuple[float, float, float]) -> NDArray[np.float64]:
    """Convert a polynomial in ``1/z`` from 48 kHz to 44.1 kHz, for the same analogue filter.

    The bilinear transforms at both rates give ``u = ((1 - k) + (1 + k) v) / ((1 + k) + (1 - k) v)`` with k the ratio of the rates.
    The common denominator is omitted, because it cancels between a filter's two polynomials.
    """
    k = RATE_HZ / _STANDARD_RATE_HZ
    above, below = np.array([1.0 - k, 1.0 + k]), np.array([1.0 + k, 1.0 - k])
    terms = (np.convolve(below, below), np.convolve(above, below), np.convolve(above, above))
    return np.asarray(sum(c * term for c, term in zip(coefficients, terms, strict=True)), dtype=np.float64)


def _filtered(
    numerator: NDArray[np.float64], denominator: NDArray[np.float64], signal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A biquad over a short signal, sample by sample."""
    b0, b1, b2 = (numerator / denominator[0]).tolist()
    _, a1, a2 = (denominator / denominator[0]).tolist()
    first = second = 0.0
    out = []
    for value in signal.tolist():
        result = b0 * value + first
        first = b1 * value - a1 * result + second
        second = b2 * value - a2 * result
        out.append(result)
    return np.array(out)


def _lufs_of(powers: NDArray[np.float64]) -> float:
    return -0.691 + 10.0 * math.log10(float(powers.mean()))


def _power_of(lufs: float) -> float:
    return float(10.0 ** ((lufs + 0.691) / 10.0))
