"""A new stem is brought to the grid, the level and the place of the one that it replaces, only on a re-render.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import Estimate, estimate
from separation_service.alignment.fitting import MIN_OFFSET_S, Span, join, move, span_of
from separation_service.alignment.grid import BarRange, Grid
from separation_service.alignment.key import Key, chroma, key_scores, scale_share
from separation_service.alignment.level import is_audible, loudness_lufs
from separation_service.alignment.limits import Limits, limits_for
from separation_service.alignment.onsets import Onsets, find_onsets
from separation_service.alignment.report import Correction, Drift, DriftReport, KeyAgreement, Level, Seam
from separation_service.alignment.splice import SplicedStem, splice_stem
from separation_service.alignment.timing import deviations_s, judge, measure_timing
from separation_service.timing.progress import StageProgress
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, Pcm24, from_pcm24
from servicekit.delivery.names import STEMS, StemName
from servicekit.errors import FailedPrecondition, Internal
from servicekit.journal import Stage

_STEPS = 4
_AROUND_LINE_S = 0.005
_CAPITAL = re.compile(r"[A-Z]")


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseTake:
    """The version that a stem of is replaced, as its ZIP has it: ``bounce`` ``(C, T)`` and ``stems`` ``(4, C, T)`` int32.

    ``is_first``: nothing of it was ever re-rendered.
    """

    bounce: Pcm24
    stems: NDArray[np.int32]
    stem: StemName
    is_first: bool = True

    @property
    def old(self) -> Pcm24:
        """The stem to be replaced."""
        return self.of(self.stem)

    def of(self, kind: StemName) -> Pcm24:
        """One of the stems."""
        pcm: Pcm24 = self.stems[STEMS.index(kind)]
        return pcm


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """What the new stem is fitted to. ``grid`` and ``key`` are the original's; ``key`` None where it is not known.

    ``max_true_peak_dbtp``: the true peak that the new bounce may have: -1 for a render, None (full scale) for an upload.
    """

    grid: Grid
    key: Key | None
    region: BarRange | None
    allow_drift: bool
    max_true_peak_dbtp: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """The new version's stem and bounce ``(C, T)`` int32. The other three stems are the base's, untouched.

    ``processing`` says in words, for the manifest, what moved or changed the stem.
    """

    stem: Pcm24
    bounce: Pcm24
    report: DriftReport
    processing: tuple[str, ...]


def align(
    new_mix: NDArray[np.float32], new_stem: NDArray[np.float32], base: BaseTake, fit: Fit, progress: StageProgress
) -> Aligned:
    """Fit ``new_stem`` ``(C, T)``, separated from ``new_mix`` ``(C, T)``, into ``base``; four progress steps.

    Raises `FailedPrecondition` STEM_SILENT where the new stem rests though the old one plays, DRIFT_EXCEEDED where it lies beyond
    the limits of its kind and ``fit.allow_drift`` is not set; `InvalidFields` for bars that the take lacks; `Internal` NOT_FINITE.
    """
    progress.stage(Stage.ALIGN, _STEPS)
    _check(new_mix, new_stem, base)
    span = span_of(fit.region, fit.grid, base.bounce.shape[1])
    found = estimate(find_onsets(new_mix), fit.grid)
    progress.step(1)
    old = from_pcm24(base.old)
    moved = move(new_stem, old, found, span, base.stem)
    levels = _levels(moved.audio, new_mix, old, base, span)
    gain = 1.0 if levels.matched_db is None else 10.0 ** (levels.matched_db / 20.0)
    joint, seams = join(moved, gain, old, span)
    progress.step(2)
    replaced = splice_stem(base.bounce, base.old, joint, max_true_peak_dbtp=fit.max_true_peak_dbtp)
    progress.step(3)
    level = Level(
        matched_db=None if levels.matched_db is None else round(levels.matched_db, 2),
        lowered_db=replaced.lowered_db,
        limited_samples=replaced.limited_samples,
    )
    measuring = _Measuring(base=base, fit=fit, span=span, found=found, rests=levels.rests)
    report = measuring.report(new_stem, replaced, level, seams)
    progress.step(_STEPS)
    if report.verdict == "beyond" and not fit.allow_drift:
        raise _beyond(report, base.stem)
    return Aligned(
        stem=replaced.stem, bounce=replaced.bounce, report=report, processing=_in_words(report, found, base.stem)
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measuring:
    """What the measured onsets are held against. ``rests``: neither the old nor the new stem plays there."""

    base: BaseTake
    fit: Fit
    span: Span
    found: Estimate
    rests: bool
    heard: dict[StemName, Onsets] = field(default_factory=dict)

    def report(
        self, new_stem: NDArray[np.float32], replaced: SplicedStem, level: Level, seams: tuple[Seam, ...]
    ) -> DriftReport:
        """Onsets of the stem as it came, where the span lies in it, and as it is delivered."""
        from_s, to_s = (at / SAMPLE_RATE_HZ for at in (self.span.start, self.span.stop))
        source_from_s, source_to_s = self.found.in_mix(np.array([from_s, to_s]))
        rendered = find_onsets(new_stem).between(float(source_from_s) - _AROUND_LINE_S, float(source_to_s))
        stem = from_pcm24(replaced.stem)
        # A downbeat on the line of the first bar is heard a little before or after it.
        delivered = find_onsets(stem).between(from_s - _AROUND_LINE_S, to_s)
        drift = self._drift(delivered)
        limits = limits_for(self.base.stem)
        verdict, exceeded = ("unmeasurable", ()) if self.rests else judge(drift.grid, limits)
        if verdict == "beyond" and not limits.must_be_measurable and self._is_loose(limits):
            verdict, exceeded = "unmeasurable", ()
        lines_s = self.fit.grid.subdivisions_s
        late_ms = 1e3 * deviations_s(delivered, lines_s) if lines_s.size else np.zeros(0)
        return DriftReport(
            verdict=verdict,
            exceeded=exceeded,
            accepted=verdict == "beyond" and self.fit.allow_drift,
            limits=limits,
            region=self.fit.region,
            correction=_correction(self.found),
            rendered=self._drift(rendered),
            delivered=drift,
            key=self._key(stem[:, self.span.window]),
            seams=seams,
            level=level,
            onsets_s=tuple(float(at) for at in np.round(delivered.times_s, 4)),
            deviations_ms=tuple(float(late) for late in np.round(late_ms, 2)),
        )

    def _is_loose(self, limits: Limits) -> bool:
        """Whether the stem to be replaced scatters beyond the limit itself, though the take came with its grid.

        Then the onsets of such a stem, as the separator gives it, do not tell where it lies.
        """
        if not self.base.is_first or limits.max_mad_ms is None:
            return False
        grid = self.fit.grid
        own = measure_timing(self._original(self.base.stem), grid.subdivisions_s, grid)
        return own is not None and own.mad_ms > limits.max_mad_ms

    def _drift(self, onsets: Onsets) -> Drift:
        grid = self.fit.grid
        return Drift(
            grid=measure_timing(onsets, grid.subdivisions_s, grid),
            drums=measure_timing(onsets, self._original(StemName.DRUMS).times_s, grid),
            bass=measure_timing(onsets, self._original(StemName.BASS).times_s, grid),
        )

    def _original(self, kind: StemName) -> Onsets:
        """Of a stem of the base, listened for once."""
        if kind not in self.heard:
            self.heard[kind] = find_onsets(from_pcm24(self.base.of(kind)))
        return self.heard[kind]

    def _key(self, stem: NDArray[np.float32]) -> KeyAgreement | None:
        """None for drums, where no key is known and for silence."""
        shares = None if self.base.stem == StemName.DRUMS or self.fit.key is None else chroma(stem)
        if shares is None or self.fit.key is None:
            return None
        _, heard_key = key_scores(shares)[0]
        share = round(scale_share(shares, self.fit.key), 4)
        return KeyAgreement(asked=str(self.fit.key), heard=str(heard_key), scale_share=share)


def _check(new_mix: NDArray[np.float32], new_stem: NDArray[np.float32], base: BaseTake) -> None:
    if not new_mix.shape == new_stem.shape == base.bounce.shape == base.old.shape:
        raise ValueError(
            f"wanted mix, stem and base of one shape, got {new_mix.shape}, {new_stem.shape} and {base.bounce.shape}"
        )
    if not np.isfinite(new_stem).all():
        raise Internal(
            "stage SEPARATE gave a stem with samples that are NaN or infinite; its weights or its input are broken",
            reason="NOT_FINITE",
            metadata={"stage": "SEPARATE"},
        )


@dataclass(frozen=True, kw_only=True)
class _Levels:
    """``matched_db`` brings the new stem to the old one's loudness; None where either rests. ``rests``: both do."""

    matched_db: float | None
    rests: bool


def _levels(
    moved: NDArray[np.float64], new_mix: NDArray[np.float32], old: NDArray[np.float32], base: BaseTake, span: Span
) -> _Levels:
    """How loud old and new stem are over the span, each beside what sounds there with it. Raises STEM_SILENT."""
    new_lufs, mix_lufs = loudness_lufs(moved), loudness_lufs(new_mix[:, span.window])
    old_lufs = loudness_lufs(old[:, span.window])
    old_plays = is_audible(old_lufs, loudness_lufs(from_pcm24(base.bounce[:, span.window])))
    new_plays = is_audible(new_lufs, mix_lufs)
    if old_plays and not new_plays:
        said = (
            "silent"
            if new_lufs is None
            else f"{new_lufs:.1f} LUFS where its mix has {mix_lufs or 0.0:.1f}, all but silent"
        )
        raise FailedPrecondition(
            f"the new {base.stem} stem is {said}, where the one before plays: this seed, prompt or persona does not play it; "
            "ask with another",
            reason="STEM_SILENT",
            metadata={"stem": base.stem, "lufs": "" if new_lufs is None else f"{new_lufs:.2f}"},
        )
    matched_db = None
    if old_plays and old_lufs is not None and new_lufs is not None:
        matched_db = old_lufs - new_lufs
    return _Levels(matched_db=matched_db, rests=not old_plays and not new_plays)


def _correction(found: Estimate) -> Correction:
    return Correction(
        offset_ms=round(1e3 * found.offset_s, 2),
        drift_ms_per_minute=round(6e4 * found.drift, 2),
        onsets=found.onsets,
    )


def _beyond(report: DriftReport, stem: StemName) -> FailedPrecondition:
    numbers = {} if report.delivered.grid is None else report.delivered.grid.facts
    return FailedPrecondition(
        f"the new {stem} stem does not keep to the original's grid: {'; '.join(report.exceeded)}. "
        "Ask with another seed, or accept the drift",
        reason="DRIFT_EXCEEDED",
        metadata={
            "stem": stem,
            "exceeded": "; ".join(report.exceeded),
            # Metadata has its names in snake_case, as everywhere on the wire.
            **{_CAPITAL.sub(r"_\g<0>", name).lower(): str(v) for name, v in numbers.items() if v is not None},
        },
    )


def _in_words(report: DriftReport, found: Estimate, stem: StemName) -> tuple[str, ...]:
    said = []
    if found.drift != 0.0:
        said.append(f"{stem}: resampled by {1e2 * found.drift:+.3f} %, against the drift of the new mix")
    if found.drift != 0.0 or abs(found.offset_s) >= MIN_OFFSET_S:
        said.append(f"{stem}: moved by {-1e3 * found.offset_s:+.2f} ms")
    if report.level.matched_db is not None:
        said.append(f"{stem}: {report.level.matched_db:+.2f} dB to the loudness of the stem before it")
    if report.level.lowered_db:
        said.append(f"{stem}: {report.level.lowered_db:+.2f} dB to keep the bounce under its ceiling")
    if report.level.limited_samples:
        said.append(f"{stem}: carries the limiting of the bounce in {report.level.limited_samples} samples")
    first = 0 if report.region is None else report.region.from_bar
    for seam in report.seams:
        where = "from the line of" if seam.bar == first else "before"
        said.append(f"{stem}: crossfade of {1e3 * (seam.to_s - seam.from_s):.0f} ms {where} bar {seam.bar}")
    return tuple(said)
