"""How far a re-rendered stem may lie from the grid, per kind of stem. Sources: docs/decisions/0013-alignment.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["drums", "bass", "vocals", "other"]
"""A stem by its name; the order is that of the arrays."""

KINDS: tuple[Kind, ...] = ("drums", "bass", "vocals", "other")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of the delivered stem's onsets against the grid. None: not limited.

    ``must_be_measurable``: a stem without enough onsets is beyond the limits too.
    """

    least_matched: float | None
    most_median_ms: float
    most_p95_ms: float
    most_slope_ms_per_minute: float | None
    must_be_measurable: bool


DRUMS = Limits(
    least_matched=0.9,
    most_median_ms=3.0,
    most_p95_ms=12.0,
    most_slope_ms_per_minute=2.0,
    must_be_measurable=True,
)
OTHERS = Limits(
    least_matched=None,
    most_median_ms=8.0,
    most_p95_ms=25.0,
    most_slope_ms_per_minute=None,
    must_be_measurable=False,
)


def limits_for(stem: Kind) -> Limits:
    """The limits of its kind."""
    return DRUMS if stem == "drums" else OTHERS
