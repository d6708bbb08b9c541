"""Which tempo maps a renderer can follow."""

from __future__ import annotations

from dataclasses import dataclass

from render_service.music.tempo_map import TempoMap


@dataclass(frozen=True, kw_only=True)
class TempoLimits:
    """The limits of a renderer that reads tempo and metre as text.

    It follows one whole-number tempo throughout, without swing, from a first downbeat at 0 s. ``metres`` are the metres
    that it knows, as (beats per bar, beat unit).
    """

    metres: tuple[tuple[int, int], ...]

    def problem(self, tempo_map: TempoMap) -> str | None:
        """Why the renderer cannot follow ``tempo_map``: what must be, and what it is. None where it can."""
        first, metres = tempo_map.points[0], ", ".join(f"{beats}/{unit}" for beats, unit in self.metres)
        tempos = {(point.bpm, point.beats_per_bar, point.beat_unit) for point in tempo_map.points}
        if len(tempos) > 1:
            return f"tempo and metre must be the same throughout, got {len(tempos)} different ones"
        if not float(first.bpm).is_integer():
            return f"bpm must be a whole number, got {first.bpm:g}"
        if (first.beats_per_bar, first.beat_unit) not in self.metres:
            return f"the metre must be one of {metres}, got {first.beats_per_bar}/{first.beat_unit}"
        if tempo_map.swing != 0.5:
            return f"the swing ratio must be 0.5 (straight), got {tempo_map.swing:g}"
        if tempo_map.first_downbeat_s != 0.0:
            return f"the first downbeat must be at 0 s, got {tempo_map.first_downbeat_s:g} s"
        return None
