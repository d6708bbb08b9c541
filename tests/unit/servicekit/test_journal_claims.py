"""Claims: one worker a version, whoever dies, and never a late write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.clock import SetClock
from servicekit.errors import FailedPrecondition
from servicekit.journal import (
    AuditDraft,
    Claim,
    ClaimLost,
    EventDraft,
    EventKind,
    JobState,
    Journal,
    Owner,
    ProgressTrack,
    Stage,
)
from tests.support.journal_processes import claim_all, claim_and_hang, started
from tests.support.journal_rows import BOUNCE, new_job, open_journal, url_of

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MANY = 1000


@pytest.fixture
def clock() -> SetClock:
    """A time that stands still."""
    return SetClock(START)


@pytest.fixture
def journal(tmp_path: Path, clock: SetClock) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path, clock) as opened:
        yield opened


def claimed(journal: Journal, lease_s: float = 10) -> Claim:
    """The next version, which must be there."""
    claim = journal.claim(Owner.RENDER, lease_s=lease_s)
    assert claim is not None
    return claim


WRITES: dict[str, Callable[[Journal, Claim], object]] = {
    "heartbeat": lambda journal, claim: journal.heartbeat(claim),
    "keep": lambda journal, claim: journal.keep(
        claim, files=BOUNCE, audit=AuditDraft(kind="bounce", body={}, prompt=None)
    ),
    "append": lambda journal, claim: journal.append(claim, [EventDraft(kind=EventKind.BOUNCE_READY)]),
    "try_again": lambda journal, claim: journal.try_again(claim),
    "finish": lambda journal, claim: journal.finish(claim),
    "fail": lambda journal, claim: journal.fail(claim, {"code": 13}),
    "cancelled": lambda journal, claim: journal.cancelled(claim),
    "give_back": lambda journal, claim: journal.give_back(claim),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_worker_that_lost_its_claim_cannot_write(
    journal: Journal, clock: SetClock, write: Callable[[Journal, Claim], object]
) -> None:
    """Once the lease lapsed and another took over, every write of the first is refused and changes nothing."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    slow = claimed(journal)
    clock.advance(10.1)
    quick = claimed(journal)
    assert (slow.attempt, quick.attempt) == (1, 2)
    before = journal.job("local", job_id)
    with pytest.raises(ClaimLost):
        write(journal, slow)
    assert journal.job("local", job_id) == before
    assert not journal.audit_rows("local").rows
    journal.finish(quick)


def test_a_heartbeat_keeps_the_claim(journal: Journal, clock: SetClock) -> None:
    """As long as it beats within the lease nobody else gets the version, and it hears of cancel and expiry."""
    job_id = journal.accept(new_job(expire_time=START + timedelta(seconds=40)), limit=MANY).job.job_id
    claim = claimed(journal)
    for _ in range(3):
        clock.advance(9)
        orders = journal.heartbeat(claim)
        assert (orders.cancel, orders.expired) == (False, False)
        assert journal.claim(Owner.RENDER, lease_s=10) is None
    journal.cancel("local", job_id)
    clock.advance(9)
    clock.advance(5)
    assert claim.version.expire_time == START + timedelta(seconds=40)
    orders = journal.heartbeat(claim)
    assert (orders.cancel, orders.expired) == (True, True)


def test_a_killed_process_leaves_its_version_to_the_next_at_once(tmp_path: Path) -> None:
    """After kill -9 the version is claimed again long before its lease would lapse, with what was kept and attempt 2."""
    with open_journal(tmp_path) as journal:
        journal.accept(new_job(), limit=MANY)
        with started(claim_and_hang, url_of(tmp_path)) as worker:
            job_id = worker.hear()
            assert journal.claim(Owner.RENDER, lease_s=10) is None, "its worker lives"
            worker.kill()
        claim = claimed(journal)
        assert (claim.version.job_id, claim.attempt) == (job_id, 2)
        assert (claim.version.kept_stage, claim.version.files) == (Stage.BOUNCE, BOUNCE)
        assert [event.attempt for event in claim.version.progress] == [1]


def test_a_version_whose_service_died_three_times_fails(tmp_path: Path) -> None:
    """The third death ends it, with the number of attempts and the stage that was under way."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        for _ in range(3):
            with started(claim_and_hang, url_of(tmp_path)) as worker:
                assert worker.hear() == job_id
        journal.settle(Owner.RENDER)
        version = journal.job("local", job_id).versions[0]
        assert version.state is JobState.FAILED
        assert version.error is not None
        (info,) = [detail for detail in version.error["details"] if detail["@type"].endswith("ErrorInfo")]
        assert (info["reason"], info["metadata"]) == ("TOO_MANY_ATTEMPTS", {"attempts": "3", "stage": "VOCODE"})
        assert version.files == BOUNCE
        assert journal.claim(Owner.RENDER, lease_s=10) is None


def test_racing_processes_never_get_the_same_version(tmp_path: Path) -> None:
    """Two processes that claim as fast as they can take each of twenty versions exactly once."""
    with open_journal(tmp_path) as journal:
        jobs = [journal.accept(new_job(), limit=MANY).job.job_id for _ in range(20)]
        start = tmp_path / "start"
        with started(claim_all, url_of(tmp_path), start) as one, started(claim_all, url_of(tmp_path), start) as two:
            start.touch()
            taken = one.hear_all() + two.hear_all()
        assert sorted(taken) == sorted(jobs)
        assert {journal.job("local", job_id).versions[0].attempt for job_id in jobs} == {1}


def test_what_waits_too_long_expires_without_a_worker(journal: Journal, clock: SetClock) -> None:
    """A version past its expiry fails as EXPIRED although nobody ever claimed it; others stay."""
    due = journal.accept(new_job(expire_time=START + timedelta(seconds=5)), limit=MANY).job.job_id
    other = journal.accept(new_job(), limit=MANY).job.job_id
    clock.advance(5)
    journal.settle(Owner.RENDER)
    version = journal.job("local", due).versions[0]
    assert version.state is JobState.FAILED
    assert version.error is not None
    assert version.error["code"] == 4
    assert version.error["details"][0]["metadata"] == {"expire_time": "2026-03-01T12:00:05Z"}
    assert journal.job("local", other).state is JobState.QUEUED


def test_a_cancelled_version_of_a_silent_worker_ends(journal: Journal, clock: SetClock) -> None:
    """Nobody works again on what was cancelled: it becomes CANCELLED when its worker is given up."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claimed(journal)
    journal.cancel("local", job_id)
    assert journal.job("local", job_id).state is JobState.CANCELLING
    clock.advance(11)
    assert journal.claim(Owner.RENDER, lease_s=10) is None
    assert journal.job("local", job_id).state is JobState.CANCELLED


def test_what_is_given_back_keeps_its_place(journal: Journal, clock: SetClock) -> None:
    """A drained version is the first to be claimed again, and however often that happens it is no crash."""
    first = journal.accept(new_job(), limit=MANY).job.job_id
    clock.advance(1)
    journal.accept(new_job(), limit=MANY)
    for attempt in range(1, 6):
        claim = claimed(journal)
        assert (claim.version.job_id, claim.attempt) == (first, attempt)
        journal.give_back(claim)
        clock.advance(1)


def test_work_that_ends_after_an_accepted_cancel_counts_as_cancelled(journal: Journal) -> None:
    """Whoever was told that the cancel was accepted never sees the version DONE; what it stored stays."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    journal.cancel("local", job_id)
    journal.keep(claim, files=BOUNCE)
    assert journal.finish(claim) is JobState.CANCELLED
    version = journal.job("local", job_id).versions[0]
    assert (version.state, version.files) == (JobState.CANCELLED, BOUNCE)


def test_each_service_claims_only_its_own(journal: Journal) -> None:
    """A separation's version is not there for the render service."""
    journal.accept(new_job(owner=Owner.SEPARATION), limit=MANY)
    assert journal.claim(Owner.RENDER, lease_s=10) is None
    assert journal.claim(Owner.SEPARATION, lease_s=10) is not None


def test_progress_is_the_newest_event_of_each_track(journal: Journal) -> None:
    """A row shows how far each track is, after however many events."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    for track in (ProgressTrack.RENDER, ProgressTrack.STEMS):
        drafts = [EventDraft(kind=EventKind.PROGRESS, track=track, fraction=share / 4) for share in range(5)]
        journal.append(claim, drafts)
    progress = journal.job("local", job_id).versions[0].progress
    assert [(event.track, event.fraction) for event in progress] == [
        (ProgressTrack.RENDER, 1.0),
        (ProgressTrack.STEMS, 1.0),
    ]


def test_an_expiry_that_cannot_be_met_is_refused(journal: Journal, clock: SetClock) -> None:
    """By the best speed of three that were not much shorter, behind what waits; what was not measured enough is not refused."""

    def ask(seconds: float, audio_seconds: float) -> None:
        new = new_job(expire_time=clock.now() + timedelta(seconds=seconds))
        journal.accept(replace(new, audio_seconds=audio_seconds), limit=9)

    def done(work_s: float) -> None:
        journal.accept(replace(new_job(), audio_seconds=30.0), limit=9)
        claim = claimed(journal)
        clock.advance(work_s)
        journal.finish(claim)

    done(30.0)
    done(15.0)
    ask(seconds=1.0, audio_seconds=90.0)
    journal.fail(claimed(journal), {"code": 1})
    done(20.0)
    ask(seconds=1.0, audio_seconds=600.0)
    journal.claim(Owner.RENDER, lease_s=600)
    with pytest.raises(FailedPrecondition) as caught:
        ask(seconds=44.0, audio_seconds=90.0)
    assert caught.value.reason == "EXPIRY_TOO_SOON"
    assert caught.value.metadata == {"needed_seconds": "45.0", "left_seconds": "44.0", "queued": "1"}
    ask(seconds=46.0, audio_seconds=90.0)
    with pytest.raises(FailedPrecondition):
        ask(seconds=59.0, audio_seconds=30.0)
    ask(seconds=61.0, audio_seconds=30.0)
