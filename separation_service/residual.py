"""Rules by which the model's residual is spread over the stems, so that they sum to the bounce.

Letters: ``S`` stems (4: drums, bass, vocals, other), ``C`` channels (2), ``N`` samples of a block with its context.
A rule has a name, which the manifest carries; a changed rule gets a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Spread = Callable[[NDArray[np.float64], NDArray[np.float64], int], NDArray[np.float64]]
"""``(stems (S, C, N), residual (C, N), first) -> shares (S, C, N)`` that sum to the residual over ``S``.

``first`` is where the samples begin in the take, for rules that work on a grid of their own.
"""


@dataclass(frozen=True)
class ResidualRule:
    """``spread`` sees ``context_frames`` before and after the samples whose shares are used, fewer at the ends of the take."""

    name: str
    context_frames: int
    spread: Spread


_WINDOW_FRAMES = 2048
_OTHER = 3


def _all_into_other(stems: NDArray[np.float64], residual: NDArray[np.float64], _first: int) -> NDArray[np.float64]:
    shares = np.zeros_like(stems)
    shares[_OTHER] = residual
    return shares


def _by_local_energy(stems: NDArray[np.float64], residual: NDArray[np.float64], _first: int) -> NDArray[np.float64]:
    energy = _local_mean(np.square(stems).sum(axis=1))
    total = energy.sum(axis=0)
    # Where every stem is silent there is nothing to go by: the rest of the mix is what `other` means.
    energy[_OTHER, total <= 0.0] = 1.0
    shares: NDArray[np.float64] = (energy / energy.sum(axis=0))[:, None, :] * residual
    return shares


def _local_mean(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(S, N)``: the sum over :data:`_WINDOW_FRAMES` around each sample, never negative."""
    half = _WINDOW_FRAMES // 2
    padded = np.pad(power, ((0, 0), (half + 1, half - 1)))
    running = np.cumsum(padded, axis=1)
    return np.maximum(running[:, _WINDOW_FRAMES:] - running[:, :-_WINDOW_FRAMES], 0.0)


ALL_INTO_OTHER = ResidualRule("other", 0, _all_into_other)
"""The whole residual joins `other`."""

LOCAL_ENERGY = ResidualRule(f"local-energy-{_WINDOW_FRAMES}", _WINDOW_FRAMES // 2, _by_local_energy)
"""Each stem takes a share in proportion to its energy, both channels together, in a window of 2048 samples (46 ms) around each
sample: a silent stem stays silent, and the stereo image of the residual stays."""

CHOSEN = LOCAL_ENERGY
"""What exact mode uses (docs/decisions/0004-exact-sum.md)."""
