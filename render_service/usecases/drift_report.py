"""GetDriftReport: the measured drift of a tenant's re-renders of one stem, and whether it meets the threshold for drums."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from servicekit.delivery.audit_body import AUDIT_STEMS
from servicekit.delivery.names import StemName
from servicekit.journal import Journal

MIN_COUNT = 20
"""Judged re-renders that the threshold needs at least (docs/decisions/0014-rerender.md)."""
MIN_SHARE = 0.95
"""Share of them that must lie within the limits: of 20, one may miss."""

_DRIFT_EXCEEDED = "DRIFT_EXCEEDED"
_GRID = "grid"
_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class MeasuredDrift:
    """One re-render. Figures are those of the delivered stem's onsets that its verdict is about, None where there were too few.

    ``judged_against`` "score": against the notes of the stem; "grid": against the grid, also in audit rows of earlier releases.
    ``accepted``: beyond the limits, and stored because the caller allowed drift. ``judged``: counts for the threshold.
    ``slope_error_ms_per_minute`` is None for audit rows of builds that did not measure it.
    """

    job_id: str
    version: int
    judged_against: str
    within_limits: bool
    accepted: bool
    judged: bool
    median_ms: float | None
    p95_ms: float | None
    slope_ms_per_minute: float | None
    slope_error_ms_per_minute: float | None
    matched_share: float | None

    @property
    def measurable(self) -> bool:
        """Whether there were enough onsets."""
        return self.median_ms is not None


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """Stored re-renders in the order of the audit chain, then those that failed with DRIFT_EXCEEDED.

    Both include those of deleted jobs. A re-render whose verdict is "unmeasurable", because old and new stem rest or their
    onsets scatter too much, is listed and not judged.
    """

    stem: StemName
    drifts: tuple[MeasuredDrift, ...]

    @property
    def within_limits_count(self) -> int:
        """Number of re-renders within the limits."""
        return sum(drift.within_limits for drift in self.drifts)

    @property
    def threshold_met(self) -> bool:
        """Whether enough re-renders were judged, and enough of them lie within the limits."""
        count = sum(drift.judged for drift in self.drifts)
        return count >= MIN_COUNT and self.within_limits_count >= MIN_SHARE * count


def drift_report(journal: Journal, tenant: str, stem: StemName) -> DriftReport:
    """All measured re-renders of a stem that the tenant asked for."""
    return DriftReport(stem=stem, drifts=(*_stored(journal, tenant, stem), *_failed(journal, tenant, stem)))


def _stored(journal: Journal, tenant: str, stem: StemName) -> Iterator[MeasuredDrift]:
    token: str | None = ""
    while token is not None:
        page = journal.audit_rows(tenant, page_size=_PAGE, page_token=token)
        token = page.next_token or None
        for row in page.rows:
            rerender = json.loads(row.body_json).get("rerender") if row.kind == AUDIT_STEMS else None
            if rerender is not None and rerender["stem"] == stem:
                within = rerender["verdict"] == "within"
                timing = _judged_timing(rerender)
                yield MeasuredDrift(
                    job_id=row.job_id,
                    version=row.version,
                    judged_against=rerender.get("judgedAgainst", _GRID),
                    within_limits=within,
                    accepted=not within and rerender["accepted"],
                    judged=rerender["verdict"] != "unmeasurable",
                    median_ms=timing.get("medianMs"),
                    p95_ms=timing.get("p95Ms"),
                    slope_ms_per_minute=timing.get("slopeMsPerMinute"),
                    slope_error_ms_per_minute=timing.get("slopeErrorMsPerMinute"),
                    matched_share=timing.get("matched"),
                )


def _judged_timing(rerender: Mapping[str, Any]) -> Mapping[str, Any]:
    delivered = rerender["delivered"]
    if rerender.get("judgedAgainst", _GRID) == _GRID:
        return delivered.get("calibrated") or delivered["grid"] or {}
    return delivered["notes"] or {}


def _failed(journal: Journal, tenant: str, stem: StemName) -> Iterator[MeasuredDrift]:
    for version in journal.rerender_outcomes(tenant, stem):
        for detail in (version.error or {}).get("details", ()):
            if detail.get("reason") == _DRIFT_EXCEEDED:
                metadata: Mapping[str, str] = detail.get("metadata", {})
                yield MeasuredDrift(
                    job_id=version.job_id,
                    version=version.version,
                    judged_against=metadata.get("judged_against", _GRID),
                    within_limits=False,
                    accepted=False,
                    judged=True,
                    median_ms=_number(metadata.get("median_ms")),
                    p95_ms=_number(metadata.get("p95_ms")),
                    slope_ms_per_minute=_number(metadata.get("slope_ms_per_minute")),
                    slope_error_ms_per_minute=_number(metadata.get("slope_error_ms_per_minute")),
                    matched_share=_number(metadata.get("matched")),
                )


def _number(text: str | None) -> float | None:
    return float(text) if text else None
