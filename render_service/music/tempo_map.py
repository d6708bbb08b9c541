"""Tempo maps and the grid they imply.

Letters: ``N`` times. Seconds count from the first sample. A *beat position* is the number of beats since
the first downbeat (negative before it); a *bar position* likewise in bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from servicekit.json_codec import CAMEL_CASE, JsonCodec

BPM_RANGE = (30.0, 300.0)
BEATS_PER_BAR_RANGE = (1, 16)
BEAT_UNITS = (1, 2, 4, 8, 16)
SWING_RANGE = (0.5, 0.75)
STRAIGHT = SWING_RANGE[0]
MAX_POINTS = 512
_SAME_BAR = 1e-6  # bar positions nearer than this are one
_SHORTEST_BAR_S = 0.02
"""A bar that a new metre would cut to less is none: a point written as 3.43 s means the line at 3.428571 s."""


class TempoMapError(ValueError):
    """A tempo map that cannot be played; ``field`` is the path of the invalid part."""

    def __init__(self, field_path: str, message: str) -> None:
        super().__init__(message)
        self.field = field_path


@dataclass(frozen=True, kw_only=True)
class TempoPoint:
    """Tempo and metre from ``start_s`` until the next point. ``bpm`` counts beats of ``beat_unit``."""

    __pydantic_config__ = CAMEL_CASE

    start_s: Annotated[float, Field(alias="second")]
    bpm: float
    beats_per_bar: int = 4
    beat_unit: int = 4


@dataclass(frozen=True, kw_only=True)
class TempoMap:
    """Tempo constant between points, the first at 0 s. A change of metre starts a new bar.

    ``swing`` is the share of a beat that its first eighth takes: 0.5 is straight, 2/3 is triplet swing.
    Raises :class:`TempoMapError` naming the field when it cannot be played.
    """

    __pydantic_config__ = CAMEL_CASE

    points: tuple[TempoPoint, ...]
    first_downbeat_s: Annotated[float, Field(alias="firstDownbeatSecond")] = 0.0
    swing: Annotated[float, Field(alias="swingRatio")] = 0.5

    def __post_init__(self) -> None:
        if not 1 <= len(self.points) <= MAX_POINTS:
            raise TempoMapError("points", f"must be 1 to {MAX_POINTS} points, got {len(self.points)}")
        if self.points[0].start_s != 0.0:
            raise TempoMapError(
                "points[0].start_seconds", f"must be 0 for the first point, got {self.points[0].start_s}"
            )
        for i, point in enumerate(self.points):
            _check_point(f"points[{i}]", point)
        for i, (a, b) in enumerate(pairwise(self.points)):
            if not b.start_s > a.start_s:
                raise TempoMapError(f"points[{i + 1}].start_seconds", f"must be above {a.start_s}, got {b.start_s}")
        if not (np.isfinite(self.first_downbeat_s) and 0.0 <= self.first_downbeat_s <= 60.0):
            raise TempoMapError("first_downbeat_seconds", f"must be 0 to 60 s, got {self.first_downbeat_s}")
        low, high = SWING_RANGE
        if not low <= self.swing <= high:
            raise TempoMapError("swing_ratio", f"must be {low} to {high}, got {self.swing}")

    @classmethod
    def constant(cls, bpm: float, *, beats_per_bar: int = 4, beat_unit: int = 4, swing: float = 0.5) -> TempoMap:
        """One tempo throughout, the first downbeat at 0 s."""
        point = TempoPoint(start_s=0.0, bpm=bpm, beats_per_bar=beats_per_bar, beat_unit=beat_unit)
        return cls(points=(point,), swing=swing)

    @cached_property
    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Per point: second, beat position, bar position, beats a bar."""
        seconds = np.array([p.start_s for p in self.points])
        rate = np.array([p.bpm / 60.0 for p in self.points])
        metre = np.array([float(p.beats_per_bar) for p in self.points])
        beats = np.concatenate([[0.0], np.cumsum(np.diff(seconds) * rate[:-1])])
        bars = np.concatenate([[0.0], np.cumsum(np.diff(seconds) * rate[:-1] / metre[:-1])])
        at = int(np.searchsorted(seconds, self.first_downbeat_s, side="right")) - 1
        lead = (self.first_downbeat_s - seconds[at]) * rate[at]
        beats = beats - (beats[at] + lead)
        bars = bars - (bars[at] + lead / metre[at])
        for i in range(1, len(seconds)):
            if self._begins_a_bar(i):
                bars[i:] += np.ceil(bars[i] - max(_SHORTEST_BAR_S * rate[i - 1] / metre[i - 1], 1e-9)) - bars[i]
        return seconds, beats, bars, metre

    def _begins_a_bar(self, i: int) -> bool:
        """Whether point ``i`` changes the metre within the bars, and so cuts the one before it short."""
        here, before = self.points[i], self.points[i - 1]
        return here.beats_per_bar != before.beats_per_bar and here.start_s > self.first_downbeat_s

    def _segment(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.maximum(np.searchsorted(self._knots[0], seconds, side="right") - 1, 0)

    def bpm_at(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Tempo in beats a minute at each second. ``(N,) -> (N,)``."""
        at = np.asarray(seconds, dtype=np.float64)
        return np.array([p.bpm for p in self.points])[self._segment(at)]

    def beats_per_bar_at(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Beats in the bar at each second. ``(N,) -> (N,)``."""
        at = np.asarray(seconds, dtype=np.float64)
        return self._knots[3][self._segment(at)]

    def beat_position(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Beats since the first downbeat at each second. ``(N,) -> (N,)``."""
        at = np.asarray(seconds, dtype=np.float64)
        knots, beats, _, _ = self._knots
        segment = self._segment(at)
        return beats[segment] + (at - knots[segment]) * self.bpm_at(at) / 60.0

    def bar_position(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Bars since the first downbeat at each second. ``(N,) -> (N,)``. Jumps up where a new metre cuts a bar short."""
        at = np.asarray(seconds, dtype=np.float64)
        knots, _, bars, metre = self._knots
        segment = self._segment(at)
        return bars[segment] + (at - knots[segment]) * self.bpm_at(at) / 60.0 / metre[segment]

    def second_of_beat(self, beats: ArrayLike) -> NDArray[np.float64]:
        """The inverse of :meth:`beat_position`. ``(N,) -> (N,)`` seconds."""
        at = np.asarray(beats, dtype=np.float64)
        knots, knot_beats, _, _ = self._knots
        segment = np.maximum(np.searchsorted(knot_beats, at, side="right") - 1, 0)
        rate = np.array([p.bpm / 60.0 for p in self.points])[segment]
        seconds: NDArray[np.float64] = knots[segment] + (at - knot_beats[segment]) / rate
        return seconds

    def swung(self, beats: ArrayLike) -> NDArray[np.float64]:
        """Move straight beat positions to where the swing plays them. ``(N,) -> (N,)`` beats."""
        at = np.asarray(beats, dtype=np.float64)
        whole = np.floor(at)
        part = at - whole
        first = part * 2.0 * self.swing
        second = self.swing + (part - 0.5) * 2.0 * (1.0 - self.swing)
        return whole + np.where(part < 0.5, first, second)

    def grid_s(self, seconds: float, *, divisions: int = 4) -> NDArray[np.float64]:
        """Seconds of every ``1/divisions`` of a beat in ``[0, seconds)``, swung. ``-> (N,)``."""
        first = int(np.ceil(self.beat_position(0.0) * divisions - 1e-9))
        last = int(np.ceil(self.beat_position(seconds) * divisions))
        times = self.second_of_beat(self.swung(np.arange(first, last + 1) / divisions))
        return times[(times >= 0.0) & (times < seconds)]

    def beats_s(self, seconds: float) -> NDArray[np.float64]:
        """Seconds of every beat in ``[0, seconds)``. ``-> (N,)``."""
        return self.grid_s(seconds, divisions=1)

    def bars_s(self, seconds: float) -> NDArray[np.float64]:
        """Seconds of every downbeat in ``[0, seconds)``. ``-> (N,)``.

        Bars are counted from where their metre began, also where that is not on a beat: the beats run on as they were.
        """
        knots, _, bars, metre = self._knots
        found = []
        for i, point in enumerate(self.points):
            a_bar_s = 60.0 / point.bpm * metre[i]
            end_s = min(float(knots[i + 1]) if i + 1 < len(knots) else seconds, seconds)
            cut_short = i + 1 < len(knots) and self._begins_a_bar(i + 1)
            least = _SHORTEST_BAR_S / a_bar_s if cut_short else _SAME_BAR
            last = bars[i] + (end_s - knots[i]) / a_bar_s
            numbers = np.arange(max(np.ceil(bars[i] - _SAME_BAR), 0.0), np.ceil(last - least))
            found.append(knots[i] + (numbers - bars[i]) * a_bar_s)
        times = np.round(np.concatenate(found), 6)
        return np.unique(times[(times >= 0.0) & (times < seconds)])


_CODEC = JsonCodec(TempoMap)


def tempo_map_json(tempo_map: TempoMap) -> dict[str, Any]:
    """As in the manifest: ``{points: [{second, bpm, beatsPerBar, beatUnit}], firstDownbeatSecond, swingRatio}``."""
    return _CODEC.write(tempo_map)


def tempo_map_from_json(facts: Mapping[str, Any]) -> TempoMap:
    """The inverse of :func:`tempo_map_json`. Raises ValueError."""
    return _CODEC.read(facts)


def _check_point(path: str, point: TempoPoint) -> None:
    low, high = BPM_RANGE
    if not (np.isfinite(point.start_s) and point.start_s >= 0.0):
        raise TempoMapError(f"{path}.start_seconds", f"must be 0 or more, got {point.start_s}")
    if not low <= point.bpm <= high:
        raise TempoMapError(f"{path}.bpm", f"must be {low:g} to {high:g}, got {point.bpm}")
    fewest, most = BEATS_PER_BAR_RANGE
    if not fewest <= point.beats_per_bar <= most:
        raise TempoMapError(f"{path}.beats_per_bar", f"must be {fewest} to {most}, got {point.beats_per_bar}")
    if point.beat_unit not in BEAT_UNITS:
        raise TempoMapError(
            f"{path}.beat_unit", f"must be one of {', '.join(map(str, BEAT_UNITS))}, got {point.beat_unit}"
        )
