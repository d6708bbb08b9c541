"""How far a re-rendered stem may lie from the grid or from its notes, per stem. Sources: docs/decisions/0013-alignment.md."""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.delivery.names import StemName


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the delivered stem's onsets against the grid or its notes. None: not limited.

    The median may lie between ``min_median_ms`` and ``max_median_ms``: the onset detector finds slow attacks late though they are
    played in time. A verdict needs ``min_onsets`` on the grid; ``must_be_measurable``: a stem with fewer exceeds the limits too.
    A verdict by notes needs the share ``min_found`` of them too: in a stem that lacks most of its notes, those found say nothing.
    """

    min_onsets: int
    min_matched: float | None
    min_median_ms: float
    max_median_ms: float
    max_mad_ms: float | None
    max_p95_ms: float | None
    max_slope_ms_per_minute: float | None
    must_be_measurable: bool
    min_found: float = 0.0


def limits_for(stem: StemName) -> Limits:
    """The limits of a stem against the grid."""
    return _LIMITS[stem]


def note_limits_for(stem: StemName) -> Limits:
    """The limits of a stem against the notes of its score: the same, from six notes on.

    Twelve onsets are asked for on the grid, because any sound near a line counts there. A note is looked for at its own time.
    """
    return replace(_LIMITS[stem], min_onsets=_MIN_NOTES, must_be_measurable=False, min_found=_MIN_FOUND)


_MIN_NOTES = 6
_MIN_FOUND = 0.5
_DRUMS = Limits(
    min_onsets=8,
    min_matched=0.9,
    min_median_ms=-3.0,
    max_median_ms=3.0,
    max_mad_ms=None,
    max_p95_ms=12.0,
    max_slope_ms_per_minute=2.0,
    must_be_measurable=True,
)


def _tonal(*, attack_ms: float, max_mad_ms: float) -> Limits:
    """From 8 ms early to 8 ms late plus the slowest attack of such a stem in the corpus."""
    return Limits(
        min_onsets=12,
        min_matched=None,
        min_median_ms=-8.0,
        max_median_ms=8.0 + attack_ms,
        max_mad_ms=max_mad_ms,
        max_p95_ms=None,
        max_slope_ms_per_minute=None,
        must_be_measurable=False,
    )


_LIMITS: dict[StemName, Limits] = {
    StemName.DRUMS: _DRUMS,
    StemName.BASS: _tonal(attack_ms=22.0, max_mad_ms=10.0),
    StemName.VOCALS: _tonal(attack_ms=9.0, max_mad_ms=13.5),
    StemName.OTHER: _tonal(attack_ms=22.0, max_mad_ms=12.5),
}
