"""The drift report: stored and failed re-renders, and whether they meet the threshold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from render_service.api.messages import drift_report_message
from render_service.usecases.drift_report import MIN_COUNT, DriftReport, MeasuredDrift, drift_report
from servicekit.delivery.names import StemName
from servicekit.errors import DOMAIN, FailedPrecondition
from servicekit.journal import Journal, OwningService
from servicekit.rpc.status import status_json, to_status
from tests.support.journal_rows import audited, claimed, new_job, new_version, open_journal

MEASURED = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "DRIFT_EXCEEDED",
    "domain": DOMAIN,
}


def rerendered(journal: Journal, job_id: str, verdict: str, *, stem: str = "drums", **grid: float) -> None:
    """A re-render with the audit row that it writes."""
    measured: dict[str, Any] | None = {"slopeMsPerMinute": None, "matched": 0.95, **grid} if grid else None
    rerender = {"stem": stem, "verdict": verdict, "accepted": verdict == "beyond", "delivered": {"grid": measured}}
    journal.accept_version(new_version(job_id), limit=10)
    claim = claimed(journal)
    audited(journal, claim, "stems", {"rerender": rerender})
    journal.finish(claim)


@pytest.mark.parametrize(("beyond", "met"), [(0, True), (1, True), (2, False)])
def test_the_threshold_is_a_count_and_a_share(tmp_path: Path, beyond: int, *, met: bool) -> None:
    """Of twenty judged re-renders one may be beyond the limits. Other stems and takes do not count."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        claim = claimed(journal)
        audited(journal, claim, "stems", {})
        journal.finish(claim)
        rerendered(journal, job_id, "within", stem="bass", medianMs=1.0, p95Ms=5.0)
        for _ in range(MIN_COUNT - 1):
            rerendered(journal, job_id, "within", medianMs=1.0, p95Ms=5.0)
        assert not drift_report(journal, "local", StemName.DRUMS).threshold_met
        for _ in range(max(beyond, 1)):
            rerendered(journal, job_id, "beyond" if beyond else "within", medianMs=9.0, p95Ms=30.0)
        report = drift_report(journal, "local", StemName.DRUMS)
        assert report.threshold_met == met
        assert report.within_limits_count == MIN_COUNT - 1 + (not beyond)
        assert drift_report(journal, "other", StemName.DRUMS).drifts == ()


def test_unmeasurable_re_renders_are_listed_and_not_judged(tmp_path: Path) -> None:
    """They neither help nor hinder meeting the threshold."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        journal.finish(claimed(journal))
        for _ in range(MIN_COUNT):
            rerendered(journal, job_id, "unmeasurable")
        assert not drift_report(journal, "local", StemName.DRUMS).threshold_met
        for _ in range(MIN_COUNT):
            rerendered(journal, job_id, "within", medianMs=1.0, p95Ms=5.0)
        report = drift_report(journal, "local", StemName.DRUMS)
        assert report.threshold_met
        assert sum(drift.judged for drift in report.drifts) == MIN_COUNT == len(report.drifts) // 2


def test_figures_are_those_that_were_judged(tmp_path: Path) -> None:
    """Against the notes where the verdict is, against the grid moved by the original's own drums, or against the grid."""
    figures = {name: {"medianMs": ms, "p95Ms": 9.0, "matched": 1.0} for name, ms in (("grid", 1.0), ("notes", 2.0))}
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        journal.finish(claimed(journal))
        for facts in (
            {"judgedAgainst": "score", "delivered": figures},
            {"judgedAgainst": "grid", "delivered": {**figures, "calibrated": {"medianMs": 3.0}}},
            {"judgedAgainst": "grid", "delivered": {**figures, "calibrated": None}},
        ):
            journal.accept_version(new_version(job_id), limit=10)
            claim = claimed(journal)
            rerender = {"stem": "drums", "verdict": "within", "accepted": False, **facts}
            audited(journal, claim, "stems", {"rerender": rerender})
            journal.finish(claim)
        drifts = drift_report(journal, "local", StemName.DRUMS).drifts
    assert [(drift.judged_against, drift.median_ms) for drift in drifts] == [
        ("score", 2.0),
        ("grid", 3.0),
        ("grid", 1.0),
    ]


def test_failed_re_renders_count_also_after_their_job_is_deleted(tmp_path: Path) -> None:
    """A version that failed with DRIFT_EXCEEDED is listed with its figures; one that failed for another reason is not.

    Only ids and figures of a deleted job remain, nothing that its caller wrote.
    """
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        first = journal.claim(OwningService.RENDER, lease_s=30.0)
        assert first is not None
        journal.finish(first)
        numbers = {"stem": "vocals", "median_ms": "31.5", "p95_ms": "80.25", "matched": "0.5"}
        for reason, metadata in (("DRIFT_EXCEEDED", numbers), ("STEM_SILENT", {"stem": "vocals"})):
            journal.accept_version(new_version(job_id), limit=10)
            claim = journal.claim(OwningService.RENDER, lease_s=30.0)
            assert claim is not None
            journal.fail(claim, status_json(to_status(FailedPrecondition("x", reason=reason, metadata=metadata))))
        before = drift_report(journal, "local", StemName.VOCALS).drifts
        journal.start_delete("local", job_id, OwningService.RENDER)
        journal.finish_delete("local", job_id)
        (drift,) = drift_report(journal, "local", StemName.VOCALS).drifts
        assert (drift,) == before
        assert drift_report(journal, "other", StemName.VOCALS).drifts == ()
        (left,) = journal.rerender_outcomes("local", StemName.VOCALS)
        assert left.error == {"details": [{**MEASURED, "metadata": numbers}]}
        assert (drift.version, drift.within_limits, drift.accepted, drift.measurable) == (2, False, False, True)
        assert (drift.median_ms, drift.p95_ms, drift.slope_ms_per_minute) == (31.5, 80.25, None)


def test_a_response_has_the_newest_re_renders_and_counts_all() -> None:
    """However many a tenant has made: the response stays below what clients accept."""
    drift = MeasuredDrift(
        job_id="j-01ks4k8000abcdefghjkmnpqrs",
        version=400,
        within_limits=True,
        accepted=False,
        judged=True,
        judged_against="grid",
        median_ms=0.1,
        p95_ms=3.3,
        slope_ms_per_minute=0.01,
        slope_error_ms_per_minute=0.01,
        matched_share=0.9,
    )
    report = DriftReport(stem=StemName.DRUMS, drifts=(replace(drift, version=1), *(drift,) * 20_000))
    message = drift_report_message(report)
    assert message.ByteSize() < 4 * 1024 * 1024
    assert {found.version for found in message.drifts} == {400}
    assert message.within_limits_count == 20_001
