"""What a job would have to expect is what it gets if it is accepted at that moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from servicekit.journal import Claim, Estimate, Journal, NewJob, OwningService
from tests.support.journal_rows import claimed, new_job, request
from tests.support.manual_clock import ManualClock

MANY = 100
RENDER = OwningService.RENDER


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock(datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def journal(any_database: str, clock: ManualClock) -> Iterator[Journal]:
    """An empty journal."""
    with Journal.open(any_database, clock=clock) as opened:
        yield opened


def take(tenant: str = "ada", *, seconds: float = 8.0, stems: bool = True, priority: int = 0) -> NewJob:
    """A take that can be accepted."""
    return replace(new_job(request(tenant=tenant), stems=stems), audio_seconds=seconds, priority=priority)


def estimate(journal: Journal, new: NewJob) -> Estimate:
    """Of such a take."""
    return journal.estimate(new.request.tenant, RENDER, new.audio_seconds, stems_wanted=new.stems_wanted)


def finish(journal: Journal, clock: ManualClock, new: NewJob, work_s: float) -> None:
    """Accept a take into an empty queue and do its work in that time."""
    journal.accept(new, limit=MANY)
    claim = claimed(journal, lease_s=1000)
    clock.advance(work_s)
    journal.finish(claim)


def test_without_a_finished_take_only_the_queue_is_known(journal: Journal) -> None:
    """Of stems, no speed is known after a take without stems."""
    assert estimate(journal, take()) == Estimate(versions_ahead=0, end_time=None, duration_s=None)
    journal.accept(take("bob"), limit=MANY)
    assert estimate(journal, take()) == Estimate(versions_ahead=1, end_time=None, duration_s=None)


def test_a_speed_is_that_of_takes_with_or_without_stems(journal: Journal, clock: ManualClock) -> None:
    """Each is measured by itself, and longer takes take longer."""
    finish(journal, clock, take(stems=False), 4.0)
    assert estimate(journal, take()) == Estimate(versions_ahead=0, end_time=None, duration_s=None)
    finish(journal, clock, take(stems=True), 16.0)
    found = [
        estimate(journal, take(stems=stems, seconds=seconds))
        for stems, seconds in ((False, 8.0), (True, 8.0), (True, 24.0))
    ]
    assert [one.duration_s for one in found] == [4.0, 16.0, 48.0]
    starts = {one.end_time - timedelta(seconds=one.duration_s) for one in found if one.end_time and one.duration_s}
    assert len(starts) == 1  # now, by the database's clock


def test_the_estimate_is_that_of_the_accepted_take(journal: Journal, clock: ManualClock) -> None:
    """Behind a running take and waiting ones of several tenants, whose turns and priorities count."""
    finish(journal, clock, take(stems=False), 4.0)
    finish(journal, clock, take(stems=True), 16.0)
    running: list[Claim] = []
    for tenant, seconds, stems, priority in (
        ("ada", 8.0, True, 0),
        ("bob", 60.0, True, 0),
        ("ada", 20.0, False, -1),
        ("ada", 30.0, True, 5),
        ("cleo", 8.0, False, 0),
    ):
        journal.accept(take(tenant, seconds=seconds, stems=stems, priority=priority), limit=MANY)
        if not running:
            running.append(claimed(journal, lease_s=1000))
            clock.advance(3.0)
    for tenant in ("ada", "bob", "cleo", "dan"):
        for stems in (False, True):
            new = take(tenant, seconds=12.0, stems=stems)
            expected = estimate(journal, new)
            (version,) = journal.accept(new, limit=MANY).job.versions
            assert version.queue_position is not None
            assert (expected.versions_ahead, expected.end_time) == (
                len(running) + version.queue_position,
                version.estimated_end_time,
            )
            assert expected.end_time is not None


def test_an_estimate_creates_nothing_and_needs_no_room(journal: Journal) -> None:
    """A full queue is no reason to refuse it."""
    journal.accept(take(), limit=1)
    assert [estimate(journal, take()).versions_ahead for _ in range(3)] == [1, 1, 1]
    assert journal.count_queued(RENDER) == 1
