"""A file's event and the file are one: written together, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import AuditDraft, EventKind, JobState, Journal, Owner, Stage
from servicekit.work import Assignment, CancellationToken, Progress
from tests.support.journal_rows import BOUNCE, WEIGHTS, ZIP, new_job, open_journal
from tests.support.work_runs import ended, running

UNWRITABLE = AuditDraft(kind="bounce", body={"lufs": float("nan")}, prompt=None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def begun(journal: Journal) -> tuple[str, Progress]:
    """A claimed take in its BOUNCE stage, whose writer takes up whatever waits as soon as it may."""
    job_id = journal.accept(new_job(), limit=10).job.job_id
    claim = journal.claim(Owner.RENDER, lease_s=30.0)
    assert claim is not None
    clock = SystemClock()
    progress = Progress(
        journal,
        claim,
        stop=CancellationToken(expire_time=None, clock=clock),
        weights=WEIGHTS,
        clock=clock,
        wake_writer=lambda: progress.flush(),  # noqa: PLW0108  it is not there yet
        observe=lambda _stage, _seconds: None,
    )
    progress.stage(Stage.BOUNCE)
    return job_id, progress


def test_a_bounce_that_could_not_be_kept_is_never_told(journal: Journal) -> None:
    """Where files and audit row are refused, neither the event nor the timing of them is written, then or at the end."""
    job_id, progress = begun(journal)
    with pytest.raises(ValueError, match="float"):
        progress.bounce_ready(files=BOUNCE, audit=UNWRITABLE)
    assert progress.current_stage is Stage.BOUNCE
    progress.close(completed=False)
    kinds = [event.kind for event in journal.events_after(job_id, 0, 100).events]
    assert EventKind.BOUNCE_READY not in kinds
    version = journal.job("local", job_id).versions[0]
    assert (version.files, version.timings) == ({}, ())


def test_what_is_kept_is_told_once(journal: Journal) -> None:
    """Each file's event comes once, after the files are there, with its stage's time."""
    job_id, progress = begun(journal)
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


def test_a_cancel_that_nobody_heard_of_yet_keeps_a_whole_version_from_being_kept(tmp_path: Path) -> None:
    """It was accepted in the journal a moment before: the version ends as CANCELLED, and its row knows of no file."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.STORE)
        with open_journal(tmp_path) as other:  # as another process, so that this one is not told
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


def test_a_whole_version_is_told_at_once(journal: Journal) -> None:
    """Bounce and ZIP of a re-render are kept in one step with the version's end, both events and one audit row, or not at all.

    A cancel that comes later is too late.
    """
    job_id, progress = begun(journal)
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
