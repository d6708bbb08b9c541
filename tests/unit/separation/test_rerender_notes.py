"""The verdict on a new stem whose score is known: by its notes, and for drums by a grid with the old drums' zero."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from separation_service.alignment import BarRange
from separation_service.alignment.limits import limits_for
from separation_service.alignment.timing import judge
from separation_service.api.replace_messages import read_replace_request
from separation_service.rerender.align import align
from separation_service.rerender.target import BaseTake
from servicekit.audio.pcm24 import to_pcm24
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FailedPrecondition, InvalidFields
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.corpus_takes import Pair, Waveform, needs_soundfont, pair, spoiled
from tests.support.silent_progress import SilentProgress


def with_old(take: Pair, stem: StemName, audio: Waveform) -> BaseTake:
    """The original with another sound as its stem."""
    base = take.base(stem)
    stems = base.stems.copy()
    stems[STEMS.index(stem)] = to_pcm24(audio, stage="TEST")
    return replace(base, stems=stems, bounce=base.bounce - base.old + stems[STEMS.index(stem)])


@needs_soundfont
def test_a_stem_with_few_notes_is_judged_by_them() -> None:
    """The grid asks for twelve onsets, which two bars of this part do not have."""
    take, bars = pair("winding"), BarRange(from_bar=2, to_bar=3)
    base = take.base("bass")
    mix, new = take.other.mix, take.other.stems["bass"]
    by_grid = align(mix, new, take.target(base, bars), SilentProgress()).report
    by_notes = align(mix, new, take.target(base, bars, notes=take.notes("bass")), SilentProgress()).report
    assert (by_grid.verdict, by_grid.judged_against, by_grid.delivered.notes) == ("unmeasurable", "grid", None)
    assert (by_notes.verdict, by_notes.judged_against) == ("within", "score")
    assert by_notes.judged == by_notes.delivered.notes
    assert by_notes.delivered.grid == by_grid.delivered.grid
    assert by_notes.delivered.notes is not None
    assert by_notes.delivered.notes.matched > 0.8
    assert by_notes.summary["judgedAgainst"] == "score"
    assert by_notes.limits.min_onsets == 6


@needs_soundfont
def test_a_stem_off_its_notes_fails_by_them() -> None:
    """Each second is off by up to 45 ms; the error's figures are those against the notes."""
    take = pair("winding")
    new = spoiled(take.other.stems["bass"], jitter_s=0.045)
    target = take.target(take.base("bass"), notes=take.notes("bass"))
    with pytest.raises(FailedPrecondition, match="not in time with its notes") as caught:
        align(take.other.mix, new, target, SilentProgress())
    kept = align(take.other.mix, new, replace(target, allow_drift=True), SilentProgress()).report
    assert (kept.verdict, kept.accepted) == ("beyond", True)
    assert kept.delivered.notes is not None
    assert caught.value.metadata["judged_against"] == "score"
    assert float(caught.value.metadata["mad_ms"]) == kept.delivered.notes.mad_ms


@needs_soundfont
def test_a_loose_original_excuses_the_same_notes_only() -> None:
    """Its own part scatters around these notes too; of a new part the old stem says nothing."""
    take = pair("winding")
    spoil = spoiled(take.other.stems["bass"], jitter_s=0.045)
    loose = with_old(take, "bass", spoiled(take.original.stems["bass"], jitter_s=0.045))
    done = align(take.other.mix, spoil, take.target(loose, notes=take.notes("bass")), SilentProgress())
    assert (done.report.verdict, done.report.exceeded) == ("unmeasurable", ())
    for base, notes in (
        (loose, take.notes("bass", new_part=True)),
        (replace(loose, is_original=False), take.notes("bass")),
    ):
        with pytest.raises(FailedPrecondition, match="not in time with its notes"):
            align(take.other.mix, spoil, take.target(base, notes=notes), SilentProgress())


@needs_soundfont
@pytest.mark.parametrize(("early_s", "verdict", "zero_ms"), [(0.003, "within", -3.8), (0.012, "beyond", -5.0)])
def test_the_zero_of_drums_is_the_original_drums(early_s: float, verdict: str, zero_ms: float) -> None:
    """A separator gives old and new strokes equally early; the grid figure stays beside. It accounts for at most 5 ms."""
    take = pair("straight")
    old, new = (spoiled(song.stems["drums"], offset_s=-early_s) for song in (take.original, take.other))
    base = with_old(take, "drums", old)
    target = take.target(base, notes=take.notes("drums"), allow_drift=True)
    report = align(take.other.mix, new, target, SilentProgress()).report
    assert (report.verdict, report.judged_against) == (verdict, "grid")
    assert report.zero_ms == pytest.approx(zero_ms, abs=0.3)
    assert judge(report.delivered.grid, limits_for("drums"))[0] == "beyond"
    assert report.delivered.grid is not None
    assert report.delivered.calibrated is not None
    assert report.delivered.grid.median_ms == pytest.approx(-1e3 * early_s - 0.8, abs=0.7)
    moved_ms = report.delivered.calibrated.median_ms - report.delivered.grid.median_ms
    assert moved_ms == pytest.approx(-report.summary["zeroMs"], abs=0.1)


@needs_soundfont
def test_drums_that_were_replaced_before_have_no_zero() -> None:
    """It would move with every re-render."""
    take, bars = pair("straight"), BarRange(from_bar=2, to_bar=3)
    base = replace(take.base("drums"), is_original=False)
    target = take.target(base, bars, notes=take.notes("drums"))
    report = align(take.other.mix, take.other.stems["drums"], target, SilentProgress()).report
    assert (report.verdict, report.zero_ms, report.delivered.calibrated) == ("within", None, None)


def request(**fields: object) -> separation_pb2.ReplaceStemRequest:
    """A request whose other fields are in order."""
    names = ("bounce.wav", *(f"{stem}.wav" for stem in STEMS), "manifest.json")
    base = separation_pb2.BaseVersion(version=1, zip_entries=[job_pb2.ZipEntry(name=name) for name in names])
    grid = separation_pb2.Grid(seconds=4.0, beat_seconds=[0.0, 2.0])
    return separation_pb2.ReplaceStemRequest(stem=brief_pb2.STEM_BASS, base=base, grid=grid, **fields)  # type: ignore[arg-type]


def test_notes_of_a_request_are_checked() -> None:
    """They ascend, are finite and bounded; without any they are unknown."""
    assert read_replace_request(request()).replacement.notes is None
    notes = read_replace_request(request(note_seconds=[0.5, 0.5, 1.0], new_part=True)).replacement.notes
    assert notes is not None
    assert (notes.starts_s.tolist(), notes.new_part) == ([0.5, 0.5, 1.0], True)
    for wrong in ([1.0, 0.5], [float("inf")], np.linspace(0.0, 3.0, 20_001)):
        with pytest.raises(InvalidFields) as refused:
            read_replace_request(request(note_seconds=wrong))
        assert [violation.field for violation in refused.value.violations] == ["note_seconds"]
