"""Seconds, quarter notes and MIDI ticks.

A *quarter position* counts quarter notes from the first downbeat, whatever the beat unit. In a MIDI file bars follow from
the time signatures alone. A bar that the tempo map cuts short, and a pickup, therefore get a signature of their own; where their
length is no multiple of a 64th note, the tempo inside them is adjusted so that the next bar line lies at the right second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from render_service.music.tempo_map import TempoMap

TICKS_PER_QUARTER = 960
_QUARTER = 4  # its note value
_SAME = 1.0 / TICKS_PER_QUARTER  # lengths nearer than a tick are one
_FINEST_UNIT = 64
_MOST_BEATS = 255
_TEMPO_RANGE_US = (1, (1 << 24) - 1)


class QuarterGrid:
    """Quarter positions of a tempo map."""

    def __init__(self, tempo_map: TempoMap) -> None:
        seconds = np.array([point.start_s for point in tempo_map.points])
        self._rates = np.array([_quarter_rate(point.bpm, point.beat_unit) for point in tempo_map.points])
        quarters = np.concatenate([[0.0], np.cumsum(np.diff(seconds) * self._rates[:-1])])
        at = int(np.searchsorted(seconds, tempo_map.first_downbeat_s, side="right")) - 1
        quarters -= quarters[at] + (tempo_map.first_downbeat_s - seconds[at]) * self._rates[at]
        self._seconds, self._quarters = seconds, quarters

    def position(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Quarters since the first downbeat at each second. ``(N,) -> (N,)``."""
        at = np.asarray(seconds, dtype=np.float64)
        i = np.maximum(np.searchsorted(self._seconds, at, side="right") - 1, 0)
        found: NDArray[np.float64] = self._quarters[i] + (at - self._seconds[i]) * self._rates[i]
        return found

    def second(self, quarters: ArrayLike) -> NDArray[np.float64]:
        """The inverse of :meth:`position`. ``(N,) -> (N,)``."""
        at = np.asarray(quarters, dtype=np.float64)
        i = np.maximum(np.searchsorted(self._quarters, at, side="right") - 1, 0)
        found: NDArray[np.float64] = self._seconds[i] + (at - self._quarters[i]) / self._rates[i]
        return found

    def rate(self, second: float) -> float:
        """Quarters a second."""
        return float(self._rates[max(int(np.searchsorted(self._seconds, second, side="right")) - 1, 0)])


@dataclass(frozen=True, kw_only=True)
class TempoChange:
    """A tempo from a tick on, in microseconds per quarter."""

    tick: int
    quarter_us: int


@dataclass(frozen=True, kw_only=True)
class MetreChange:
    """A time signature from a tick on."""

    tick: int
    beats: int
    unit: int


class MidiTimeline:
    """A tempo map as tempo and time-signature events, and the tick of any second. Tick 0 is the first sample."""

    def __init__(self, tempo_map: TempoMap, seconds: float) -> None:
        self._grid = QuarterGrid(tempo_map)
        self._map = tempo_map
        self._seconds = seconds
        self._knots_s: list[float] = [0.0]
        self._knots_q: list[float] = [0.0]
        self._scales: list[float] = [1.0]
        self.metres: list[MetreChange] = []
        bars = [float(second) for second in tempo_map.bars_s(seconds)]
        first_s = min(tempo_map.first_downbeat_s, seconds)
        if first_s > 0.0:
            self._add_pickup(first_s)
        for start, end in zip(bars, [*bars[1:], None], strict=True):
            self._add_bar(start, end)
        self.tempos = self._tempo_changes()

    def ticks(self, seconds: ArrayLike) -> NDArray[np.int64]:
        """The nearest tick of each second. ``(N,) -> (N,)``."""
        at = np.asarray(seconds, dtype=np.float64)
        knots = np.array(self._knots_s)
        i = np.maximum(np.searchsorted(knots, at, side="right") - 1, 0)
        inside = (self._grid.position(at) - self._grid.position(knots)[i]) * np.array(self._scales)[i]
        quarters: NDArray[np.float64] = np.array(self._knots_q)[i] + inside
        return np.round(quarters * TICKS_PER_QUARTER).astype(np.int64)

    def _metre(self, second: float) -> tuple[int, int]:
        """Beats per bar and beat unit just after a second."""
        point = [p for p in self._map.points if p.start_s <= second + 1e-5][-1]
        return point.beats_per_bar, point.beat_unit

    def _add_pickup(self, end_s: float) -> None:
        beats, unit = self._metre(0.0)
        bar = beats * _QUARTER / unit
        length = float(self._grid.position(end_s) - self._grid.position(0.0))
        if length <= _SAME:
            return
        whole = int((length + _SAME) / bar)
        rest = length - whole * bar
        written = 0.0
        if rest > _SAME:
            written = self._change_metre(*_signature(rest, unit))
        if whole:
            self._change_metre(beats, unit, after_q=written)
        self._scales[-1] = (written + whole * bar) / length
        self._next_region(end_s, written + whole * bar)

    def _add_bar(self, start_s: float, end_s: float | None) -> None:
        beats, unit = self._metre(start_s)
        written = beats * _QUARTER / unit
        if end_s is not None:
            length = float(self._grid.position(end_s) - self._grid.position(start_s))
            if abs(length - written) > _SAME:
                beats, unit = _signature(length, unit)
                written = beats * _QUARTER / unit
                self._scales[-1] = written / length
        self._change_metre(beats, unit)
        if end_s is not None:
            self._next_region(end_s, written)

    def _change_metre(self, beats: int, unit: int, *, after_q: float = 0.0) -> float:
        """Returns the length of a bar in quarters."""
        last = self.metres[-1] if self.metres else None
        if last is None or (last.beats, last.unit) != (beats, unit):
            tick = round((self._knots_q[-1] + after_q) * TICKS_PER_QUARTER)
            self.metres.append(MetreChange(tick=tick, beats=beats, unit=unit))
        return beats * _QUARTER / unit

    def _next_region(self, start_s: float, length_q: float) -> None:
        self._knots_s.append(start_s)
        self._knots_q.append(self._knots_q[-1] + length_q)
        self._scales.append(1.0)

    def _tempo_changes(self) -> list[TempoChange]:
        inside = (point.start_s for point in self._map.points if point.start_s < self._seconds)
        moments = sorted({*self._knots_s, *inside})
        scales = np.array(self._scales)[np.searchsorted(self._knots_s, moments, side="right") - 1]
        ticks = self.ticks(moments)
        low, high = _TEMPO_RANGE_US
        found: dict[int, int] = {}
        for second, scale, tick in zip(moments, scales, ticks, strict=True):
            quarter_us = round(1e6 / (self._grid.rate(second) * float(scale)))
            found[int(tick)] = min(max(quarter_us, low), high)
        changes: list[TempoChange] = []
        for tick, quarter_us in found.items():
            if not changes or changes[-1].quarter_us != quarter_us:
                changes.append(TempoChange(tick=tick, quarter_us=quarter_us))
        return changes


def _quarter_rate(bpm: float, beat_unit: int) -> float:
    return bpm / 60.0 * _QUARTER / beat_unit


def _signature(length_q: float, unit: int) -> tuple[int, int]:
    """The time signature of a bar of ``length_q`` quarters, in beats of ``unit`` or shorter."""
    best = (1, _FINEST_UNIT)
    while unit <= _FINEST_UNIT:
        beats = round(length_q * unit / _QUARTER)
        if 1 <= beats <= _MOST_BEATS:
            best = (beats, unit)
            if abs(beats * _QUARTER / unit - length_q) < _SAME:
                break
        unit *= 2
    return best
