"""How the onsets of a stem lie against the grid, and against the original's own drums and bass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import standard_error, theil_sen
from separation_service.alignment.grid import Grid, Times, nearest
from separation_service.alignment.limits import Limits
from separation_service.alignment.onsets import Onsets
from separation_service.alignment.report import Timing, Verdict

MATCH_S = 0.05
_FEWEST_ONSETS = 6
_FEWEST_BARS = 3
_TELLABLE_MS = 1.0
_SURE = 3.0  # standard errors by which a slope must lie beyond its limit; as many as a correction of drift asks for


def measure_timing(onsets: Onsets, lines_s: Times, grid: Grid) -> Timing | None:
    """``onsets`` minus the nearest of ``lines_s``; None where fewer than six can be matched: unmeasurable, not zero.

    There is a slope, by Theil and Sen over all that are matched, where these lie in three bars of the grid or more.
    """
    if onsets.count == 0 or lines_s.size == 0:
        return None
    late_s = deviations_s(onsets, lines_s)
    matched = np.abs(late_s) < MATCH_S
    if np.count_nonzero(matched) < _FEWEST_ONSETS:
        return None
    late_ms, times_s = 1e3 * late_s[matched], onsets.times_s[matched]
    median = float(np.median(late_ms))
    slope, error = _slope(times_s, late_ms, grid)
    return Timing(
        onsets=onsets.count,
        matched=round(float(matched.mean()), 4),
        median_ms=round(median, 2),
        mad_ms=round(float(np.median(np.abs(late_ms - median))), 2),
        p95_ms=round(float(np.percentile(np.abs(late_ms), 95.0)), 2),
        max_ms=round(float(np.abs(late_ms).max()), 2),
        slope_ms_per_minute=slope,
        slope_error_ms_per_minute=error,
        seconds=round(float(times_s[-1] - times_s[0]), 2),
    )


def deviations_s(onsets: Onsets, lines_s: Times) -> NDArray[np.float64]:
    """Each onset minus the nearest line, of which there must be one. ``-> (N,)``."""
    late: NDArray[np.float64] = onsets.times_s - lines_s[nearest(lines_s, onsets.times_s)]
    return late


def judge(timing: Timing | None, limits: Limits) -> tuple[Verdict, tuple[str, ...]]:
    """Whether the delivered stem lies within the limits, and each one that it passes, in words with both numbers.

    With few onsets the figures are left to chance: they are told, and not judged by.
    """
    matched = 0 if timing is None else round(timing.matched * timing.onsets)
    if timing is None or matched < limits.fewest_onsets:
        words = f"{matched} measurable onsets, wanted {limits.fewest_onsets} or more"
        return ("beyond", (words,)) if limits.must_be_measurable else ("unmeasurable", ())
    exceeded = []
    if limits.least_matched is not None and timing.matched < limits.least_matched:
        exceeded.append(f"{timing.matched:.2f} of the onsets on the grid, wanted {limits.least_matched:g} or more")
    if not limits.earliest_median_ms <= timing.median_ms <= limits.latest_median_ms:
        wanted = f"{limits.earliest_median_ms:g} to {limits.latest_median_ms:g}"
        exceeded.append(f"median {timing.median_ms:+.1f} ms, wanted {wanted}")
    for name, value, most, unit in (
        ("median absolute deviation", timing.mad_ms, limits.most_mad_ms, "ms"),
        ("95th percentile", timing.p95_ms, limits.most_p95_ms, "ms"),
    ):
        if most is not None and abs(value) > most:
            exceeded.append(f"{name} {abs(value):.1f} {unit}, wanted {most:g} or less")
    exceeded += _slope_exceeded(timing, limits)
    return ("beyond" if exceeded else "within"), tuple(exceeded)


def _slope_exceeded(timing: Timing, limits: Limits) -> list[str]:
    """In a short take a slope is left to chance: it counts where it is beyond the limit for sure and has moved the end.

    Onsets of strokes that are on the grid to the sample, heard over 6 s, have a slope of more than 2 ms a minute every second time.
    """
    slope, error, most = timing.slope_ms_per_minute, timing.slope_error_ms_per_minute, limits.most_slope_ms_per_minute
    if slope is None or error is None or most is None:
        return []
    moved_ms = abs(slope) * timing.seconds / 60.0
    if abs(slope) - _SURE * error <= most or moved_ms <= _TELLABLE_MS:
        return []
    return [f"slope {abs(slope):.1f} ms a minute, give or take {error:.1f}, wanted {most:g} or less"]


def _slope(times_s: Times, late_ms: NDArray[np.float64], grid: Grid) -> tuple[float | None, float | None]:
    """In ms a minute, and its standard error."""
    if np.unique(grid.bar_at(times_s)).size < _FEWEST_BARS:
        return None, None
    slope = theil_sen(times_s, late_ms)
    return round(60.0 * slope, 2), round(60.0 * standard_error(times_s, late_ms - slope * times_s), 2)
