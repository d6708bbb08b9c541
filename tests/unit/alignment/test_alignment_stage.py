"""The align stage on corpus songs: what was done to the timing is seen in the report and gone from the result."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from separation_service.align import Aligned, BaseTake, align
from separation_service.alignment import Grid, Kind, Region
from separation_service.alignment.limits import KINDS
from servicekit.audio.loudness import integrated_lufs
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, from_pcm24, to_pcm24_saturated
from servicekit.audio.true_peak import TruePeakMeter, decibels
from servicekit.errors import FailedPrecondition, InvalidFields
from tests.unit.alignment.corpus_takes import Silent, lag_ms, needs_soundfont, pair, spoiled

pytestmark = needs_soundfont
OFFSET_S, DRIFT = 0.02, 0.003


@cache
def rerendered(name: str, stem: Kind, region: Region | None = None, **distortion: float) -> Aligned:
    """The other persona's ``stem``, its timing spoiled, in the original's place."""
    take = pair(name)
    mix, new = (spoiled(audio, **distortion) for audio in (take.other.mix, take.other.stems[stem]))
    return align(mix, new, take.base(stem), take.fit(region, accept_drift=True), Silent())


@pytest.mark.parametrize(
    ("name", "stem"), [("straight", "drums"), ("winding", "bass"), ("straight", "vocals"), ("winding", "other")]
)
def test_offset_and_drift_are_reported_and_removed(name: str, stem: Kind) -> None:
    """20 ms and 0.3 % are in the report; the delivered stem lies where the unspoiled one does, in its first and last third."""
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


def test_the_rendered_and_the_delivered_timing_are_told_apart() -> None:
    """The drums as they came are late by the offset, as delivered they are not, beside the grid and beside the old drums."""
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


def test_a_stem_in_time_is_left_where_it_is() -> None:
    """Within a millisecond, and no time map."""
    done = rerendered("straight", "vocals")
    assert abs(done.report.correction.offset_ms) < 1.0
    assert done.report.correction.drift_ms_per_minute == 0.0


def test_a_region_changes_nothing_outside_and_no_other_stem() -> None:
    """Not one bit; the bounce is base - old + new in integers; both seams hold their level and have no click."""
    take, stem = pair("straight"), "bass"
    base = take.base("bass")
    done = rerendered("straight", "bass", Region(from_bar=2, to_bar=3), offset_s=OFFSET_S)
    assert (done.bounce == base.bounce - base.old + done.stem).all()
    changed = np.flatnonzero((done.stem != base.old).any(axis=0))
    first, last = done.report.seams
    assert (first.bar, last.bar) == (2, 4)
    assert changed[0] >= first.from_s * SAMPLE_RATE_HZ - 1
    assert changed[-1] <= last.to_s * SAMPLE_RATE_HZ + 1
    assert changed.size > 0.8 * (last.to_s - first.from_s) * SAMPLE_RATE_HZ
    gain = 10.0 ** ((done.report.level.matched_db or 0.0) / 20.0)
    new = to_pcm24_saturated(take.other.stems[stem] * np.float32(gain), stage="TEST")[0]
    for seam in (first, last):
        assert seam.level_error_db is None or abs(seam.level_error_db) < 0.5
        assert abs(seam.lag_ms) <= 5.0
        window = slice(round(seam.from_s * SAMPLE_RATE_HZ) - 50, round(seam.to_s * SAMPLE_RATE_HZ) + 50)
        assert _roughness(done.stem[:, window]) <= 1.5 * max(_roughness(s[:, window]) for s in (base.old, new)) + 200.0


def _roughness(pcm: np.ndarray) -> float:
    """The largest second difference: what a click has and music has not."""
    return float(np.abs(np.diff(pcm.astype(np.float64), 2, axis=1)).max())


def test_the_new_stem_has_the_old_ones_loudness_and_the_bounce_its_ceiling() -> None:
    """Unless the ceiling takes some, and then the report says how much."""
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


def test_an_old_stem_that_is_silent_asks_for_no_loudness() -> None:
    """The new one keeps the level that it came with."""
    take = pair("straight")
    base = take.base("vocals")
    stems = base.stems.copy()
    stems[KINDS.index("vocals")] = 0
    quiet = BaseTake(bounce=base.bounce - base.old, stems=stems, stem="vocals")
    done = align(take.other.mix, take.other.stems["vocals"], quiet, take.fit(), Silent())
    assert done.report.level.matched_db is None
    assert not any("loudness" in words for words in done.processing)


def test_a_new_stem_that_is_silent_is_a_named_failure() -> None:
    """Digital silence as well as what a separator leaks."""
    take = pair("straight")
    for gain in (0.0, 1e-3):
        new = take.other.stems["vocals"] * np.float32(gain)
        with pytest.raises(FailedPrecondition, match="vocals") as caught:
            align(take.other.mix, new, take.base("vocals"), take.fit(), Silent())
        assert caught.value.reason == "STEM_SILENT"


def test_a_stem_without_onsets_is_unmeasurable_and_never_zero_drift() -> None:
    """A drone passes as `other`, without a number; as drums it fails, since drums have to be measured."""
    take = pair("straight")
    at_s = np.arange(take.original.mix.shape[1]) / SAMPLE_RATE_HZ
    drone = (0.1 * np.sin(2.0 * np.pi * 196.0 * at_s) * np.sin(np.pi * at_s / at_s[-1]))[None].repeat(2, axis=0)
    new = drone.astype(np.float32)
    report = align(take.other.mix, new, take.base("other"), take.fit(), Silent()).report
    assert report.verdict == "unmeasurable"
    assert report.facts["delivered"] == {"grid": None, "drums": None, "bass": None}
    with pytest.raises(FailedPrecondition, match="0 measurable onsets"):
        align(take.other.mix, new, take.base("drums"), take.fit(), Silent())


def test_drums_off_the_grid_fail_with_their_numbers_unless_the_drift_is_accepted() -> None:
    """Each bar of them wanders by up to 30 ms, which no offset and no drift mends."""
    take = pair("straight")
    mix, new = (spoiled(audio, jitter_s=0.03) for audio in (take.other.mix, take.other.stems["drums"]))
    with pytest.raises(FailedPrecondition, match="95th percentile") as caught:
        align(mix, new, take.base("drums"), take.fit(), Silent())
    assert caught.value.reason == "DRIFT_EXCEEDED"
    assert float(caught.value.metadata["p95_ms"]) > 12.0
    kept = align(mix, new, take.base("drums"), take.fit(accept_drift=True), Silent()).report
    assert (kept.verdict, kept.accepted) == ("beyond", True)
    assert kept.exceeded


def test_key_agreement_is_of_the_key_that_was_asked() -> None:
    """More of it on its own scale than by chance; drums have none."""
    key = rerendered("winding", "other", offset_s=OFFSET_S, drift=DRIFT).report.key
    assert key is not None
    assert key.asked == str(pair("winding").key)
    assert key.scale_share > 0.65
    assert rerendered("straight", "drums", offset_s=OFFSET_S).report.key is None


def test_bars_that_the_take_lacks_are_refused() -> None:
    """Naming how many it has."""
    for bars in (Region(from_bar=0, to_bar=1), Region(from_bar=3, to_bar=2), Region(from_bar=2, to_bar=99)):
        with pytest.raises(InvalidFields, match="the take has 5"):
            rerendered("straight", "other", bars)


def test_a_grid_that_does_not_rise_is_refused() -> None:
    """Before anything is measured with it."""
    with pytest.raises(ValueError, match="beats_s"):
        Grid(seconds=4.0, beats_s=np.array([0.0, 2.0, 1.0]), downbeats_s=np.zeros(1), subdivisions_s=np.zeros(1))
