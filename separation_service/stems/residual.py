"""Rules by which the model's residual is spread over the stems, so that they sum to the bounce.

Letters: ``S`` stems (4: drums, bass, vocals, other), ``C`` channels (2), ``N`` samples of a block with its context, ``F`` windows
of a spectrum, ``B`` its bins. A rule has a name, which the manifest carries; a changed rule gets a new one. How they compare is in
docs/decisions/0004-exact-sum.md; benchmarks/residual_rules.py makes that table.
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

``first`` is where the samples begin in the take, for rules that work on a grid of their own.
"""

Weigh = Callable[[Spectrum], Spectrum]
"""Power of the stems, both channels together, ``(S, F, B)`` -> the weight of each in each bin, not negative, of any scale."""


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
_MOST_BITS = 26
_ALONE = np.float32(2.0**-10)
"""Who has a bin all to itself is still the one to take what is left in it."""


def by_bins(name: str, weigh: Weigh) -> ResidualRule:
    """A rule that decides bin by bin of a spectrum of 2048 samples (46 ms, 21.5 Hz).

    Windows lie on a grid that begins at the take's first sample, so that a sample's share is the same in whatever block it comes.
    """
    return ResidualRule(f"{name}-{_WINDOW_FRAMES}", _WINDOW_FRAMES, partial(_spread_by_bins, weigh))


def _spread_by_bins(weigh: Weigh, stems: Samples, residual: Samples, first: int) -> Samples:
    frames = residual.shape[-1]
    # From a point of the grid on, with half a window of silence on either side, so that every sample lies in two windows.
    before = _HOP_FRAMES + first % _HOP_FRAMES
    after = _HOP_FRAMES + -(before + frames) % _HOP_FRAMES
    unit = _unit(stems, residual)
    weights = weigh(np.square(np.abs(_spectrum(stems / unit, before, after))).sum(axis=1))
    total = weights.sum(axis=0)
    # Where every stem is silent there is nothing to go by: the rest of the mix is what `other` means.
    weights[_OTHER, total <= 0.0] = 1.0
    weights = weights[:_OTHER] / weights.sum(axis=0)
    given = _waveform(weights[:, None] * _spectrum(residual / unit, before, after)[None])
    shares = np.empty_like(stems)
    shares[:_OTHER] = given[..., before : before + frames]
    shares[:_OTHER] *= unit
    # `other` takes the rest, and with it what single precision leaves, so that the shares sum to the residual.
    np.subtract(residual, shares[:_OTHER].sum(axis=0), out=shares[_OTHER])
    return shares


def _unit(stems: Samples, residual: Samples) -> float:
    """A power of two, which changes no digit: it brings what is no sound, but a broken model may give, within single precision."""
    loudest = max(stems.max(), -stems.min(), residual.max(), -residual.min())
    return math.ldexp(1.0, max(math.frexp(float(loudest))[1] - _MOST_BITS, 0))


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
"""The whole residual joins `other`."""

LOCAL_ENERGY = ResidualRule(f"local-energy-{_ENERGY_WINDOW_FRAMES}", _ENERGY_WINDOW_FRAMES // 2, _by_local_energy)
"""Each stem takes a share in proportion to its energy, both channels together, in a window of 2048 samples around each sample."""

BIN_DEVIATION = by_bins("bin-deviation", _deviation)
"""Each stem takes a share in proportion to how unsure it is in each bin, both channels together: the standard deviation that it
would have, given the mix, if all stems were Gaussian with the powers that the model gave them. A stem that has a bin nearly to
itself is sure of it, one that is silent in a bin takes nothing of it, and the stereo image of the residual stays."""

CHOSEN = BIN_DEVIATION
"""What exact mode uses (docs/decisions/0004-exact-sum.md)."""
