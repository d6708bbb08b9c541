"""Timing in a report: a slope counts only beyond its standard error."""

from __future__ import annotations

import numpy as np
import pytest

from separation_service.alignment.limits import limits_for, note_limits_for
from separation_service.alignment.onsets import OnsetDetector, Onsets, find_onsets
from separation_service.alignment.report import Timing
from separation_service.alignment.timing import StemNotes, judge, measure_notes, measure_timing
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.names import StemName
from tests.support.corpus_takes import SECONDS, needs_soundfont, pair, spoiled, steady_grid

DRUMS = limits_for("drums")


def played(rng: np.random.Generator, seconds: float, *, slope_ms_per_minute: float = 0.0) -> Timing:
    """As many strokes as a kit has, each off by some milliseconds, the later ones by the slope on top."""
    grid = steady_grid(seconds)
    at_s = np.sort(rng.choice(grid.subdivisions_s[1:-1], size=round(3.5 * seconds), replace=False))
    late_s = 1e-3 * (rng.normal(0.0, 2.5, at_s.size) + slope_ms_per_minute * at_s / 60.0)
    ones = np.ones(at_s.size)
    timing = measure_timing(
        Onsets(times_s=at_s + late_s, strengths=ones, sharpness=10.0 * ones), grid.subdivisions_s, grid
    )
    assert timing is not None
    return timing


@pytest.mark.parametrize("seconds", [6.0, 24.0])
def test_the_error_of_a_slope_is_how_much_slopes_scatter(seconds: float) -> None:
    """Within a third, of takes that differ in chance alone; such takes are hardly ever beyond the limit."""
    rng = np.random.default_rng(5)
    timings = [played(rng, seconds) for _ in range(150)]
    slopes = np.array([timing.slope_ms_per_minute for timing in timings])
    errors = [timing.slope_error_ms_per_minute for timing in timings if timing.slope_error_ms_per_minute]
    assert np.median(errors) == pytest.approx(np.std(slopes), rel=0.33)
    assert np.mean([any("slope" in words for words in judge(timing, DRUMS)[1]) for timing in timings]) < 0.05
    if seconds < 10.0:
        assert np.mean(np.abs(slopes) > 2.0) > 0.8, "by itself the slope of so short a take says nothing"


def test_a_slope_that_can_be_told_counts() -> None:
    """0.3 % in a short take, and in one of two minutes 15 ms a minute."""
    rng = np.random.default_rng(6)
    for seconds, slope in ((6.0, 180.0), (120.0, 15.0)):
        for _ in range(20):
            verdict, exceeded = judge(played(rng, seconds, slope_ms_per_minute=slope), DRUMS)
            assert verdict == "beyond"
            assert any("slope" in words for words in exceeded)


@needs_soundfont
@pytest.mark.parametrize("who", ["original", "other"])
def test_a_kit_that_drifts_is_beyond_and_one_in_time_is_within(who: str) -> None:
    """Corpus drums as they are, and at 0.3 % (180 ms a minute), without any correction: the slope is measured within its error."""
    take = pair("straight")
    kit = getattr(take, who).stems["drums"]
    in_time, drifting = (
        measure_timing(find_onsets(sound), take.grid.subdivisions_s, take.grid)
        for sound in (kit, spoiled(kit, drift=0.003))
    )
    assert judge(in_time, DRUMS) == ("within", ())
    verdict, exceeded = judge(drifting, DRUMS)
    assert verdict == "beyond"
    assert any("slope" in words for words in exceeded)
    assert drifting is not None
    assert drifting.slope_ms_per_minute is not None
    assert drifting.slope_error_ms_per_minute is not None
    assert abs(drifting.slope_ms_per_minute - 180.0) < 3.0 * drifting.slope_error_ms_per_minute
    assert 3.0 * drifting.slope_error_ms_per_minute < 178.0
    assert drifting.seconds > 0.5 * SECONDS


def test_two_bars_have_no_slope() -> None:
    """Nor an error of it."""
    timing = played(np.random.default_rng(7), 4.0)
    assert timing.slope_ms_per_minute is None
    assert timing.slope_error_ms_per_minute is None


@needs_soundfont
@pytest.mark.parametrize("stem", [StemName.BASS, StemName.OTHER])
def test_the_notes_of_a_stem_are_found_where_they_are(stem: StemName) -> None:
    """Most notes of a true stem are found in time; those of a late one are late; at random times nothing is in time."""
    take = pair("straight")
    notes = take.notes(stem).measurable_s(0.1, SECONDS)
    late = spoiled(take.original.stems[stem], offset_s=0.02)
    at_random = np.sort(np.random.default_rng(3).uniform(0.1, SECONDS - 0.2, notes.size))
    limits = note_limits_for(stem)
    in_time, delayed, random = (
        measure_notes(OnsetDetector(audio), at_s, take.grid)
        for audio, at_s in (
            (take.original.stems[stem], notes),
            (late, notes),
            (take.original.stems[stem], at_random),
        )
    )
    assert in_time is not None
    assert in_time.onsets == notes.size
    assert in_time.matched > 0.9
    assert judge(in_time, limits)[0] == "within"
    assert delayed is not None
    assert delayed.median_ms - in_time.median_ms == pytest.approx(20.0, abs=3.0)
    assert judge(random, limits)[0] != "within"


def test_a_stem_that_lacks_most_of_its_notes_is_not_judged() -> None:
    """Eight of twenty notes, each in time, do not show that the stem is; nor, all late, that it is not. Half of them do."""
    notes_s = np.arange(0.5, 10.5, 0.5)
    grid = steady_grid(12.0)

    def verdict(played_s: np.ndarray, *, late_s: float = 0.0) -> str:
        audio = np.zeros((2, 12 * SAMPLE_RATE_HZ), dtype=np.float32)
        ring = np.sin(2 * np.pi * 220.0 * np.arange(8000) / SAMPLE_RATE_HZ) * np.exp(-np.arange(8000) / 2000.0)
        for at in np.round((played_s + late_s) * SAMPLE_RATE_HZ).astype(int):
            audio[:, at : at + 8000] += ring.astype(np.float32)
        timing = measure_notes(OnsetDetector(audio), notes_s, grid)
        assert timing is not None
        return judge(timing, note_limits_for(StemName.BASS))[0]

    few, enough = notes_s[::2][:8], notes_s[::2]
    assert verdict(few) == verdict(few, late_s=0.04) == "unmeasurable"
    assert verdict(enough) == "within"
    assert verdict(enough, late_s=0.04) == "beyond"


def test_nothing_is_found_where_nothing_sounds() -> None:
    """Neither in silence nor where a tone goes on; so there is nothing to measure."""
    at_s = np.arange(0.5, 5.5, 0.5)
    silence = np.zeros((2, 6 * SAMPLE_RATE_HZ), dtype=np.float32)
    tone = np.sin(2 * np.pi * 220.0 * np.arange(6 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ, dtype=np.float32)
    for audio in (silence, np.stack([tone, tone])):
        heard = OnsetDetector(audio)
        assert np.isnan(heard.onsets_at(at_s)).all()
        assert measure_notes(heard, at_s, steady_grid(6.0)) is None


def test_only_measurable_notes_are_measured() -> None:
    """Notes of a chord are one onset; those before the span and in the last 0.1 s of it are left out."""
    notes = StemNotes(starts_s=np.array([0.5, 1.0, 1.0, 1.04, 1.05, 2.85, 2.95, 3.0]))
    assert notes.measurable_s(1.0, 3.0).tolist() == [1.0, 1.05, 2.85]
    for wrong in ([2.0, 1.0], [1.0, np.nan]):
        with pytest.raises(ValueError, match="ascending"):
            StemNotes(starts_s=np.array(wrong))
