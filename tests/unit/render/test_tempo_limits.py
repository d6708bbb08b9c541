"""Which tempo maps a renderer with limits can follow, and the reason where it cannot."""

from __future__ import annotations

import pytest

from render_service.music.tempo_map import TempoMap, TempoPoint
from render_service.renderers.tempo_limits import TempoLimits

LIMITS = TempoLimits(metres=((2, 4), (3, 4), (4, 4)))


def _two_tempos(first: float, second: float) -> TempoMap:
    return TempoMap(points=(TempoPoint(start_s=0.0, bpm=first), TempoPoint(start_s=4.0, bpm=second)))


@pytest.mark.parametrize(
    "tempo_map",
    [TempoMap.constant(120.0), TempoMap.constant(90.0, beats_per_bar=3), _two_tempos(90.0, 90.0)],
)
def test_one_straight_whole_number_tempo_can_be_followed(tempo_map: TempoMap) -> None:
    """Points that change nothing count as one tempo."""
    assert LIMITS.problem(tempo_map) is None


@pytest.mark.parametrize(
    ("tempo_map", "problem"),
    [
        (_two_tempos(90.0, 91.0), "the same throughout, got 2"),
        (TempoMap.constant(92.5), "bpm must be a whole number, got 92.5"),
        (TempoMap.constant(120.0, beats_per_bar=7, beat_unit=8), "one of 2/4, 3/4, 4/4, got 7/8"),
        (TempoMap.constant(120.0, swing=0.6), "swing ratio must be 0.5 (straight), got 0.6"),
        (TempoMap(points=(TempoPoint(start_s=0.0, bpm=90.0),), first_downbeat_s=0.5), "at 0 s, got 0.5"),
    ],
)
def test_the_first_limit_that_a_tempo_map_breaks_is_named(tempo_map: TempoMap, problem: str) -> None:
    """With what must be, and what it is."""
    assert problem in str(LIMITS.problem(tempo_map))
