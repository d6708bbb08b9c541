"""What was measured of a re-rendered stem and done to it, as values and as JSON for manifest and audit.

All of it is about the one stem. *rendered* is as it came from the separator, *delivered* as it lies in the new version.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from separation_service.alignment.grid import Region
from separation_service.alignment.limits import Limits

Verdict = Literal["within", "beyond", "unmeasurable"]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Onsets minus the nearest of some times, positive where they come late.

    ``matched`` is the share of ``onsets`` that lie within 50 ms of one; all other figures are of those. ``max_ms`` is the largest
    magnitude, ``p95_ms`` the magnitude that 95 % stay within, ``slope_ms_per_minute`` by Theil and Sen with its standard error,
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
    """The stem's onsets against the grid and against the original's own drums and bass. None: too few to measure."""

    grid: Timing | None
    drums: Timing | None
    bass: Timing | None

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON; null is unmeasurable."""
        return {
            name: None if timing is None else timing.facts
            for name, timing in (("grid", self.grid), ("drums", self.drums), ("bass", self.bass))
        }


@dataclass(frozen=True, kw_only=True)
class Correction:
    """How the new stem was moved: what lay at ``t`` now lies at ``t - offset - drift * t``.

    ``offset_ms`` is positive where the new mix was late. ``drift_ms_per_minute`` is 0 where no time map was called for. ``onsets``
    of the new mix carried the estimate; 0 means that there were too few and nothing was moved.
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
    """A crossfade at a bar line: ``bar`` begins at it, ``from_s`` to ``to_s`` it lasts.

    ``lag_ms`` is how far the new stem was moved there to meet the old one's phase, ``correlation`` what the two have in common
    then, None where either is silent; ``level_error_db`` is the level over the crossfade less what was to be held.
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
    """``scale_share`` of the stem's energy lies on the seven notes of the key asked for, .58 by chance; ``heard`` fits best."""

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

    ``matched_db`` brought the new stem to the old one's loudness, None where either is silent; ``lowered_db``,
    at most 0, was needed to stay under the ceiling; ``limited_samples`` of the stem carry what no gain could help.
    """

    matched_db: float | None
    lowered_db: float
    limited_samples: int

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "matchedDb": self.matched_db,
            "loweredDb": self.lowered_db,
            "limitedSamples": self.limited_samples,
        }


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """All of it. ``exceeded`` names each limit that was passed, with both numbers; ``accepted`` says that the caller wanted it so.

    ``onsets_s`` of the delivered stem and ``deviations_ms`` from the nearest subdivision are for the picture.
    """

    verdict: Verdict
    exceeded: tuple[str, ...]
    accepted: bool
    limits: Limits
    region: Region | None
    correction: Correction
    rendered: Drift
    delivered: Drift
    key: KeyAgreement | None
    seams: tuple[Seam, ...]
    level: Level
    onsets_s: tuple[float, ...] = field(repr=False)
    deviations_ms: tuple[float, ...] = field(repr=False)

    @property
    def facts(self) -> dict[str, Any]:
        """As JSON for the manifest's ``rerender``, beside baseVersion and stem; `summary` and the onsets of the picture."""
        return self.summary | {
            "onsets": {"seconds": list(self.onsets_s), "deviationsMs": list(self.deviations_ms)},
        }

    @property
    def summary(self) -> dict[str, Any]:
        """As JSON for the audit row: every number, without the lists of onsets."""
        limits = self.limits
        return {
            "verdict": self.verdict,
            "exceeded": list(self.exceeded),
            "accepted": self.accepted,
            "limits": {
                "fewestOnsets": limits.fewest_onsets,
                "leastMatched": limits.least_matched,
                "earliestMedianMs": limits.earliest_median_ms,
                "latestMedianMs": limits.latest_median_ms,
                "mostMadMs": limits.most_mad_ms,
                "mostP95Ms": limits.most_p95_ms,
                "mostSlopeMsPerMinute": limits.most_slope_ms_per_minute,
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
