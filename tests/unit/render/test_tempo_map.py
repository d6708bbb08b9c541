"""Tempo maps and their grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_service.music.tempo_map import (
    TempoMap,
    TempoMapError,
    TempoPoint,
    tempo_map_from_json,
    tempo_map_json,
)


@st.composite
def tempo_maps(draw: st.DrawFn) -> TempoMap:
    """Any valid map."""
    gaps = draw(st.lists(st.floats(0.5, 20.0), max_size=4))
    seconds = [0.0, *np.cumsum(gaps).tolist()]
    points = tuple(
        TempoPoint(start_s=s, bpm=draw(st.floats(30, 300)), beats_per_bar=draw(st.integers(1, 7))) for s in seconds
    )
    return TempoMap(points=points, first_downbeat_s=draw(st.floats(0, 2)), swing=draw(st.floats(0.5, 0.75)))


@given(tempo_maps(), st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_second_of_beat_inverts_beat_position(tempo_map: TempoMap, seconds: list[float]) -> None:
    """For any tempo map."""
    np.testing.assert_allclose(tempo_map.second_of_beat(tempo_map.beat_position(seconds)), seconds, atol=1e-6)


@given(tempo_maps())
def test_the_grid_increases_within_the_span(tempo_map: TempoMap) -> None:
    """Grid points increase strictly and stay within the requested span."""
    grid = tempo_map.grid_s(30.0)
    assert (np.diff(grid) > 0).all()
    assert grid.size == 0 or (grid[0] >= 0 and grid[-1] < 30.0)


@given(tempo_maps())
def test_a_map_survives_json(tempo_map: TempoMap) -> None:
    """The map that is read equals the map that was written."""
    assert tempo_map_from_json(tempo_map_json(tempo_map)) == tempo_map


def test_beats_and_bars_at_120_in_four() -> None:
    """Half a second a beat, two a bar."""
    tempo_map = TempoMap.constant(120)
    np.testing.assert_allclose(tempo_map.beats_s(2.0), [0, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(tempo_map.bars_s(6.0), [0, 2, 4])


def test_a_new_metre_starts_a_bar() -> None:
    """A change of metre is a downbeat, even if it cuts the bar before short."""
    points = (TempoPoint(start_s=0, bpm=60), TempoPoint(start_s=5.0, bpm=60, beats_per_bar=3))
    np.testing.assert_allclose(TempoMap(points=points).bars_s(12.0), [0, 4, 5, 8, 11])


@pytest.mark.parametrize(("at_s", "whole"), [(3.43, 2), (3.42, 2), (5.3, 4)])
def test_a_new_metre_between_beats_skips_no_bar(at_s: float, whole: int) -> None:
    """Wherever in a beat the metre changes: bars count on from there, and the beats keep their positions."""
    points = (TempoPoint(start_s=0, bpm=140), TempoPoint(start_s=at_s, bpm=140, beats_per_bar=3))
    tempo_map = TempoMap(points=points)
    beat_s = 60 / 140
    before, after = 4 * beat_s * np.arange(whole), np.arange(at_s, 12.1, 3 * beat_s)
    np.testing.assert_allclose(tempo_map.bars_s(12.1), [*before, *after], atol=1e-6)
    np.testing.assert_allclose(tempo_map.beats_s(12.1), np.arange(0.0, 12.1, beat_s))


@given(tempo_maps(), st.floats(1.0, 60.0))
def test_bars_have_whole_positions(tempo_map: TempoMap, seconds: float) -> None:
    """Bar positions of the downbeats are 0, 1, 2 and so on without a gap."""
    bars = tempo_map.bars_s(seconds)
    positions = tempo_map.bar_position(bars + 2e-6)
    np.testing.assert_array_equal(np.floor(positions), np.arange(bars.size))
    assert (positions - np.floor(positions) < 1e-3).all()
    assert ((bars >= 0.0) & (bars < seconds)).all()


def test_swing_moves_only_off_beats() -> None:
    """Triplet swing moves the second eighth note to two thirds of the beat; beats stay."""
    grid = TempoMap.constant(60, swing=2 / 3).grid_s(2.0, divisions=2)
    np.testing.assert_allclose(grid, [0, 2 / 3, 1, 1 + 2 / 3])


@pytest.mark.parametrize(
    ("points", "field"),
    [
        ((), "points"),
        ((TempoPoint(start_s=1, bpm=100),), "points[0].start_seconds"),
        ((TempoPoint(start_s=0, bpm=29),), "points[0].bpm"),
        ((TempoPoint(start_s=0, bpm=float("nan")),), "points[0].bpm"),
        ((TempoPoint(start_s=0, bpm=100), TempoPoint(start_s=0, bpm=100)), "points[1].start_seconds"),
        ((TempoPoint(start_s=0, bpm=100, beats_per_bar=17),), "points[0].beats_per_bar"),
        ((TempoPoint(start_s=0, bpm=100, beat_unit=3),), "points[0].beat_unit"),
    ],
)
def test_a_malformed_map_names_its_field(points: tuple[TempoPoint, ...], field: str) -> None:
    """The error has the path of the field."""
    with pytest.raises(TempoMapError) as error:
        TempoMap(points=points)
    assert error.value.field == field
