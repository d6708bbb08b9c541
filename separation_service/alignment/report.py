"""What was measured and changed in a re-rendered stem, as values and as JSON for manifest and audit row.

*rendered* is the stem from the separator, *delivered* the stem in the new version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from separation_service.alignment.grid import BarRange
from separation_service.alignment.limits import Limits
from separation_service.alignment.mix_match import MixMatch

Verdict = Literal["within", "beyond", "unmeasurable"]
JudgedAgainst = Literal["score", "grid"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Onsets minus the nearest grid line or note, positive if late.

    ``matched`` is the share of ``onsets`` that lie within 50 ms of a line, on which the other figures rest. ``max_ms`` is the
    largest magnitude, ``p95_ms`` the 95th percentile, ``slope_ms_per_minute`` by Theil and Sen with its standard error,
    None in fewer than three bars, ``seconds`` from the first of them to the last.
    """

    onsets: int
    matched: float
    median_ms: float
    mad_ms: float
    p95_ms: float
    max_ms: float
    slope_ms_per_minute: float | None
    slope_error_ms_per_minute: float | None
    seconds: float

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "onsets": self.onsets,
            "matched": self.matched,
            "medianMs": self.median_ms,
            "madMs": self.mad_ms,
            "p95Ms": self.p95_ms,
            "maxMs": self.max_ms,
            "slopeMsPerMinute": self.slope_ms_per_minute,
            "slopeErrorMsPerMinute": self.slope_error_ms_per_minute,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The stem's onsets against the grid, the original's own drums and bass, and the stem's notes. None: too few to measure.

    ``calibrated``, of drums whose score is known: against the grid moved by the report's ``zero_ms``.
    """

    grid: Timing | None
    drums: Timing | None
    bass: Timing | None
    notes: Timing | None = None
    calibrated: Timing | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON; null is unmeasurable."""
        return {
            name: None if timing is None else timing.facts
            for name, timing in (
                ("grid", self.grid),
                ("drums", self.drums),
                ("bass", self.bass),
                ("notes", self.notes),
                ("calibrated", self.calibrated),
            )
        }


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How the new stem was moved: from ``t`` to ``t - offset - drift * t``.

    ``offset_ms`` is positive if the new mix was late; ``drift_ms_per_minute`` is 0 if no time map was needed. ``onsets`` is the
    number of onsets behind the estimate; 0: too few, so that nothing was moved.
    """

    offset_ms: float
    drift_ms_per_minute: float
    onsets: int

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"offsetMs": self.offset_ms, "driftMsPerMinute": self.drift_ms_per_minute, "onsets": self.onsets}


@dataclass(frozen=True, kw_only=True)
class Seam:
    """A crossfade from ``from_s`` to ``to_s`` at the line where ``bar`` begins.

    ``lag_ms`` is the shift that aligns the new stem's phase with the old one's, ``correlation`` their correlation then, None if
    either is silent; ``level_error_db`` is the level over the crossfade minus the target level.
    """

    bar: int
    from_s: float
    to_s: float
    lag_ms: float
    correlation: float | None
    level_error_db: float | None

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "bar": self.bar,
            "fromSecond": self.from_s,
            "toSecond": self.to_s,
            "lagMs": self.lag_ms,
            "correlation": self.correlation,
            "levelErrorDb": self.level_error_db,
        }


@dataclass(frozen=True, kw_only=True)
class KeyAgreement:
    """``scale_share`` of the stem's energy lies on the seven notes of the requested key (.58 by chance); ``heard`` fits best."""

    asked: str
    heard: str
    scale_share: float

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"asked": self.asked, "heard": self.heard, "scaleShare": self.scale_share}


@dataclass(frozen=True, kw_only=True)
class Level:
    """Gains in dB.

    ``matched_db`` brought the new stem to the old one's loudness, None if either is silent; ``mix`` then fitted it into the mix,
    None if it was not; ``lowered_db``, at most 0, keeps the true peak within its limit; the limiter changed ``limited_samples``.
    """

    matched_db: float | None
    mix: MixMatch | None
    lowered_db: float
    limited_samples: int

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "matchedDb": self.matched_db,
            "loweredDb": self.lowered_db,
            "limitedSamples": self.limited_samples,
            "mix": None if self.mix is None else self.mix.facts,
        }


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """The whole report. ``exceeded`` names each exceeded limit with both numbers; ``accepted``: the caller allowed the drift.

    ``judged_against`` "score": the verdict and its limits are about ``delivered.notes``. ``zero_ms``, of drums whose score is
    known: where the original's own stem lies on the grid, by the same measurement; the verdict is about ``delivered.calibrated``.
    ``onsets_s`` of the delivered stem and ``deviations_ms`` from the nearest subdivision are for the plot.
    """

    verdict: Verdict
    judged_against: JudgedAgainst
    zero_ms: float | None
    exceeded: tuple[str, ...]
    accepted: bool
    limits: Limits
    region: BarRange | None
    correction: Correction
    rendered: Drift
    delivered: Drift
    key: KeyAgreement | None
    seams: tuple[Seam, ...]
    level: Level
    onsets_s: tuple[float, ...] = field(repr=False)
    deviations_ms: tuple[float, ...] = field(repr=False)

    @property
    def judged(self) -> Timing | None:
        """The figures that the verdict is about."""
        delivered = self.delivered
        if self.judged_against == "score":
            return delivered.notes
        return delivered.grid if self.zero_ms is None else delivered.calibrated

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON for the manifest's ``rerender``, beside baseVersion and stem; `summary` and the onsets for the plot."""
        return self.summary | {
            "onsets": {"seconds": list(self.onsets_s), "deviationsMs": list(self.deviations_ms)},
        }

    @property
    def summary(self) -> dict[str, Any]:
        """As JSON for the audit row: every number, without the lists of onsets."""
        limits = self.limits
        return {
            "verdict": self.verdict,
            "judgedAgainst": self.judged_against,
            "zeroMs": self.zero_ms,
            "exceeded": list(self.exceeded),
            "accepted": self.accepted,
            "limits": {
                "fewestOnsets": limits.min_onsets,
                "leastMatched": limits.min_matched,
                "leastFound": limits.min_found,
                "earliestMedianMs": limits.min_median_ms,
                "latestMedianMs": limits.max_median_ms,
                "mostMadMs": limits.max_mad_ms,
                "mostP95Ms": limits.max_p95_ms,
                "mostSlopeMsPerMinute": limits.max_slope_ms_per_minute,
                "mustBeMeasurable": limits.must_be_measurable,
            },
            "region": None if self.region is None else {"fromBar": self.region.from_bar, "toBar": self.region.to_bar},
            "correction": self.correction.facts,
            "rendered": self.rendered.facts,
            "delivered": self.delivered.facts,
            "key": None if self.key is None else self.key.facts,
            "seams": [seam.facts for seam in self.seams],
            "level": self.level.facts,
        }
