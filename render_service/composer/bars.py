"""What the parts are written from: bars, chords, key, habits and style."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from render_service.composer.habits import Habits
from render_service.composer.score import Section
from render_service.composer.style import Style
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of the tempo map. ``start_beat``: beats since the first downbeat; ``beats``: beats per bar."""

    index: int
    start_s: float
    end_s: float
    start_beat: float
    beats: int
    section: Section
    tempo_map: TempoMap

    def at(self, beat: float) -> float:
        """The second of a beat position in the bar, with the tempo map's swing."""
        if beat <= 0.0:
            return self.start_s
        if self._steady_beat_s is None or self.start_beat % 1.0:
            return float(self.tempo_map.second_of_beat(self.tempo_map.swung([self.start_beat + beat]))[0])
        whole, part, swing = float(int(beat)), beat % 1.0, self.tempo_map.swing
        swung = part * 2.0 * swing if part < 0.5 else swing + (part - 0.5) * 2.0 * (1.0 - swing)
        return self.start_s + (whole + swung) * self._steady_beat_s

    @cached_property
    def _steady_beat_s(self) -> float | None:
        """Length of a beat if the tempo does not change within the bar: the fast way for nearly all bars."""
        changes = any(self.start_s + 1e-4 < point.start_s < self.end_s + self.beat_s for point in self.tempo_map.points)
        return None if changes else 60.0 / float(self.tempo_map.bpm_at([self.start_s + 1e-4])[0])

    @property
    def beat_s(self) -> float:
        """Length of a beat, averaged over the bar."""
        return (self.end_s - self.start_s) / self.beats

    @property
    def opens_section(self) -> bool:
        """Whether it is the first bar of its section."""
        return abs(self.start_s - self.section.start_s) < 1e-4

    @property
    def closes_section(self) -> bool:
        """Whether it is the last bar of its section."""
        return abs(self.end_s - self.section.end_s) < 1e-4


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The input for writing the parts: everything but the notes. ``bars`` end where the ending starts.

    ``ending``: the section of the final chord; None for a take that is cut off, such as a loop.
    """

    bars: tuple[Bar, ...]
    ending: Section | None
    chords: tuple[ChordSpan, ...]
    key: Key
    style: Style
    habits: Habits

    def density(self, reach: float) -> float:
        """The persona's density, shifted by the mood by up to ``reach``; 0 to 1."""
        return float(np.clip(self.habits.density + reach * self.style.shape.density, 0.0, 1.0))

    def force(self, centre: float, reach: float) -> float:
        """``centre``, shifted by the mood's force by up to ``reach``; a velocity, 0.3 to 1."""
        return float(np.clip(centre + reach * self.style.shape.force, 0.3, 1.0))


def chord_at(chords: tuple[ChordSpan, ...], second: float) -> ChordSpan:
    """The chord that sounds at a second; tolerates rounding of 0.1 ms."""
    index = bisect_right(chords, second + 1e-4, key=lambda chord: chord.start_s) - 1
    return chords[max(index, 0)]
