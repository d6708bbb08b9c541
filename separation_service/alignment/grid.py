"""The original's timing grid as times, and ranges of its bars.

Seconds count from the first sample. Letters: ``N`` times.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import FieldViolation, InvalidFields

Times = NDArray[np.float64]
"""``(N,)`` seconds, ascending."""

_SAME_S = 1e-3  # times closer than this are equal
_MIN_RANGE_S = 0.02


@dataclass(frozen=True, kw_only=True)
class BarRange:
    """Bars to replace, both included; bar 1 begins at the first downbeat. Audio before it belongs to no bar."""

    from_bar: int
    to_bar: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """The times of a tempo map for a take of ``seconds``, all in ``[0, seconds)``.

    ``beats_s`` every beat, ``downbeats_s`` the first of each bar, ``subdivisions_s`` every quarter of a beat where the swing plays
    it, beats included. Raises ValueError where a list does not rise or is not finite.
    """

    seconds: float
    beats_s: Times
    downbeats_s: Times
    subdivisions_s: Times

    def __post_init__(self) -> None:
        for name in ("beats_s", "downbeats_s", "subdivisions_s"):
            times = np.asarray(getattr(self, name), dtype=np.float64)
            if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) <= 0.0).any():
                raise ValueError(f"{name} must be one ascending list of seconds, got shape {times.shape}")
            object.__setattr__(self, name, times)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """Prior weight of an onset at each subdivision ``(N,)``: downbeats most, then beats, then the middle of a beat."""
        weights = np.full(self.subdivisions_s.shape, 0.3)
        opening = np.searchsorted(self.beats_s, self.subdivisions_s + _SAME_S, side="right")
        since = np.arange(opening.size) - np.searchsorted(opening, opening, side="left")
        weights[since == 2] = 0.6
        weights[_among(self.subdivisions_s, self.beats_s)] = 1.0
        weights[_among(self.subdivisions_s, self.downbeats_s)] = 1.2
        return weights

    def nearest(self, times: Times) -> NDArray[np.intp]:
        """For each time the index of the nearest subdivision. ``(N,) -> (N,)``; the grid must not be empty."""
        return nearest(self.subdivisions_s, times)

    def bar_at(self, times: Times) -> NDArray[np.intp]:
        """The bar of each time, 1 from the first downbeat, 0 before it. ``(N,) -> (N,)``."""
        return np.searchsorted(self.downbeats_s, times + _SAME_S, side="right")

    def span_s(self, region: BarRange) -> tuple[float, float]:
        """Start and end of a bar range. Raises `InvalidFields` if its bars are not in the take or last under 20 ms."""
        bars = self.downbeats_s.size
        if not 1 <= region.from_bar <= region.to_bar <= bars:
            raise InvalidFields(
                [
                    FieldViolation(
                        "from_bar",
                        f"must be bars between 1 and {bars}, got {region.from_bar} to {region.to_bar}",
                    )
                ]
            )
        start_s = float(self.downbeats_s[region.from_bar - 1])
        end_s = self.seconds if region.to_bar == bars else float(self.downbeats_s[region.to_bar])
        if end_s - start_s < _MIN_RANGE_S:
            text = f"must span at least {1e3 * _MIN_RANGE_S:g} ms, got {1e3 * (end_s - start_s):.1f} ms"
            raise InvalidFields([FieldViolation("from_bar", text)])
        return start_s, end_s


def nearest(rising: Times, times: Times) -> NDArray[np.intp]:
    """For each of ``times`` the index of the nearest of ``rising``, which must not be empty. ``(N,) -> (N,)``."""
    after = np.clip(np.searchsorted(rising, times), 1, max(rising.size - 1, 1))
    before = after - 1
    after = np.minimum(after, rising.size - 1)
    nearer: NDArray[np.intp] = np.where(np.abs(rising[after] - times) < np.abs(times - rising[before]), after, before)
    return nearer


def _among(times: Times, some: Times) -> NDArray[np.bool_]:
    if some.size == 0:
        return np.zeros(times.shape, dtype=np.bool_)
    found: NDArray[np.bool_] = np.abs(some[nearest(some, times)] - times) < _SAME_S
    return found
