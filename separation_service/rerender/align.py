"""Aligns a new stem with the stem that it replaces: on the grid, at the same loudness, and in the base version's bounce.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import Estimate, estimate
from separation_service.alignment.fitting import MIN_OFFSET_S, Span, join, move, span_of
from separation_service.alignment.level import is_audible, loudness_lufs
from separation_service.alignment.mix_match import FULL_MATCH, MINIMAL_CHANGE, MixMatch, match_mix
from separation_service.alignment.onsets import find_onsets
from separation_service.alignment.report import DriftReport, Level
from separation_service.alignment.splice import splice_stem
from separation_service.rerender.drift import DriftMeasurement
from separation_service.rerender.target import AlignmentTarget
from separation_service.timing.progress import StageProgress
from servicekit.audio.pcm24 import FULL_SCALE, Pcm24, from_pcm24, not_finite
from servicekit.delivery.names import StemName
from servicekit.errors import FailedPrecondition
from servicekit.journal import Stage

_STEPS = 4
_CAPITAL = re.compile(r"[A-Z]")


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignedStem:
    """Stem and bounce ``(C, T)`` int32 of the new version; its other three stems are the base's, unchanged.

    ``processing`` describes, for the manifest, how the stem was moved and changed.
    """

    stem: Pcm24
    bounce: Pcm24
    report: DriftReport
    processing: tuple[str, ...]


def align(
    new_mix: NDArray[np.float32], new_stem: NDArray[np.float32], target: AlignmentTarget, progress: StageProgress
) -> AlignedStem:
    """Align ``new_stem`` ``(C, T)``, separated from ``new_mix`` ``(C, T)``, with ``target``; four progress steps.

    Raises `FailedPrecondition` STEM_SILENT where the new stem is silent but the old one plays, and DRIFT_EXCEEDED where it is
    beyond the limits of its kind and drift is not allowed; `InvalidFields` for bars that the take does not have; `Internal`
    NOT_FINITE.
    """
    progress.stage(Stage.ALIGN, _STEPS)
    base = target.base
    _check(new_mix, new_stem, base.bounce)
    span = span_of(target.region, target.grid, base.bounce.shape[1], loop=target.loop)
    found = estimate(find_onsets(new_mix), target.grid)
    progress.step(1)
    old = from_pcm24(base.old)
    moved = move(new_stem, old, found, span, base.stem)
    levels = _levels(moved.audio, new_mix, old, target, span)
    fitted, mix = _fit(moved.audio, levels, target, span)
    joint, seams = join(replace(moved, audio=fitted), old, span)
    progress.step(2)
    spliced = splice_stem(
        base.bounce,
        base.old,
        joint,
        max_true_peak_dbtp=target.max_true_peak_dbtp,
        max_limiting_db=target.max_limiting_db,
    )
    progress.step(3)
    level = Level(
        matched_db=None if levels.matched_db is None else round(levels.matched_db, 2),
        mix=mix,
        lowered_db=spliced.lowered_db,
        limited_samples=spliced.limited_samples,
    )
    measurement = DriftMeasurement(target=target, span=span, found=found, both_silent=levels.both_silent)
    report = measurement.report(new_stem, spliced, level, seams)
    progress.step(_STEPS)
    if report.verdict == "beyond" and not target.allow_drift:
        raise _drift_exceeded(report, base.stem)
    processing = _processing(report, found, base.stem)
    return AlignedStem(stem=spliced.stem, bounce=spliced.bounce, report=report, processing=processing)


def _check(new_mix: NDArray[np.float32], new_stem: NDArray[np.float32], bounce: Pcm24) -> None:
    if not new_mix.shape == new_stem.shape == bounce.shape:
        raise ValueError(
            f"mix, stem and base must have one shape, got {new_mix.shape}, {new_stem.shape} and {bounce.shape}"
        )
    if not np.isfinite(new_stem).all():
        raise not_finite(Stage.SEPARATE)


@dataclass(frozen=True, kw_only=True)
class _Levels:
    """``matched_db`` brings the new stem to the old one's loudness; None where one of them is silent."""

    matched_db: float | None
    both_silent: bool


def _levels(
    moved: NDArray[np.float64],
    new_mix: NDArray[np.float32],
    old: NDArray[np.float32],
    target: AlignmentTarget,
    span: Span,
) -> _Levels:
    """Loudness of old and new stem over the span, each compared with its mix there. Raises STEM_SILENT."""
    stem, bounce = target.base.stem, target.base.bounce
    new_lufs, mix_lufs = loudness_lufs(moved), loudness_lufs(new_mix[:, span.window])
    old_lufs = loudness_lufs(old[:, span.window])
    old_plays = is_audible(old_lufs, loudness_lufs(from_pcm24(bounce[:, span.window])))
    new_plays = is_audible(new_lufs, mix_lufs)
    if old_plays and not new_plays:
        how = (
            "silent"
            if new_lufs is None
            else f"almost silent: {new_lufs:.1f} LUFS in a mix of {mix_lufs or 0.0:.1f} LUFS"
        )
        raise FailedPrecondition(
            f"the old {stem} stem plays here and the new one is {how}; try another seed, prompt or persona",
            reason="STEM_SILENT",
            metadata={"stem": stem, "lufs": "" if new_lufs is None else f"{new_lufs:.2f}"},
        )
    matched_db = None
    if old_plays and old_lufs is not None and new_lufs is not None:
        matched_db = old_lufs - new_lufs
    return _Levels(matched_db=matched_db, both_silent=not old_plays and not new_plays)


def _fit(
    new: NDArray[np.float64], levels: _Levels, target: AlignmentTarget, span: Span
) -> tuple[NDArray[np.float64], MixMatch | None]:
    """The new stem ``(C, N)`` at the old one's loudness and, if the target asks for it, fitted into the mix."""
    if levels.matched_db is None:
        return new, None
    matched = new * 10.0 ** (levels.matched_db / 20.0)
    if not target.match_mix:
        return matched, None
    old = target.base.old[:, span.window] / FULL_SCALE
    rest = target.base.bounce[:, span.window] / FULL_SCALE - old
    rule = MINIMAL_CHANGE if target.prefer_new_sound else FULL_MATCH
    return match_mix(matched, old, rest, rule, loop=span.loops)


def _drift_exceeded(report: DriftReport, stem: StemName) -> FailedPrecondition:
    numbers = {} if report.judged is None else report.judged.facts
    where = "on the original's grid" if report.judged_against == "grid" else "in time with its notes"
    return FailedPrecondition(
        f"the new {stem} stem is not {where}: {'; '.join(report.exceeded)}. Try another seed, or allow drift",
        reason="DRIFT_EXCEEDED",
        metadata={
            "stem": stem,
            "judged_against": report.judged_against,
            "exceeded": "; ".join(report.exceeded),
            # Metadata keys are snake_case, as all names on the wire.
            **{_CAPITAL.sub(r"_\g<0>", name).lower(): str(v) for name, v in numbers.items() if v is not None},
        },
    )


def _processing(report: DriftReport, found: Estimate, stem: StemName) -> tuple[str, ...]:
    lines = []
    if found.drift != 0.0:
        lines.append(f"resampled by {1e2 * found.drift:+.3f} % to remove the drift of the new mix")
    if found.drift != 0.0 or abs(found.offset_s) >= MIN_OFFSET_S:
        lines.append(f"moved by {-1e3 * found.offset_s:+.2f} ms")
    if report.level.matched_db is not None:
        lines.append(f"{report.level.matched_db:+.2f} dB to match the loudness of the old stem")
    if report.level.mix is not None:
        lines += _mix_lines(report.level.mix)
    if report.level.lowered_db:
        lines.append(f"{report.level.lowered_db:+.2f} dB to keep the bounce within its true-peak limit")
    if report.level.limited_samples:
        lines.append(f"includes the limiting of the bounce in {report.level.limited_samples} samples")
    first = 0 if report.region is None else report.region.from_bar
    for seam in report.seams:
        where = "from the start of" if seam.bar == first else "before"
        lines.append(f"crossfade of {1e3 * (seam.to_s - seam.from_s):.0f} ms {where} bar {seam.bar}")
    return tuple(f"{stem}: {line}" for line in lines)


def _mix_lines(mix: MixMatch) -> Iterator[str]:
    if mix.shared_lu is not None:
        yield f"keeps the other stems' sound that the old stem contained, {-mix.shared_lu:.1f} LU below it"
    gains_db = [band.gain_db for band in mix.equaliser]
    equaliser = f"equalised by {min(gains_db):+.1f} to {max(gains_db):+.1f} dB"
    yield f"{equaliser}, then {mix.gain_db:+.2f} dB, to keep the loudness and the third octaves of the bounce"
