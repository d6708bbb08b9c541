"""Estimates one offset and one drift of the new mix against the grid, for the whole take.

Model: the grid time ``t`` lies in the mix at ``t + offset + drift * t``. Letters: ``N`` onsets, ``G`` subdivisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.grid import Grid, Times
from separation_service.alignment.onsets import Onsets

MAX_DRIFT = 0.006
"""Search range. Varispeed up to 0.3 % changes pitch by five cents; twice that range shows what exceeds it."""
MAX_OFFSET_S = 0.1
_COARSE_S = 0.004
_KERNEL_S = 0.008
_LIKELY_OFFSET_S, _LIKELY_DRIFT = (
    0.08,
    0.004,
)  # prior that prefers the nearest sixteenth unless accents disagree
_WINDOWS_S = (0.03, 0.02, 0.015)
_MIN_ONSETS = 8
_CHANCE_DEVIATIONS = 4.0  # standard deviations by which onsets on the grid must exceed the number expected by chance
_MIN_MOVED_S = 0.002  # a drift that moves both ends by less is not corrected
_MIN_SHARPNESS = 0.1
_STRUCK_SHARPNESS, _SWELLING_SHARPNESS = (
    6.0,
    3.0,
)  # median sharpness of struck and of slow attacks
_ATTACK_SCATTERS = 2.0  # detection delay of slow attacks, in multiples of their scatter
_SIGNIFICANT_ERRORS = 3.0  # standard errors by which a drift must differ from zero


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """``drift`` is a ratio, 0 if none is significant. ``onsets`` is the number used; 0: no estimate, all values are 0."""

    offset_s: float
    drift: float
    onsets: int

    def in_mix(self, grid_s: Times) -> Times:
        """Grid times to mix times. ``(N,) -> (N,)``."""
        return grid_s + self.offset_s + self.drift * grid_s

    def on_grid(self, mix_s: Times) -> Times:
        """The inverse of :meth:`in_mix`."""
        placed: Times = (mix_s - self.offset_s) / (1.0 + self.drift)
        return placed


UNKNOWN = Estimate(offset_s=0.0, drift=0.0, onsets=0)


def estimate(onsets: Onsets, grid: Grid) -> Estimate:
    """Offset and drift of a mix with these onsets; :data:`UNKNOWN` if too few lie on the grid."""
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
    # Slow attacks only delay detection, so they never explain more than the measured lateness.
    late_s = max(found.offset_s + 0.5 * found.drift * grid.seconds, 0.0)
    return replace(found, offset_s=found.offset_s - min(_attacks_s(late, onsets.sharpness[near]), late_s))


def _outnumbers_chance(near: int, count: int, grid: Grid) -> bool:
    """True if ``near`` of ``count`` onsets lie on the grid more often than by chance, given the grid's density."""
    chance = min(2.0 * _WINDOWS_S[-1] * grid.subdivisions_s.size / grid.seconds, 0.9)
    return near > count * chance + _CHANCE_DEVIATIONS * math.sqrt(count * chance * (1.0 - chance))


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Theil-Sen slope: the median slope over all pairs with different ``x``; 0 if there are none."""
    first, second = np.triu_indices(x.size, 1)
    run = x[second] - x[first]
    apart = np.abs(run) > 1e-9
    if not apart.any():
        return 0.0
    return float(np.median((y[second] - y[first])[apart] / run[apart]))


def weighted_quantile(values: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """Weighted quantile; ``share`` 0.5 is the median. Both arrays ``(N,)``, not empty."""
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(passed, share * passed[-1])])


def standard_error(x: NDArray[np.float64], left: NDArray[np.float64]) -> float:
    """Standard error of the slope of a line along ``x`` with residuals ``left``. Both ``(N,)``.

    The scatter is the larger of two robust estimates; the median alone would ignore a minority of outliers.
    """
    away = np.abs(left - np.median(left))
    scatter = max(1.4826 * float(np.median(away)), 1.2533 * float(away.mean()))  # of a normal distribution
    return scatter / max(float(np.std(x)) * math.sqrt(x.size), 1e-9)


def _coarse(onsets: Onsets, grid: Grid) -> Estimate:
    """The offset and drift at which the onsets match the weighted grid best."""
    drifts = _steps(MAX_DRIFT, _COARSE_S * 2.0 / max(grid.seconds, 1.0))
    offsets = _steps(MAX_OFFSET_S, _COARSE_S)
    template = _template(grid)
    strengths = np.minimum(onsets.strengths, 2.0 * np.median(onsets.strengths))
    middle_s = 0.5 * grid.seconds
    best, best_score = UNKNOWN, -1.0
    for drift in drifts:
        # Search the offset at the middle of the take, where it does not depend on the drift.
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
    """The grid's weights, blurred, at every half coarse step, from :data:`MAX_OFFSET_S` before the first sample."""
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
    """Robust line through ``times - lines``, flat if no drift is significant.

    Sharp onsets carry the weight: slow attacks are detected late though they are played in time.
    """
    late, weights = times_s - lines_s, _weights(sharpness)
    drift = theil_sen(lines_s, late)
    offset_s = weighted_quantile(late - drift * lines_s, weights, 0.5)
    sure = abs(drift) > _SIGNIFICANT_ERRORS * standard_error(lines_s, late - offset_s - drift * lines_s)
    if not (sure and abs(drift) * seconds > 2.0 * _MIN_MOVED_S):
        drift, offset_s = 0.0, weighted_quantile(late, weights, 0.5)
    return Estimate(offset_s=offset_s, drift=drift, onsets=late.size)


def _attacks_s(late: NDArray[np.float64], sharpness: NDArray[np.float64]) -> float:
    """Detection delay of a mix with slow attacks, from onsets ``late`` of their grid line ``(N,)``.

    If hardly anything is struck, even the sharpest onsets are detected late, and the delay grows with their scatter. The scatter is
    the distance from the median to the nearer quartile, so that a few early onsets, as generated strokes have, do not count. With
    sharp strokes the delay is 0. The constants were chosen on songs other than those of docs/measurements.md.
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
