"""Files, their audit row and their event are written together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import AuditDraft, EventKind, JobState, Journal, Stage
from servicekit.work import Assignment, CancellationToken, Progress, RetryPolicy, WaitBudget
from tests.support.journal_rows import BOUNCE, WEIGHTS, ZIP, claimed, new_job, open_journal
from tests.support.work_runs import ended, running

UNWRITABLE = AuditDraft(kind="bounce", body={"lufs": float("nan")}, prompt=None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def started(journal: Journal) -> tuple[str, Progress]:
    """A claimed take in its BOUNCE stage; pending events are written at once."""
    job_id = journal.accept(new_job(), limit=10).job.job_id
    clock = SystemClock()
    progress = Progress(
        journal,
        claimed(journal),
        cancellation=CancellationToken(expire_time=None, clock=clock),
        weights=WEIGHTS,
        clock=clock,
        budget=WaitBudget(RetryPolicy(), clock),
        wake_writer=lambda: progress.flush(),  # noqa: PLW0108  not assigned yet
        observe=lambda _stage, _seconds: None,
        remove_unnamed=lambda: None,
    )
    progress.stage(Stage.BOUNCE)
    return job_id, progress


def test_a_bounce_that_could_not_be_saved_has_no_event(journal: Journal) -> None:
    """Where files and audit row are refused, their event and timing are written neither then nor at the end."""
    job_id, progress = started(journal)
    with pytest.raises(ValueError, match="float"):
        progress.bounce_ready(files=BOUNCE, audit=UNWRITABLE)
    assert progress.current_stage is Stage.BOUNCE
    progress.close(completed=False)
    kinds = [event.kind for event in journal.events_after(job_id, 0, 100).events]
    assert EventKind.BOUNCE_READY not in kinds
    version = journal.job("local", job_id).versions[0]
    assert (version.files, version.timings) == ({}, ())


def test_each_file_has_one_event(journal: Journal) -> None:
    """It is written together with the file and with the timing of its stage."""
    job_id, progress = started(journal)
    progress.bounce_ready(files=BOUNCE)
    progress.stage(Stage.STORE)
    progress.stems_ready(files=ZIP)
    progress.close(completed=True)
    events = journal.events_after(job_id, 0, 100).events
    kinds = [event.kind for event in events]
    assert (kinds.count(EventKind.BOUNCE_READY), kinds.count(EventKind.STEMS_READY)) == (1, 1)
    assert [event.fraction for event in events if event.kind is EventKind.STEMS_READY] == [1.0]
    version = journal.job("local", job_id).versions[0]
    assert [timing["stage"] for timing in version.timings] == ["STAGE_BOUNCE", "STAGE_STORE"]


def test_a_cancel_just_before_the_end_of_a_re_render_wins(tmp_path: Path) -> None:
    """It was accepted a moment before, by another process: the version ends as CANCELLED and names no file."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.STORE)
        with open_journal(tmp_path) as other:  # like another process: this one gets no event
            other.cancel("local", assignment.job.job_id)
        draft = AuditDraft(kind="stems", body={}, prompt=None)
        assignment.progress.version_ready(files={**BOUNCE, **ZIP}, loudness={"lufs": -14.0}, audit=draft)

    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=10).job.job_id
        with running(journal, work):
            (version,) = ended(journal, job_id).versions
        assert (version.state, version.files, version.audit_digests) == (JobState.CANCELLED, {}, ())
        kinds = {event.kind for event in journal.events_after(job_id, 0, 100).events}
        assert not kinds & {EventKind.BOUNCE_READY, EventKind.STEMS_READY}


def test_a_re_render_is_complete_in_one_step(journal: Journal) -> None:
    """Bounce, ZIP, both events, the audit row and the end of the version are written together; a later cancel is too late."""
    job_id, progress = started(journal)
    progress.stage(Stage.STORE)
    refused = AuditDraft(kind="stems", body={"lufs": float("nan")}, prompt=None)
    with pytest.raises(ValueError, match="float"):
        progress.version_ready(files={**BOUNCE, **ZIP}, loudness={"lufs": -14.0}, audit=refused)
    assert journal.job("local", job_id).versions[0].files == {}
    progress.version_ready(
        files={**BOUNCE, **ZIP}, loudness={"lufs": -14.0}, audit=AuditDraft(kind="stems", body={}, prompt=None)
    )
    journal.cancel("local", job_id)
    events = journal.events_after(job_id, 0, 100).events
    assert [event.kind for event in events][-3:] == [EventKind.BOUNCE_READY, EventKind.STEMS_READY, EventKind.STATE]
    version = journal.job("local", job_id).versions[0]
    assert version.state is events[-1].state is JobState.DONE
    assert version.files == {**BOUNCE, **ZIP}
    assert version.loudness == {"lufs": -14.0}
    assert len(version.audit_digests) == 1
