"""Measures how far a new stem is off the grid and off the base version's stems.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import Estimate
from separation_service.alignment.fitting import Span
from separation_service.alignment.key import chroma, key_scores, scale_share
from separation_service.alignment.limits import Limits, limits_for
from separation_service.alignment.onsets import Onsets, find_onsets
from separation_service.alignment.report import Correction, Drift, DriftReport, KeyAgreement, Level, Seam
from separation_service.alignment.splice import SplicedStem
from separation_service.alignment.timing import deviations_s, judge, measure_timing
from separation_service.rerender.target import AlignmentTarget
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, from_pcm24
from servicekit.delivery.names import StemName

_BEFORE_LINE_S = 0.005
"""An onset on a bar line may be found a little before it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DriftMeasurement:
    """What onsets are compared with. ``found`` is the correction that was applied."""

    target: AlignmentTarget
    span: Span
    found: Estimate
    both_silent: bool
    base_onsets: dict[StemName, Onsets] = field(default_factory=dict)

    def report(
        self, new_stem: NDArray[np.float32], spliced: SplicedStem, level: Level, seams: tuple[Seam, ...]
    ) -> DriftReport:
        """Measure the stem ``(C, T)`` as it was separated and as it is delivered, within the span."""
        target, from_s, to_s = self.target, self.span.start / SAMPLE_RATE_HZ, self.span.stop / SAMPLE_RATE_HZ
        source_from_s, source_to_s = self.found.in_mix(np.array([from_s, to_s]))
        rendered = find_onsets(new_stem).between(float(source_from_s) - _BEFORE_LINE_S, float(source_to_s))
        stem = from_pcm24(spliced.stem)
        delivered = find_onsets(stem).between(from_s - _BEFORE_LINE_S, to_s)
        drift = self._drift(delivered)
        limits = limits_for(target.base.stem)
        verdict, exceeded = ("unmeasurable", ()) if self.both_silent else judge(drift.grid, limits)
        if verdict == "beyond" and not limits.must_be_measurable and self._old_stem_is_loose(limits):
            verdict, exceeded = "unmeasurable", ()
        lines_s = target.grid.subdivisions_s
        late_ms = 1e3 * deviations_s(delivered, lines_s) if lines_s.size else np.zeros(0)
        return DriftReport(
            verdict=verdict,
            exceeded=exceeded,
            accepted=verdict == "beyond" and target.allow_drift,
            limits=limits,
            region=target.region,
            correction=_correction(self.found),
            rendered=self._drift(rendered),
            delivered=drift,
            key=self._key(stem[:, self.span.window]),
            seams=seams,
            level=level,
            onsets_s=tuple(float(at) for at in np.round(delivered.times_s, 4)),
            deviations_ms=tuple(float(late) for late in np.round(late_ms, 2)),
        )

    def _old_stem_is_loose(self, limits: Limits) -> bool:
        """Whether the old stem of a first version scatters beyond the limit itself.

        Then the onsets of such a stem, as this separator gives it, do not show its timing.
        """
        base, grid = self.target.base, self.target.grid
        if not base.is_first or limits.max_mad_ms is None:
            return False
        own = measure_timing(self._base_onsets(base.stem), grid.subdivisions_s, grid)
        return own is not None and own.mad_ms > limits.max_mad_ms

    def _drift(self, onsets: Onsets) -> Drift:
        grid = self.target.grid
        return Drift(
            grid=measure_timing(onsets, grid.subdivisions_s, grid),
            drums=measure_timing(onsets, self._base_onsets(StemName.DRUMS).times_s, grid),
            bass=measure_timing(onsets, self._base_onsets(StemName.BASS).times_s, grid),
        )

    def _base_onsets(self, name: StemName) -> Onsets:
        """Onsets of a stem of the base version, found once."""
        if name not in self.base_onsets:
            self.base_onsets[name] = find_onsets(from_pcm24(self.target.base.of(name)))
        return self.base_onsets[name]

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
