"""Deviations of a stem's onsets from the grid, its notes and the original's drums and bass, and the verdict on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import standard_error, theil_sen
from separation_service.alignment.grid import Grid, Times, nearest
from separation_service.alignment.limits import Limits
from separation_service.alignment.onsets import APART_S, OnsetDetector, Onsets
from separation_service.alignment.report import Timing, Verdict

MATCH_S = 0.05
NOTE_END_S = 0.1
"""A note that starts later before the end is too short to be measured."""
_SAME_S = 1e-3
_MIN_ONSETS = 6
_MIN_BARS = 3
_MIN_MOVED_MS = 1.0
_SIGNIFICANT_ERRORS = 3.0  # standard errors by which a slope must exceed its limit, as for a drift correction


@dataclass(frozen=True, kw_only=True, eq=False)
class StemNotes:
    """When the notes of a stem start, ``(N,)`` seconds. ``new_part``: the stem that it replaces plays other notes.

    Raises ValueError where the times are not finite or descend.
    """

    starts_s: Times
    new_part: bool = False

    def __post_init__(self) -> None:
        starts_s = np.asarray(self.starts_s, dtype=np.float64)
        if starts_s.ndim != 1 or not np.isfinite(starts_s).all() or (np.diff(starts_s) < 0.0).any():
            raise ValueError(f"notes must be one ascending list of seconds, got shape {starts_s.shape}")
        object.__setattr__(self, "starts_s", starts_s)

    def measurable_s(self, from_s: float, to_s: float) -> Times:
        """The starts from ``from_s`` to 0.1 s before ``to_s``; of those closer than 45 ms the first, because they are one onset."""
        kept: list[float] = []
        for start_s in self.starts_s[(self.starts_s >= from_s - _SAME_S) & (self.starts_s < to_s - NOTE_END_S)]:
            if not kept or start_s - kept[-1] >= APART_S:
                kept.append(float(start_s))
        return np.array(kept)


def measure_timing(onsets: Onsets, lines_s: Times, grid: Grid) -> Timing | None:
    """``onsets`` minus the nearest of ``lines_s``; None if fewer than six match: unmeasurable, not zero.

    The slope is the Theil-Sen estimate over the matched onsets; None if they lie in fewer than three bars.
    """
    if onsets.count == 0 or lines_s.size == 0:
        return None
    return _timing(onsets.times_s, deviations_s(onsets, lines_s), grid)


def measure_notes(stem: OnsetDetector, notes_s: Times, grid: Grid) -> Timing | None:
    """For each of ``notes_s`` ``(N,)`` the strongest rise of the stem within 45 ms, minus the note's time.

    ``onsets`` of the result counts the notes, ``matched`` is the share of those that were found. None if fewer than six were.
    """
    return _timing(notes_s, stem.onsets_at(notes_s) - notes_s, grid)


def _timing(times_s: Times, late_s: NDArray[np.float64], grid: Grid) -> Timing | None:
    """Statistics of the deviations ``(N,)`` that are less than :data:`MATCH_S`; NaN does not match."""
    matched = np.abs(late_s) < MATCH_S
    if np.count_nonzero(matched) < _MIN_ONSETS:
        return None
    count = times_s.size
    late_ms, times_s = 1e3 * late_s[matched], times_s[matched]
    median = float(np.median(late_ms))
    slope, error = _slope(times_s, late_ms, grid)
    return Timing(
        onsets=count,
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
    """The verdict on a delivered stem, and each exceeded limit in words with both numbers.

    Figures of too few onsets, or of too small a share of the notes, are reported but not judged.
    """
    matched = 0 if timing is None else round(timing.matched * timing.onsets)
    if timing is None or matched < limits.min_onsets:
        words = f"{matched} measurable onsets, at least {limits.min_onsets} expected"
        return ("beyond", (words,)) if limits.must_be_measurable else ("unmeasurable", ())
    if timing.matched < limits.min_found:
        return "unmeasurable", ()
    exceeded = []
    if limits.min_matched is not None and timing.matched < limits.min_matched:
        exceeded.append(f"{timing.matched:.2f} of the onsets on the grid, at least {limits.min_matched:g} expected")
    if not limits.min_median_ms <= timing.median_ms <= limits.max_median_ms:
        wanted = f"{limits.min_median_ms:g} to {limits.max_median_ms:g}"
        exceeded.append(f"median {timing.median_ms:+.1f} ms, expected {wanted}")
    for name, value, limit, unit in (
        ("median absolute deviation", timing.mad_ms, limits.max_mad_ms, "ms"),
        ("95th percentile", timing.p95_ms, limits.max_p95_ms, "ms"),
    ):
        if limit is not None and abs(value) > limit:
            exceeded.append(f"{name} {abs(value):.1f} {unit}, at most {limit:g} expected")
    exceeded += _slope_exceeded(timing, limits)
    return ("beyond" if exceeded else "within"), tuple(exceeded)


def _slope_exceeded(timing: Timing, limits: Limits) -> list[str]:
    """A slope counts only if it significantly exceeds the limit and moves the end noticeably.

    Strokes exactly on the grid, detected over 6 s, show a slope above 2 ms per minute every second time.
    """
    slope, error, limit = timing.slope_ms_per_minute, timing.slope_error_ms_per_minute, limits.max_slope_ms_per_minute
    if slope is None or error is None or limit is None:
        return []
    moved_ms = abs(slope) * timing.seconds / 60.0
    if abs(slope) - _SIGNIFICANT_ERRORS * error <= limit or moved_ms <= _MIN_MOVED_MS:
        return []
    return [f"slope {abs(slope):.1f} ms per minute (standard error {error:.1f}), at most {limit:g} expected"]


def _slope(times_s: Times, late_ms: NDArray[np.float64], grid: Grid) -> tuple[float | None, float | None]:
    """In ms a minute, and its standard error."""
    if np.unique(grid.bar_at(times_s)).size < _MIN_BARS:
        return None, None
    slope = theil_sen(times_s, late_ms)
    return round(60.0 * slope, 2), round(60.0 * standard_error(times_s, late_ms - slope * times_s), 2)
