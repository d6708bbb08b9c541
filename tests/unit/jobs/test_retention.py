"""When the retention of a job ends: the time that its message has is the one by which the upkeep decides."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs_service import JobMessages, Retention
from servicekit.host_settings import HostSettings
from servicekit.journal import JobFilter, Journal, OwningService
from tests.support.journal_rows import claimed, new_job, new_version, open_journal
from tests.support.manual_clock import ManualClock

MANY = 1000
RENDER = OwningService.RENDER
WEEK_S = 7 * 24 * 3600.0
RETENTION = Retention(events_s=None, jobs_s=WEEK_S)
MICROSECOND_S = 1e-6


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only moves when it is advanced."""
    return ManualClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC))


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path, clock) as opened:
        yield opened


def purge_time(journal: Journal, job_id: str) -> datetime | None:
    """As callers see it."""
    message = JobMessages(journal, RETENTION)(journal.job("local", job_id))
    return message.purge_time.ToDatetime(tzinfo=UTC) if message.HasField("purge_time") else None


def is_old(journal: Journal, job_id: str) -> bool:
    """Whether the upkeep would delete the job now."""
    return ("local", job_id) in journal.old_jobs(RENDER, older_than_s=WEEK_S, limit=MANY)


def check_purge_time(journal: Journal, clock: ManualClock, job_id: str, expected: datetime) -> None:
    """The job is not old at its time, and is directly after it."""
    assert purge_time(journal, job_id) == expected
    clock.advance((expected - clock.now()).total_seconds())
    assert not is_old(journal, job_id)
    clock.advance(MICROSECOND_S)
    assert is_old(journal, job_id)


def test_it_counts_from_the_end_of_the_last_version(journal: Journal, clock: ManualClock) -> None:
    """There is no time while a version has not ended; a failed and a cancelled one have ended."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    assert purge_time(journal, job_id) is None
    clock.advance(60)
    claim = claimed(journal)
    assert purge_time(journal, job_id) is None
    journal.finish(claim)
    ended = clock.now()
    assert purge_time(journal, job_id) == ended + timedelta(days=7)
    clock.advance(3600)
    journal.accept_version(new_version(job_id), limit=MANY)
    assert purge_time(journal, job_id) is None
    journal.fail(claimed(journal), {"code": 13, "message": "NaN"})
    failed = clock.now()
    assert purge_time(journal, job_id) == failed + timedelta(days=7)
    journal.accept_version(new_version(job_id), limit=MANY)
    clock.advance(5)
    journal.cancel("local", job_id, 3, owner=RENDER)
    check_purge_time(journal, clock, job_id, clock.now() + timedelta(days=7))


def test_the_time_in_a_list_is_the_same(journal: Journal, clock: ManualClock) -> None:
    """Of each job its own."""
    ids = []
    for _ in range(3):
        ids.append(journal.accept(new_job(), limit=MANY).job.job_id)
        clock.advance(10)
        journal.finish(claimed(journal))
    listed = {job.job_id: JobMessages(journal, RETENTION)(job) for job in journal.jobs("local", JobFilter()).jobs}
    for job_id in ids:
        assert listed[job_id].purge_time.ToDatetime(tzinfo=UTC) == purge_time(journal, job_id)


def test_jobs_that_are_kept_for_good_have_none(journal: Journal) -> None:
    """As with the default settings."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    journal.finish(claimed(journal))
    for settings, kept in ((HostSettings(), True), (HostSettings(job_retention_days=36500), False)):
        message = JobMessages(journal, Retention.of(settings))(journal.job("local", job_id))
        assert message.HasField("purge_time") is not kept
