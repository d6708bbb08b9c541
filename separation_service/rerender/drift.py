"""Measures how far a new stem is off the grid, off its notes and off the base version's stems.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import Estimate
from separation_service.alignment.fitting import Span
from separation_service.alignment.key import chroma, key_scores, scale_share
from separation_service.alignment.limits import limits_for, note_limits_for
from separation_service.alignment.onsets import OnsetDetector, Onsets
from separation_service.alignment.report import Correction, Drift, DriftReport, KeyAgreement, Level, Seam, Timing
from separation_service.alignment.splice import SplicedStem
from separation_service.alignment.timing import deviations_s, judge, measure_notes, measure_timing
from separation_service.rerender.target import AlignmentTarget
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, from_pcm24
from servicekit.delivery.names import StemName

_BEFORE_LINE_S = 0.005
"""An onset on a bar line may be found a little before it."""
_MAX_ZERO_MS = 5.0
"""A separator moves strokes by less. An original that lies further from its grid is not the measurement's doing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftMeasurement:
    """What onsets are compared with. ``found`` is the correction that was applied."""

    target: AlignmentTarget
    span: Span
    found: Estimate
    both_silent: bool
    base_detectors: dict[StemName, OnsetDetector] = field(default_factory=dict)

    def report(
        self, new_stem: NDArray[np.float32], spliced: SplicedStem, level: Level, seams: tuple[Seam, ...]
    ) -> DriftReport:
        """Measure the stem ``(C, T)`` as it was separated and as it is delivered, within the span."""
        target, from_s, to_s = self.target, self.span.start / SAMPLE_RATE_HZ, self.span.stop / SAMPLE_RATE_HZ
        source_from_s, source_to_s = self.found.in_mix(np.array([from_s, to_s]))
        rendered = OnsetDetector(new_stem)
        rendered_onsets = rendered.onsets.between(float(source_from_s) - _BEFORE_LINE_S, float(source_to_s))
        stem = from_pcm24(spliced.stem)
        delivered = OnsetDetector(stem)
        onsets = delivered.onsets.between(from_s - _BEFORE_LINE_S, to_s)
        lines_s = target.grid.subdivisions_s
        late_ms = 1e3 * deviations_s(onsets, lines_s) if lines_s.size else np.zeros(0)
        by_notes = self._is_judged_by_notes
        report = DriftReport(
            verdict="unmeasurable",
            judged_against="score" if by_notes else "grid",
            zero_ms=self._zero_ms,
            exceeded=(),
            accepted=False,
            limits=note_limits_for(target.base.stem) if by_notes else limits_for(target.base.stem),
            region=target.region,
            correction=_correction(self.found),
            rendered=self._drift(rendered, rendered_onsets),
            delivered=self._drift(delivered, onsets),
            key=self._key(stem[:, self.span.window]),
            seams=seams,
            level=level,
            onsets_s=tuple(float(at) for at in np.round(onsets.times_s, 4)),
            deviations_ms=tuple(float(late) for late in np.round(late_ms, 2)),
        )
        return report if self.both_silent else self._judged(report)

    def _judged(self, report: DriftReport) -> DriftReport:
        """The report with the verdict on what it measured."""
        verdict, exceeded = judge(report.judged, report.limits)
        if verdict != "beyond":
            return replace(report, verdict=verdict)
        if not report.limits.must_be_measurable and self._old_stem_is_loose(report):
            return report
        return replace(report, verdict="beyond", exceeded=exceeded, accepted=self.target.allow_drift)

    def _old_stem_is_loose(self, report: DriftReport) -> bool:
        """Whether the original's own stem scatters beyond the limit itself.

        Then the onsets of such a stem, as this separator gives it, do not show its timing. Nothing is known of an old stem that
        played other notes than the new one.
        """
        base, grid, notes = self.target.base, self.target.grid, self.target.notes
        if not base.is_original or report.limits.max_mad_ms is None:
            return False
        if report.judged_against == "grid" or notes is None:
            own = measure_timing(self._base_onsets(base.stem), grid.subdivisions_s, grid)
        elif notes.new_part:
            return False
        else:
            own = measure_notes(self._base(base.stem), notes.measurable_s(0.0, grid.seconds), grid)
        return own is not None and own.mad_ms > report.limits.max_mad_ms

    @property
    def _is_judged_by_notes(self) -> bool:
        """Drums stay on the grid: their onsets are sharp and many enough to be judged by it."""
        return self.target.notes is not None and self.target.base.stem != StemName.DRUMS

    @property
    def _zero_ms(self) -> float | None:
        """Where the original's own drums lie on the grid.

        A separator gives strokes early. It gives those of the original as early as the new ones.
        """
        base, grid = self.target.base, self.target.grid
        if self.target.notes is None or base.stem != StemName.DRUMS or not base.is_original:
            return None
        own = measure_timing(self._base_onsets(base.stem), grid.subdivisions_s, grid)
        return None if own is None else float(np.clip(own.median_ms, -_MAX_ZERO_MS, _MAX_ZERO_MS))

    def _drift(self, stem: OnsetDetector, onsets: Onsets) -> Drift:
        """``onsets`` are those of ``stem`` within the span."""
        grid, zero_ms = self.target.grid, self._zero_ms
        return Drift(
            grid=measure_timing(onsets, grid.subdivisions_s, grid),
            drums=measure_timing(onsets, self._base_onsets(StemName.DRUMS).times_s, grid),
            bass=measure_timing(onsets, self._base_onsets(StemName.BASS).times_s, grid),
            notes=self._against_notes(stem, onsets),
            calibrated=None if zero_ms is None else measure_timing(onsets, grid.subdivisions_s + 1e-3 * zero_ms, grid),
        )

    def _against_notes(self, stem: OnsetDetector, onsets: Onsets) -> Timing | None:
        """Of drums every clear onset against the nearest note, of other stems the strongest rise at every note."""
        target = self.target
        if target.notes is None:
            return None
        notes_s = target.notes.measurable_s(self.span.start / SAMPLE_RATE_HZ, self.span.stop / SAMPLE_RATE_HZ)
        if target.base.stem == StemName.DRUMS:
            return measure_timing(onsets, notes_s, target.grid)
        return measure_notes(stem, notes_s, target.grid)

    def _base_onsets(self, name: StemName) -> Onsets:
        return self._base(name).onsets

    def _base(self, name: StemName) -> OnsetDetector:
        """A stem of the base version, analysed once."""
        if name not in self.base_detectors:
            self.base_detectors[name] = OnsetDetector(from_pcm24(self.target.base.of(name)))
        return self.base_detectors[name]

    def _key(self, stem: NDArray[np.float32]) -> KeyAgreement | None:
        """None for drums, for an unknown key and for silence."""
        key = self.target.key
        if key is None or self.target.base.stem == StemName.DRUMS:
            return None
        shares = chroma(stem)
        if shares is None:
            return None
        _, heard_key = key_scores(shares)[0]
        return KeyAgreement(asked=str(key), heard=str(heard_key), scale_share=round(scale_share(shares, key), 4))


def _correction(found: Estimate) -> Correction:
    return Correction(
        offset_ms=round(1e3 * found.offset_s, 2),
        drift_ms_per_minute=round(6e4 * found.drift, 2),
        onsets=found.onsets,
    )
