"""The align stage on corpus songs: a known timing error is in the report and no longer in the result."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from separation_service.alignment import BarRange, Grid
from separation_service.alignment.estimate import UNKNOWN
from separation_service.alignment.fitting import join, move, span_of
from separation_service.rerender.align import AlignedStem, align
from separation_service.rerender.target import BaseTake
from servicekit.audio.loudness import integrated_lufs
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, from_pcm24, to_pcm24, to_pcm24_saturated
from servicekit.audio.true_peak import TruePeakMeter, decibels
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FailedPrecondition, InvalidFields
from tests.support.corpus_takes import lag_ms, needs_soundfont, pair, spoiled
from tests.support.silent_progress import SilentProgress

pytestmark = needs_soundfont
OFFSET_S, DRIFT = 0.02, 0.003


@cache
def rerendered(name: str, stem: StemName, region: BarRange | None = None, **distortion: float) -> AlignedStem:
    """The other persona's ``stem`` with a timing error, in place of the original's."""
    take = pair(name)
    mix, new = (spoiled(audio, **distortion) for audio in (take.other.mix, take.other.stems[stem]))
    return align(mix, new, take.target(take.base(stem), region, allow_drift=True), SilentProgress())


@pytest.mark.parametrize(
    ("name", "stem"), [("straight", "drums"), ("winding", "bass"), ("straight", "vocals"), ("winding", "other")]
)
def test_offset_and_drift_are_reported_and_removed(name: str, stem: StemName) -> None:
    """20 ms and 0.3 % are in the report; first and last third of the delivered stem are in time with the stem without the error."""
    take = pair(name)
    done = rerendered(name, stem, offset_s=OFFSET_S, drift=DRIFT)
    assert done.report.correction.offset_ms == pytest.approx(1e3 * OFFSET_S, abs=3.0)
    assert done.report.correction.drift_ms_per_minute == pytest.approx(6e4 * DRIFT, abs=15.0)
    third = done.stem.shape[1] // 3
    delivered, unspoiled = from_pcm24(done.stem).mean(axis=0), take.other.stems[stem].mean(axis=0)
    for part in (slice(0, third), slice(2 * third, None)):
        if np.abs(unspoiled[part]).max() > 1e-3:
            assert abs(lag_ms(delivered[part], unspoiled[part])) < (3.0 if stem == "drums" else 8.0)
    assert any("resampled" in words for words in done.processing)


def test_rendered_and_delivered_timing_are_reported_apart() -> None:
    """The rendered drums are late by the offset; the delivered ones are on the grid and with the old drums."""
    report = rerendered("straight", "drums", offset_s=OFFSET_S).report
    assert report.rendered.grid is not None
    assert report.delivered.grid is not None
    assert report.rendered.grid.median_ms == pytest.approx(20.0, abs=1.5)
    assert abs(report.delivered.grid.median_ms) < 1.5
    assert report.delivered.grid.matched > 0.95
    assert report.delivered.drums is not None
    assert abs(report.delivered.drums.median_ms) < 1.5
    assert (report.verdict, report.exceeded) == ("within", ())
    assert report.summary["correction"]["driftMsPerMinute"] == 0.0


def test_a_stem_in_time_is_not_moved() -> None:
    """By no more than a millisecond, and it is not resampled."""
    done = rerendered("straight", "vocals")
    assert abs(done.report.correction.offset_ms) < 1.0
    assert done.report.correction.drift_ms_per_minute == 0.0


@pytest.mark.parametrize(("name", "stem"), [("straight", "bass"), ("winding", "drums")])
def test_a_region_changes_nothing_outside_and_no_other_stem(name: str, stem: StemName) -> None:
    """Not one bit; the bounce is base - old + new in integers; both seams keep their level and have no click."""
    take = pair(name)
    base, (from_s, to_s) = take.base(stem), take.grid.downbeats_s[[1, 3]]
    done = rerendered(name, stem, BarRange(from_bar=2, to_bar=3), offset_s=OFFSET_S)
    assert (done.bounce == base.bounce - base.old + done.stem).all()
    changed = np.flatnonzero((done.stem != base.old).any(axis=0))
    first, last = done.report.seams
    assert (first.bar, last.bar) == (2, 4)
    assert from_s <= changed[0] / SAMPLE_RATE_HZ < from_s + 0.001
    assert to_s - 0.006 < changed[-1] / SAMPLE_RATE_HZ < to_s
    assert from_s <= first.from_s < first.to_s < last.from_s < last.to_s < to_s
    assert changed.size > 0.8 * (to_s - from_s) * SAMPLE_RATE_HZ
    gain = 10.0 ** ((done.report.level.matched_db or 0.0) / 20.0)
    new = to_pcm24_saturated(take.other.stems[stem] * np.float32(gain), stage="TEST")[0]
    for seam in (first, last):
        assert seam.level_error_db is None or abs(seam.level_error_db) < 0.5
        assert abs(seam.lag_ms) <= 5.0
        window = slice(round(seam.from_s * SAMPLE_RATE_HZ) - 50, round(seam.to_s * SAMPLE_RATE_HZ) + 50)
        assert _roughness(done.stem[:, window]) <= 1.5 * max(_roughness(s[:, window]) for s in (base.old, new)) + 200.0


def test_the_first_downbeat_of_a_region_is_the_new_stems() -> None:
    """At least four fifths of the energy of its stroke stay, and the old stem's stroke is gone after 5 ms."""
    rng, line = np.random.default_rng(4), 2 * SAMPLE_RATE_HZ
    strokes = np.zeros((2, 2, 6 * SAMPLE_RATE_HZ), dtype=np.float32)
    for beat in range(0, strokes.shape[2], SAMPLE_RATE_HZ):
        strokes[:, :, beat : beat + 6000] = 0.2 * rng.standard_normal((2, 2, 6000)) * np.exp(-np.arange(6000) / 1500.0)
    old, new = strokes
    lines = np.arange(0.0, 6.0, 2.0)
    grid = Grid(seconds=6.0, beats_s=lines, downbeats_s=lines, subdivisions_s=lines)
    span = span_of(BarRange(from_bar=2, to_bar=2), grid, old.shape[1])
    moved = move(new, old, UNKNOWN, span, "drums")
    joint, (opening, _) = join(moved, old, span)
    assert 0 < joint.start - line <= 1
    added, whole, kept = (float(np.square(of[:, :2205]).sum()) for of in (joint.added, moved.audio, joint.kept))
    assert added > 0.8 * whole
    assert kept < 0.2 * whole
    assert not joint.kept[:, 221 : 2 * SAMPLE_RATE_HZ - 44 * 45].any()
    assert opening.level_error_db is not None
    assert abs(opening.level_error_db) < 0.5


def test_short_bars_have_shorter_crossfades() -> None:
    """In a bar of 30 ms, cut short by a change of metre, both are inside it, one after the other; one of 10 ms is refused."""
    for length_s in (0.03, 0.01):
        lines = np.array([0.0, 2.0, 2.0 + length_s, 4.0])
        grid = Grid(seconds=6.0, beats_s=lines, downbeats_s=lines, subdivisions_s=lines)
        if length_s < 0.02:
            with pytest.raises(InvalidFields, match=r"got 10\.0 ms"):
                span_of(BarRange(from_bar=2, to_bar=2), grid, 6 * SAMPLE_RATE_HZ)
            continue
        span = span_of(BarRange(from_bar=2, to_bar=2), grid, 6 * SAMPLE_RATE_HZ)
        assert span.opening is not None
        assert span.closing is not None
        assert 88200 < span.start == span.opening.start < span.opening.window.stop <= span.closing.start
        assert span.closing.start < span.closing.window.stop == span.stop < 88200 + length_s * SAMPLE_RATE_HZ


def _roughness(pcm: np.ndarray) -> float:
    """The largest second difference, which is large for a click and small for music."""
    return float(np.abs(np.diff(pcm.astype(np.float64), 2, axis=1)).max())


def test_the_new_stem_has_the_old_ones_loudness_and_the_bounce_is_within_its_limit() -> None:
    """Unless the true-peak limit reduces it, and then the report says by how much."""
    base = pair("winding").base("bass")
    done = rerendered("winding", "bass", offset_s=OFFSET_S, drift=DRIFT)
    old_lufs, new_lufs = integrated_lufs(base.old), integrated_lufs(done.stem)
    assert old_lufs is not None
    assert new_lufs is not None
    assert new_lufs - done.report.level.lowered_db == pytest.approx(old_lufs, abs=0.2)
    meter = TruePeakMeter()
    meter.add(done.bounce)
    peak_dbtp = decibels(meter.peak())
    assert peak_dbtp is not None
    assert peak_dbtp <= -1.0


@pytest.mark.parametrize("region", [None, BarRange(from_bar=2, to_bar=3)])
def test_the_bounce_keeps_its_loudness(region: BarRange | None) -> None:
    """Where the old stem contains some of the others, as separated ones do. The stem stays within 1 LU; what is outside stays.

    The new sound is preferred by keeping less of the others' sound.
    """
    take = pair("straight")
    base = leaky(take.base("bass"))
    at = (
        slice(None) if region is None else slice(*(np.rint(take.grid.downbeats_s[[1, 3]] * SAMPLE_RATE_HZ).astype(int)))
    )
    changes, kept_lu = [], []
    for match_mix, prefer_new_sound in ((False, False), (True, False), (True, True)):
        target = take.target(base, region, allow_drift=True, match_mix=match_mix)
        target = replace(target, prefer_new_sound=prefer_new_sound)
        done = align(take.other.mix, take.other.stems["bass"], target, SilentProgress())
        changes.append(_lufs(done.bounce[:, at]) - _lufs(base.bounce[:, at]))
        assert (done.bounce == base.bounce - base.old + done.stem).all()
        assert abs(_lufs(done.stem[:, at]) - _lufs(base.old[:, at]) - done.report.level.lowered_db) < 1.3
        if region is not None:
            assert (done.stem == base.old)[:, : at.start].all()
            assert (done.stem == base.old)[:, at.stop :].all()
        assert any("third octaves of the bounce" in line for line in done.processing) == match_mix
        assert (done.report.level.mix is None) != match_mix
        if done.report.level.mix is not None:
            shared_lu = done.report.level.mix.shared_lu
            kept_lu.append(-100.0 if shared_lu is None else shared_lu)
    assert changes[0] < -0.5
    assert np.abs(changes[1:]).max() < 0.3
    assert kept_lu[1] < kept_lu[0]


def leaky(base: BaseTake) -> BaseTake:
    """The same bounce, its stem with a third of the other stems' amplitude in it."""
    stems = base.stems.copy()
    index = STEMS.index(base.stem)
    stems[index] += np.rint(0.3 * (base.bounce - base.old)).astype(np.int32)
    return BaseTake(bounce=base.bounce, stems=stems, stem=base.stem)


def _lufs(pcm: np.ndarray) -> float:
    lufs = integrated_lufs(pcm)
    assert lufs is not None
    return lufs


def test_a_new_stem_for_a_silent_one_keeps_its_level() -> None:
    """No loudness is matched."""
    take = pair("straight")
    base = take.base("vocals")
    stems = base.stems.copy()
    stems[STEMS.index("vocals")] = 0
    quiet = BaseTake(bounce=base.bounce - base.old, stems=stems, stem="vocals")
    target = take.target(quiet, match_mix=True)
    done = align(take.other.mix, take.other.stems["vocals"], target, SilentProgress())
    assert (done.report.level.matched_db, done.report.level.mix) == (None, None)
    assert not any("loudness" in words for words in done.processing)


def _scattered(seed: int, frames: int) -> np.ndarray:
    """Sixty low strokes at random times, ``(2, T)``."""
    rng = np.random.default_rng(seed)
    t = np.arange(SAMPLE_RATE_HZ // 8) / SAMPLE_RATE_HZ
    stroke = 0.3 * np.sin(2 * np.pi * 90.0 * t) * np.exp(-t / 0.03)
    strewn = np.zeros((2, frames), dtype=np.float32)
    for at in rng.integers(0, frames - stroke.size, 60):
        strewn[:, at : at + stroke.size] += stroke.astype(np.float32)
    return strewn


def test_a_stem_whose_first_version_scatters_is_unmeasurable() -> None:
    """Where the take's own bass scatters around its grid, the new one is not measured; beside a bass in time it fails."""
    take = pair("straight")
    timely = take.base("bass")
    old, new = (_scattered(seed, timely.bounce.shape[1]) for seed in (1, 2))
    stems = timely.stems.copy()
    stems[STEMS.index("bass")] = to_pcm24(old, stage="TEST")
    bounce = timely.bounce - timely.old + stems[STEMS.index("bass")]
    first = BaseTake(bounce=bounce, stems=stems, stem="bass")
    new_mix = take.other.mix - take.other.stems["bass"] + new
    done = align(new_mix, new, take.target(first), SilentProgress())
    assert (done.report.verdict, done.report.exceeded) == ("unmeasurable", ())
    for base in (timely, replace(first, is_original=False)):
        with pytest.raises(FailedPrecondition, match="median absolute deviation") as caught:
            align(new_mix, new, take.target(base), SilentProgress())
        assert caught.value.reason == "DRIFT_EXCEEDED"


@pytest.mark.parametrize(("stem", "gain"), [("drums", 0.0), ("bass", 1e-3)])
def test_bars_where_both_stems_are_silent_are_unmeasurable(stem: StemName, gain: float) -> None:
    """Digital silence as well as a separator's leakage; where the old stem plays, the same silence fails."""
    take, bars = pair("straight"), BarRange(from_bar=2, to_bar=3)
    at = slice(*(np.rint(take.grid.downbeats_s[[1, 3]] * SAMPLE_RATE_HZ).astype(int)))
    plays = take.base(stem)
    stems, bounce = plays.stems.copy(), plays.bounce.copy()
    bounce[:, at] -= plays.old[:, at]
    stems[STEMS.index(stem)][:, at] = 0
    new = take.other.stems[stem].copy()
    new[:, at] *= np.float32(gain)
    done = align(
        take.other.mix, new, take.target(BaseTake(bounce=bounce, stems=stems, stem=stem), bars), SilentProgress()
    )
    assert (done.report.verdict, done.report.exceeded) == ("unmeasurable", ())
    assert done.report.level.matched_db is None
    assert np.abs(from_pcm24(done.stem[:, at])).max() < 2e-3
    with pytest.raises(FailedPrecondition, match=stem) as caught:
        align(take.other.mix, new, take.target(plays, bars), SilentProgress())
    assert caught.value.reason == "STEM_SILENT"


def test_a_silent_new_stem_fails() -> None:
    """Digital silence as well as a separator's leakage."""
    take = pair("straight")
    for gain in (0.0, 1e-3):
        new = take.other.stems["vocals"] * np.float32(gain)
        with pytest.raises(FailedPrecondition, match="vocals") as caught:
            align(take.other.mix, new, take.target(take.base("vocals")), SilentProgress())
        assert caught.value.reason == "STEM_SILENT"


def test_a_stem_without_onsets_is_unmeasurable_instead_of_in_time() -> None:
    """A drone passes as `other`, without figures; as drums it fails, for drums have to be measurable."""
    take = pair("straight")
    at_s = np.arange(take.original.mix.shape[1]) / SAMPLE_RATE_HZ
    drone = (0.1 * np.sin(2.0 * np.pi * 196.0 * at_s) * np.sin(np.pi * at_s / at_s[-1]))[None].repeat(2, axis=0)
    new = drone.astype(np.float32)
    report = align(take.other.mix, new, take.target(take.base("other")), SilentProgress()).report
    assert report.verdict == "unmeasurable"
    assert set(report.facts["delivered"].values()) == {None}
    with pytest.raises(FailedPrecondition, match="0 measurable onsets"):
        align(take.other.mix, new, take.target(take.base("drums")), SilentProgress())


def test_drums_off_the_grid_fail_with_figures_unless_drift_is_allowed() -> None:
    """Each bar is off by up to 30 ms, which no offset and no drift corrects."""
    take = pair("straight")
    mix, new = (spoiled(audio, jitter_s=0.03) for audio in (take.other.mix, take.other.stems["drums"]))
    with pytest.raises(FailedPrecondition, match="95th percentile") as caught:
        align(mix, new, take.target(take.base("drums")), SilentProgress())
    assert caught.value.reason == "DRIFT_EXCEEDED"
    assert float(caught.value.metadata["p95_ms"]) > 12.0
    kept = align(mix, new, take.target(take.base("drums"), allow_drift=True), SilentProgress()).report
    assert (kept.verdict, kept.accepted) == ("beyond", True)
    assert kept.exceeded


def test_key_agreement_is_with_the_requested_key() -> None:
    """More of the energy is on its scale than by chance; drums have no key."""
    key = rerendered("winding", "other", offset_s=OFFSET_S, drift=DRIFT).report.key
    assert key is not None
    assert key.asked == str(pair("winding").key)
    assert key.scale_share > 0.65
    assert rerendered("straight", "drums", offset_s=OFFSET_S).report.key is None


def test_bars_beyond_the_take_are_refused() -> None:
    """The error has the number of bars."""
    for bars in (BarRange(from_bar=0, to_bar=1), BarRange(from_bar=3, to_bar=2), BarRange(from_bar=2, to_bar=99)):
        with pytest.raises(InvalidFields, match="between 1 and 5"):
            rerendered("straight", "other", bars)


def test_a_grid_whose_times_do_not_increase_is_refused() -> None:
    """When it is made."""
    with pytest.raises(ValueError, match="beats_s must be"):
        Grid(seconds=4.0, beats_s=np.array([0.0, 2.0, 1.0]), downbeats_s=np.zeros(1), subdivisions_s=np.zeros(1))
