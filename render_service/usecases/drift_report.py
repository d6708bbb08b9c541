"""What re-renders of one stem measured so far, from audit rows and failed versions, and whether that is near enough to the grid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from servicekit.delivery.audit_body import AUDIT_STEMS
from servicekit.delivery.names import StemName
from servicekit.journal import Journal

MIN_COUNT = 20
MIN_SHARE = 0.95
"""At least so many measured re-renders, and so much of them within the limits, before the switch may open. Chosen, as the issue
asks for 20 takes: at 20, one may miss (docs/decisions/0014-rerender.md)."""

DRIFT_EXCEEDED = "DRIFT_EXCEEDED"
_PAGE = 200


@dataclass(frozen=True, kw_only=True)
class MeasuredDrift:
    """One re-render. Figures are of the delivered stem's onsets against the grid, None where they could not be measured.

    Rows of releases that measured no error of the slope have none.
    """

    job_id: str
    version: int
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
        """Whether enough onsets were found."""
        return self.median_ms is not None


@dataclass(frozen=True, kw_only=True)
class DriftReport:
    """Kept re-renders in the chain's order, then those that failed because of their drift, also after their job was deleted.

    Where old and new stem rested there was nothing to measure: such a re-render is told of and not counted.
    """

    stem: StemName
    drifts: tuple[MeasuredDrift, ...]

    @property
    def within_limits_count(self) -> int:
        """How many."""
        return sum(drift.within_limits for drift in self.drifts)

    @property
    def threshold_met(self) -> bool:
        """Whether the switch may open by these figures."""
        count = sum(drift.judged for drift in self.drifts)
        return count >= MIN_COUNT and self.within_limits_count >= MIN_SHARE * count


def drift_report(journal: Journal, tenant: str, stem: StemName) -> DriftReport:
    """All re-renders of a stem that this installation measured, those of deleted jobs too."""
    return DriftReport(stem=stem, drifts=(*_kept(journal, tenant, stem), *_failed(journal, tenant, stem)))


def _kept(journal: Journal, tenant: str, stem: StemName) -> Iterator[MeasuredDrift]:
    token, begun = "", False
    while token or not begun:
        page = journal.audit_rows(tenant, page_size=_PAGE, page_token=token)
        begun, token = True, page.next_token
        for row in page.rows:
            rerender = json.loads(row.body_json).get("rerender") if row.kind == AUDIT_STEMS else None
            if rerender is not None and rerender["stem"] == stem:
                within = rerender["verdict"] == "within"
                timing: Mapping[str, Any] = rerender["delivered"]["grid"] or {}
                yield MeasuredDrift(
                    job_id=row.job_id,
                    version=row.version,
                    within_limits=within,
                    accepted=not within and rerender["accepted"],
                    judged=rerender["verdict"] != "unmeasurable",
                    median_ms=timing.get("medianMs"),
                    p95_ms=timing.get("p95Ms"),
                    slope_ms_per_minute=timing.get("slopeMsPerMinute"),
                    slope_error_ms_per_minute=timing.get("slopeErrorMsPerMinute"),
                    matched_share=timing.get("matched"),
                )


def _failed(journal: Journal, tenant: str, stem: StemName) -> Iterator[MeasuredDrift]:
    for version in journal.rerender_outcomes(tenant, stem):
        for detail in (version.error or {}).get("details", ()):
            if detail.get("reason") == DRIFT_EXCEEDED:
                metadata: Mapping[str, str] = detail.get("metadata", {})
                yield MeasuredDrift(
                    job_id=version.job_id,
                    version=version.version,
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
