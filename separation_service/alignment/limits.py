"""How far a re-rendered stem may lie from the grid, per kind of stem. Sources: docs/decisions/0013-alignment.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["drums", "bass", "vocals", "other"]
"""A stem by its name."""

KINDS: tuple[Kind, ...] = ("drums", "bass", "vocals", "other")
"""In the order of the arrays."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the delivered stem's onsets against the grid. None: not limited.

    The median may lie between ``earliest_median_ms`` and ``latest_median_ms``: what swells is heard late though it is played in
    time. ``fewest_onsets`` on the grid are needed to judge by; ``must_be_measurable``: a stem with fewer is beyond the limits too.
    """

    fewest_onsets: int
    least_matched: float | None
    earliest_median_ms: float
    latest_median_ms: float
    most_mad_ms: float | None
    most_p95_ms: float | None
    most_slope_ms_per_minute: float | None
    must_be_measurable: bool


def limits_for(stem: Kind) -> Limits:
    """The limits of its kind."""
    return _LIMITS[stem]


_DRUMS = Limits(
    fewest_onsets=8,
    least_matched=0.9,
    earliest_median_ms=-3.0,
    latest_median_ms=3.0,
    most_mad_ms=None,
    most_p95_ms=12.0,
    most_slope_ms_per_minute=2.0,
    must_be_measurable=True,
)


def _tonal(*, attack_ms: float, most_mad_ms: float) -> Limits:
    """8 ms early to 8 ms late, and the slowest attack of its kind in the corpus on top."""
    return Limits(
        fewest_onsets=12,
        least_matched=None,
        earliest_median_ms=-8.0,
        latest_median_ms=8.0 + attack_ms,
        most_mad_ms=most_mad_ms,
        most_p95_ms=None,
        most_slope_ms_per_minute=None,
        must_be_measurable=False,
    )


_LIMITS: dict[Kind, Limits] = {
    "drums": _DRUMS,
    "bass": _tonal(attack_ms=22.0, most_mad_ms=10.0),
    "vocals": _tonal(attack_ms=9.0, most_mad_ms=13.5),
    "other": _tonal(attack_ms=22.0, most_mad_ms=12.5),
}
