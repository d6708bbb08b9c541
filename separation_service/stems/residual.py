"""Rules that distribute the model's residual over the stems, so that they sum to the bounce.

Letters: ``S`` stems (4: drums, bass, vocals, other), ``C`` channels (2), ``N`` samples of a block with its context, ``F`` windows
of a spectrum, ``B`` its bins. The manifest names the rule; a changed rule gets a new name.
docs/decisions/0004-exact-sum.md compares them, by benchmarks/residual_rules.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
Spectrum = NDArray[np.float32]

Spread = Callable[[Samples, Samples, int], Samples]
"""``(stems (S, C, N), residual (C, N), first) -> shares (S, C, N)`` that sum to the residual over ``S``.

``first`` is the position of the first sample in the take, for rules with a grid of their own.
"""

Weigh = Callable[[Spectrum], Spectrum]
"""Power of the stems, both channels together, ``(S, F, B)`` -> each stem's weight in each bin, at least 0, of any scale."""


@dataclass(frozen=True)
class ResidualRule:
    """``spread`` sees ``context_frames`` before and after the samples whose shares are used, fewer at the ends of the take."""

    name: str
    context_frames: int
    spread: Spread


_OTHER = 3
_ENERGY_WINDOW_FRAMES = 2048
_WINDOW_FRAMES = 2048
_HOP_FRAMES = _WINDOW_FRAMES // 2
_MAX_BITS = 26
_ALONE = np.float32(2.0**-10)
"""A stem that has a bin to itself still has a weight there, so that it receives what is left in the bin."""


def by_bins(name: str, weigh: Weigh) -> ResidualRule:
    """A rule that weighs each bin of a spectrum of 2048 samples (46 ms, 21.5 Hz).

    The windows are on a grid from the take's first sample on, so that a sample's share does not depend on its block.
    """
    return ResidualRule(f"{name}-{_WINDOW_FRAMES}", _WINDOW_FRAMES, partial(_spread_by_bins, weigh))


def _spread_by_bins(weigh: Weigh, stems: Samples, residual: Samples, first: int) -> Samples:
    frames = residual.shape[-1]
    # From a point of the grid on, with half a window of silence on either side, so that every sample is in two windows.
    before = _HOP_FRAMES + first % _HOP_FRAMES
    after = _HOP_FRAMES + -(before + frames) % _HOP_FRAMES
    unit = _unit(stems, residual)
    weights = weigh(np.square(np.abs(_spectrum(stems / unit, before, after))).sum(axis=1))
    total = weights.sum(axis=0)
    # Where every stem is silent no weight is known, and `other` means the rest of the mix.
    weights[_OTHER, total <= 0.0] = 1.0
    weights = weights[:_OTHER] / weights.sum(axis=0)
    distributed = _waveform(weights[:, None] * _spectrum(residual / unit, before, after)[None])
    shares = np.empty_like(stems)
    shares[:_OTHER] = distributed[..., before : before + frames]
    shares[:_OTHER] *= unit
    # `other` is the rest, rounding errors of single precision included, so that the shares sum to the residual.
    np.subtract(residual, shares[:_OTHER].sum(axis=0), out=shares[_OTHER])
    return shares


def _unit(stems: Samples, residual: Samples) -> float:
    """A power of two, which changes no digit: it brings the huge values of a broken model into the range of single precision."""
    loudest = max(stems.max(), -stems.min(), residual.max(), -residual.min())
    return math.ldexp(1.0, max(math.frexp(float(loudest))[1] - _MAX_BITS, 0))


def _spectrum(samples: Samples, before: int, after: int) -> NDArray[np.complex64]:
    """``(..., N)`` with silence before and after -> ``(..., F, B)``."""
    from scipy.fft import rfft

    frames = samples.shape[-1]
    padded = np.zeros((*samples.shape[:-1], before + frames + after), dtype=np.float32)
    padded[..., before : before + frames] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_FRAMES, axis=-1)[..., ::_HOP_FRAMES, :]
    bins: NDArray[np.complex64] = rfft(windows * _window(), axis=-1)
    return bins


def _waveform(bins: NDArray[np.complex64]) -> NDArray[np.float32]:
    """``(..., F, B)`` -> ``(..., N)`` with its padding: the inverse of `_spectrum`."""
    from scipy.fft import irfft

    windows = irfft(bins, _WINDOW_FRAMES, axis=-1) * _window()
    halves = windows.reshape(*windows.shape[:-1], 2, _HOP_FRAMES)
    joined = np.zeros((*windows.shape[:-2], windows.shape[-2] + 1, _HOP_FRAMES), dtype=np.float32)
    joined[..., :-1, :] = halves[..., 0, :]
    joined[..., 1:, :] += halves[..., 1, :]
    return joined.reshape(*joined.shape[:-2], -1)


@cache
def _window() -> NDArray[np.float32]:
    """Square root of a Hann window: its square, overlapped by half, sums to 1."""
    return np.sin(np.pi * (np.arange(_WINDOW_FRAMES) + 0.5) / _WINDOW_FRAMES).astype(np.float32)


def _all_into_other(stems: Samples, residual: Samples, _first: int) -> Samples:
    shares = np.zeros_like(stems)
    shares[_OTHER] = residual
    return shares


def _by_local_energy(stems: Samples, residual: Samples, _first: int) -> Samples:
    energy = _local_mean(np.square(stems).sum(axis=1))
    total = energy.sum(axis=0)
    energy[_OTHER, total <= 0.0] = 1.0
    shares: Samples = (energy / energy.sum(axis=0))[:, None, :] * residual
    return shares


def _local_mean(power: Samples) -> Samples:
    """``(S, N)``: the sum over :data:`_ENERGY_WINDOW_FRAMES` around each sample, never negative."""
    half = _ENERGY_WINDOW_FRAMES // 2
    padded = np.pad(power, ((0, 0), (half + 1, half - 1)))
    running = np.cumsum(padded, axis=1)
    return np.maximum(running[:, _ENERGY_WINDOW_FRAMES:] - running[:, :-_ENERGY_WINDOW_FRAMES], 0.0)


def _deviation(power: Spectrum) -> Spectrum:
    total = power.sum(axis=0)
    others = (total - power) / np.maximum(total, np.finfo(np.float32).tiny)
    deviation: Spectrum = np.sqrt(power) * np.sqrt(others + _ALONE)
    return deviation


ALL_INTO_OTHER = ResidualRule("other", 0, _all_into_other)
"""The whole residual is added to `other`."""

LOCAL_ENERGY = ResidualRule(f"local-energy-{_ENERGY_WINDOW_FRAMES}", _ENERGY_WINDOW_FRAMES // 2, _by_local_energy)
"""Each stem's share is proportional to its energy, both channels together, in a window of 2048 samples around each sample."""

BIN_DEVIATION = by_bins("bin-deviation", _deviation)
"""Each stem's share is proportional to its uncertainty in each bin, both channels together: the standard deviation that it would
have, given the mix, if all stems were Gaussian with the powers that the model gave them. A stem that has a bin almost to itself is
certain there, a silent one gets nothing, and the stereo image of the residual does not change."""

CHOSEN = BIN_DEVIATION
"""What exact mode uses (docs/decisions/0004-exact-sum.md)."""
