"""How late the new mix runs and how much faster or slower: one offset and one drift for the whole take, never a jump a bar.

The model: what the grid has at ``t`` sounds in the mix at ``t + offset + drift * t``. Letters: ``N`` onsets, ``G`` subdivisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.grid import Grid, Times
from separation_service.alignment.onsets import Onsets

MAX_DRIFT = 0.006
"""Searched either way. Varispeed up to 0.3 % is five cents; twice that leaves room to see what is beyond."""
MAX_OFFSET_S = 0.1
_COARSE_S = 0.004
_KERNEL_S = 0.008
_LIKELY_OFFSET_S, _LIKELY_DRIFT = (
    0.08,
    0.004,
)  # which of two sixteenths was meant: the nearer one, unless the accents say otherwise
_WINDOWS_S = (0.03, 0.02, 0.015)
_MIN_ONSETS = 8
_CHANCE_DEVIATIONS = (
    4.0  # standard deviations by which those on the grid outnumber what onsets without regard for it would give
)
_MIN_MOVED_S = 0.002  # a drift that moves neither end by more is left alone
_MIN_SHARPNESS = 0.1
_STRUCK_SHARPNESS, _SWELLING_SHARPNESS = (
    6.0,
    3.0,
)  # median sharpness of struck and of slow attacks
_ATTACK_SCATTERS = 2.0  # detection delay of slow attacks, in multiples of their scatter
_SIGNIFICANT_ERRORS = 3.0  # standard errors that a drift must differ from zero


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """``drift`` as a ratio, 0 where none was called for. ``onsets`` on the grid carried it; 0: it could not be made, all is 0."""

    offset_s: float
    drift: float
    onsets: int

    def in_mix(self, grid_s: Times) -> Times:
        """Where the mix has what the grid has at ``grid_s``. ``(N,) -> (N,)``."""
        return grid_s + self.offset_s + self.drift * grid_s

    def on_grid(self, mix_s: Times) -> Times:
        """The inverse of :meth:`in_mix`."""
        placed: Times = (mix_s - self.offset_s) / (1.0 + self.drift)
        return placed


UNKNOWN = Estimate(offset_s=0.0, drift=0.0, onsets=0)


def estimate(onsets: Onsets, grid: Grid) -> Estimate:
    """Offset and drift of a mix with these onsets; :data:`UNKNOWN` where too few of them keep to the grid."""
    if onsets.count < _MIN_ONSETS or grid.subdivisions_s.size < 2:
        return UNKNOWN
    found = _coarse(onsets, grid)
    for window_s in _WINDOWS_S:
        on_grid = found.on_grid(onsets.times_s)
        lines = grid.subdivisions_s[grid.nearest(on_grid)]
        near = np.abs(on_grid - lines) < window_s
        if np.count_nonzero(near) < _MIN_ONSETS:
            return UNKNOWN
        found = _refined(onsets.times_s[near], onsets.sharpness[near], lines[near], grid.seconds)
    if not _outnumbers_chance(found.onsets, onsets.count, grid):
        return UNKNOWN
    late = onsets.times_s[near] - found.in_mix(lines[near])
    # Early or in time is not what attacks make of it: they are taken for nothing more than the lateness that is there.
    late_s = max(found.offset_s + 0.5 * found.drift * grid.seconds, 0.0)
    return replace(found, offset_s=found.offset_s - min(_attacks_s(late, onsets.sharpness[near]), late_s))


def _outnumbers_chance(near: int, count: int, grid: Grid) -> bool:
    """Whether so many of ``count`` onsets within the last window of a subdivision say more than that the grid is dense."""
    chance = min(2.0 * _WINDOWS_S[-1] * grid.subdivisions_s.size / grid.seconds, 0.9)
    return near > count * chance + _CHANCE_DEVIATIONS * math.sqrt(count * chance * (1.0 - chance))


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The median of the slopes between all pairs of points with different ``x``; 0 where there are none."""
    first, second = np.triu_indices(x.size, 1)
    run = x[second] - x[first]
    apart = np.abs(run) > 1e-9
    if not apart.any():
        return 0.0
    return float(np.median((y[second] - y[first])[apart] / run[apart]))


def weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """The value at which this ``share`` of the weight is passed, 0.5 for the median. Both ``(N,)``, not empty."""
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, share * passed[-1])])


def standard_error(x: NDArray[np.float64], left: NDArray[np.float64]) -> float:
    """Of the slope of a line along ``x`` that leaves the residuals ``left``. Both ``(N,)``.

    Their scatter is the larger of two robust ones: by the median alone, a few that are off beside many that fit would not count.
    """
    away = np.abs(left - np.median(left))
    scatter = max(1.4826 * float(np.median(away)), 1.2533 * float(away.mean()))  # as of a normal distribution
    return scatter / max(float(np.std(x)) * math.sqrt(x.size), 1e-9)


def _coarse(onsets: Onsets, grid: Grid) -> Estimate:
    """The offset and drift by which the onsets fall best on the grid, accents on accents."""
    drifts = _steps(MAX_DRIFT, _COARSE_S * 2.0 / max(grid.seconds, 1.0))
    offsets = _steps(MAX_OFFSET_S, _COARSE_S)
    template = _template(grid)
    strengths = np.minimum(onsets.strengths, 2.0 * np.median(onsets.strengths))
    middle_s = 0.5 * grid.seconds
    best, best_score = UNKNOWN, -1.0
    for drift in drifts:
        # The offset is searched at the middle of the take, where it does not depend on the drift.
        placed = middle_s + (onsets.times_s - middle_s) / (1.0 + drift)
        at = np.rint((placed[None, :] - offsets[:, None] + MAX_OFFSET_S) / _COARSE_S * 2.0).astype(np.intp)
        scores = template[np.clip(at, 0, template.size - 1)] @ strengths
        scores *= np.exp(-0.5 * (np.square(offsets / _LIKELY_OFFSET_S) + (drift / _LIKELY_DRIFT) ** 2))
        top = int(scores.argmax())
        if scores[top] > best_score:
            best_score = float(scores[top])
            offset_s = float(offsets[top] * (1.0 + drift) - drift * middle_s)
            best = Estimate(offset_s=offset_s, drift=float(drift), onsets=onsets.count)
    return best


def _template(grid: Grid) -> NDArray[np.float64]:
    """The weights of the grid, blurred, every half coarse step; it begins :data:`MAX_OFFSET_S` before the first sample."""
    from scipy.ndimage import gaussian_filter1d

    step_s = _COARSE_S / 2.0
    template = np.zeros(int((grid.seconds + 2.0 * MAX_OFFSET_S) / step_s) + 2)
    at = np.rint((grid.subdivisions_s + MAX_OFFSET_S) / step_s).astype(np.intp)
    np.add.at(template, np.clip(at, 0, template.size - 1), grid.weights)
    blurred: NDArray[np.float64] = gaussian_filter1d(template, _KERNEL_S / step_s, mode="constant")
    return blurred


def _steps(most: float, step: float) -> NDArray[np.float64]:
    count = int(np.ceil(most / step))
    return np.linspace(-most, most, 2 * count + 1)


def _refined(times_s: Times, sharpness: NDArray[np.float64], lines_s: Times, seconds: float) -> Estimate:
    """The robust line through ``times - lines``, flat where no drift is called for.

    Sharp edges decide where it lies: what swells is heard late though it is played in time.
    """
    late, weights = times_s - lines_s, _weights(sharpness)
    drift = theil_sen(lines_s, late)
    offset_s = weighted_quantile(late - drift * lines_s, weights, 0.5)
    sure = abs(drift) > _SIGNIFICANT_ERRORS * standard_error(lines_s, late - offset_s - drift * lines_s)
    if not (sure and abs(drift) * seconds > 2.0 * _MIN_MOVED_S):
        drift, offset_s = 0.0, weighted_quantile(late, weights, 0.5)
    return Estimate(offset_s=offset_s, drift=drift, onsets=late.size)


def _attacks_s(late: NDArray[np.float64], sharpness: NDArray[np.float64]) -> float:
    """How much later than it is played a mix is heard, by onsets ``late`` of their line ``(N,)``.

    Where nearly nothing is struck, the sharpest edges are late too, each by as much as it swells: the more they scatter, the more
    do they all. Some that are early beside many that agree, as generated strokes have them, do not count, for no attack explains
    them: the scatter is the way from the median to the nearer quartile. Beside sharp strokes it is nothing. The numbers were chosen
    on other songs than those of docs/measurements.md.
    """
    swelling = float(
        np.clip((_STRUCK_SHARPNESS - np.median(sharpness)) / (_STRUCK_SHARPNESS - _SWELLING_SHARPNESS), 0.0, 1.0)
    )
    weights = _weights(sharpness)
    lower, median, upper = (weighted_quantile(late, weights, share) for share in (0.25, 0.5, 0.75))
    return swelling * _ATTACK_SCATTERS * min(median - lower, upper - median)


def _weights(sharpness: NDArray[np.float64]) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.maximum(sharpness, _MIN_SHARPNESS) ** 3
    return weights
