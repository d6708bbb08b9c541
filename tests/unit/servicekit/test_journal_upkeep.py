"""Erasures that wait for readers, events that are pruned, and failed versions that run again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.errors import FailedPrecondition
from servicekit.journal import (
    AuditDraft,
    Checkpoint,
    EventDraft,
    EventKind,
    JobState,
    Journal,
    OwningService,
    ProgressTrack,
    Stage,
)
from tests.support.journal_rows import BOUNCE, PROMPT, claimed, new_job, new_version, open_journal
from tests.support.manual_clock import ManualClock

MANY = 1000
RENDER = OwningService.RENDER
HOUR_S = 3600.0


@pytest.fixture
def clock() -> ManualClock:
    """The test's clock."""
    return ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def journal(any_database: str, clock: ManualClock) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(any_database, clock=clock) as opened:
        yield opened


def run(journal: Journal, *, steps: int = 5, end: bool = True) -> str:
    """A take with ``steps`` progress events and an audit row; returns its job id."""
    journal.accept(new_job(), limit=MANY)
    claim = claimed(journal)
    step = EventDraft(kind=EventKind.PROGRESS, track=ProgressTrack.RENDER, stage=Stage.DENOISE, attempt=1)
    journal.append_events(claim, [step] * steps)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE, audit=AuditDraft(kind="BOUNCE", body={}, prompt=PROMPT)))
    if end:
        journal.finish(claim)
    return claim.version.job_id


def kinds(journal: Journal, job_id: str) -> list[str]:
    """The kinds of a job's events."""
    return [str(event.kind) for event in journal.events_after(job_id, 0, MANY).events]


def prune(journal: Journal, older_than_s: float = HOUR_S) -> None:
    """All batches."""
    while journal.prune_events(RENDER, older_than_s=older_than_s, limit=3):
        pass


def test_an_erased_prompt_leaves_the_log_when_its_readers_end(tmp_path: Path, clock: ManualClock) -> None:
    """While a reader keeps the log, the erasure is reported as pending; later, also by another start, it is finished."""

    def holders() -> set[str]:
        return {
            file.name
            for file in tmp_path.glob("journal.sqlite3*")
            if file.is_file() and PROMPT.encode() in file.read_bytes()
        }

    with open_journal(tmp_path, clock) as journal:
        job_id = run(journal)
        with sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM jobs").fetchone()
            assert journal.erase_prompt("local", job_id).purge_pending
            assert not journal.purge_erased()
            assert holders(), "the log has it, as was reported"
            reader.execute("COMMIT")
        with open_journal(tmp_path, clock) as later:
            assert later.purge_erased()
        assert not holders()
        assert not journal.erase_prompt("local", job_id).purge_pending


def test_old_progress_events_of_ended_jobs_are_removed(journal: Journal, clock: ManualClock) -> None:
    """What callers still see stays: states, the newest progress of each track, running jobs, young jobs, audit rows."""
    old, running = run(journal), run(journal, end=False)
    before = journal.job("local", old)
    prune(journal)
    assert kinds(journal, old) == ["STATE", "STATE", *["PROGRESS"] * 5, "STATE"], "too young"
    prune(journal, older_than_s=-HOUR_S)
    assert kinds(journal, old) == ["STATE", "STATE", "PROGRESS", "STATE"]
    assert kinds(journal, running) == ["STATE", "STATE", *["PROGRESS"] * 5]
    assert journal.job("local", old) == before
    assert len(journal.audit_rows("local").rows) == 2
    assert journal.verify_chain("local").intact


def test_the_event_of_a_deletion_is_removed_in_the_end(journal: Journal) -> None:
    """Deleted jobs leave only audit rows."""
    job_id = run(journal)
    journal.start_delete("local", job_id, RENDER)
    journal.finish_delete("local", job_id)
    assert kinds(journal, job_id) == ["DELETED"]
    prune(journal, older_than_s=-HOUR_S)
    assert kinds(journal, job_id) == []
    assert len(journal.audit_rows("local", job_id).rows) == 1


def test_old_jobs_are_those_whose_versions_have_all_ended(journal: Journal, clock: ManualClock) -> None:
    """Oldest first, at most as many as asked for."""
    ended = [run(journal) for _ in range(2)]
    run(journal, end=False)
    assert journal.old_jobs(RENDER, older_than_s=HOUR_S, limit=MANY) == []
    found = journal.old_jobs(RENDER, older_than_s=-HOUR_S, limit=MANY)
    assert sorted(job_id for _, job_id in found) == sorted(ended)
    assert len(journal.old_jobs(RENDER, older_than_s=-HOUR_S, limit=1)) == 1


def test_a_failed_version_runs_again_on_request(journal: Journal, clock: ManualClock) -> None:
    """It keeps its files, and neither its expiry nor its crashes count any more."""
    due = journal.clock.now() + timedelta(seconds=60)
    job_id = journal.accept(new_job(expire_time=due), limit=MANY).job.job_id
    claim = claimed(journal)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE, stage=Stage.BOUNCE))
    journal.fail(claim, {"code": 9, "details": [{"reason": "TOO_MANY_ATTEMPTS"}]})
    version = journal.retry_version("local", job_id, 0, limit=MANY).versions[0]
    assert (version.state, version.error, version.expire_time, version.files) == (JobState.QUEUED, None, None, BOUNCE)
    again = claimed(journal)
    assert (again.attempt, again.version.checkpointed_stage) == (2, Stage.BOUNCE)
    assert journal.finish(again) is JobState.DONE


def test_what_cannot_run_again_is_refused(journal: Journal) -> None:
    """A version that has not failed, one whose prompt was erased, and one whose failure is a measurement."""
    job_id = run(journal)
    with pytest.raises(FailedPrecondition, match="only a failed version is retried"):
        journal.retry_version("local", job_id, 1, limit=MANY)
    journal.accept_version(new_version(job_id), limit=MANY)
    journal.fail(claimed(journal), {"code": 9, "details": [{"reason": "DRIFT_EXCEEDED"}]})
    with pytest.raises(FailedPrecondition, match="drift reports"):
        journal.retry_version("local", job_id, 0, limit=MANY)
    failed = journal.accept(new_job(), limit=MANY).job.job_id
    journal.fail(claimed(journal), {"code": 9})
    journal.erase_prompt("local", failed)
    with pytest.raises(FailedPrecondition, match="its prompt was erased"):
        journal.retry_version("local", failed, 1, limit=MANY)
