"""Claims: one worker per version, takeover after a death, and no late writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.errors import FailedPrecondition
from servicekit.journal import (
    AuditDraft,
    Checkpoint,
    Claim,
    ClaimLost,
    EventDraft,
    EventKind,
    JobState,
    Journal,
    OwningService,
    ProgressTrack,
    Stage,
)
from tests.support.journal_processes import claim_all, claim_and_hang, started
from tests.support.journal_rows import BOUNCE, claimed, new_job, observe_silence, open_journal, url_of
from tests.support.manual_clock import ManualClock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MANY = 1000


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only moves when it is advanced."""
    return ManualClock(START)


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path, clock) as opened:
        yield opened


@pytest.fixture
def rival(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """The same journal in another process."""
    with open_journal(tmp_path, clock) as opened:
        yield opened


WRITES: dict[str, Callable[[Journal, Claim], object]] = {
    "heartbeat": lambda journal, claim: journal.heartbeat(claim),
    "checkpoint": lambda journal, claim: journal.checkpoint(
        claim, Checkpoint(files=BOUNCE, audit=AuditDraft(kind="bounce", body={}, prompt=None))
    ),
    "append_events": lambda journal, claim: journal.append_events(claim, [EventDraft(kind=EventKind.BOUNCE_READY)]),
    "retry": lambda journal, claim: journal.retry(claim),
    "finish": lambda journal, claim: journal.finish(claim),
    "fail": lambda journal, claim: journal.fail(claim, {"code": 13}),
    "end_cancelled": lambda journal, claim: journal.end_cancelled(claim),
    "release": lambda journal, claim: journal.release(claim),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_worker_that_lost_its_claim_cannot_write(
    journal: Journal, rival: Journal, clock: ManualClock, write: Callable[[Journal, Claim], object]
) -> None:
    """After its lease expired and another worker claimed the version, every write is refused; only the crash is taken back."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    lost = claimed(journal, lease_s=10)
    observe_silence(rival, clock, lease_s=10)
    current = claimed(rival, lease_s=10)
    assert (lost.attempt, current.attempt) == (1, 2)
    before = journal.job("local", job_id)
    with pytest.raises(ClaimLost):
        write(journal, lost)
    (version,) = before.versions
    assert version.crashes == 1
    assert journal.job("local", job_id) == replace(before, versions=(replace(version, crashes=0),))
    assert not journal.audit_rows("local").rows
    rival.finish(current)


def test_a_heartbeat_renews_the_lease(journal: Journal, rival: Journal, clock: ManualClock) -> None:
    """Within the lease no other worker gets the version; the reply reports cancellation and expiry."""
    job_id = journal.accept(new_job(expire_time=START + timedelta(seconds=40)), limit=MANY).job.job_id
    claim = claimed(journal, lease_s=10)
    for _ in range(9):
        clock.advance(3)
        reply = journal.heartbeat(claim)
        assert (reply.cancel_requested, reply.expired) == (False, False)
        assert rival.claim(OwningService.RENDER, lease_s=10) is None
    journal.cancel("local", job_id)
    clock.advance(14)
    assert claim.version.expire_time == START + timedelta(seconds=40)
    reply = journal.heartbeat(claim)
    assert (reply.cancel_requested, reply.expired) == (True, True)


def test_the_version_of_a_killed_process_is_claimed_again_at_once(tmp_path: Path) -> None:
    """After kill -9 it is claimed long before its lease would expire, as attempt 2 and with its checkpoint."""
    with open_journal(tmp_path) as journal:
        journal.accept(new_job(), limit=MANY)
        with started(claim_and_hang, url_of(tmp_path)) as worker:
            job_id = worker.receive()
            assert journal.claim(OwningService.RENDER, lease_s=10) is None, "its worker is alive"
            worker.kill()
        claim = claimed(journal)
        assert (claim.version.job_id, claim.attempt) == (job_id, 2)
        assert (claim.version.checkpointed_stage, claim.version.files) == (Stage.BOUNCE, BOUNCE)
        assert [event.attempt for event in claim.version.progress] == [1]


def test_a_version_whose_service_died_three_times_fails(tmp_path: Path) -> None:
    """The third death ends it, with the number of attempts and the last stage."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        for _ in range(3):
            with started(claim_and_hang, url_of(tmp_path)) as worker:
                assert worker.receive() == job_id
        journal.reap(OwningService.RENDER)
        version = journal.job("local", job_id).versions[0]
        assert version.state is JobState.FAILED
        assert version.error is not None
        (info,) = [detail for detail in version.error["details"] if detail["@type"].endswith("ErrorInfo")]
        assert (info["reason"], info["metadata"]) == ("TOO_MANY_ATTEMPTS", {"attempts": "3", "stage": "VOCODE"})
        assert version.files == BOUNCE
        assert journal.claim(OwningService.RENDER, lease_s=10) is None


def test_racing_processes_never_get_the_same_version(tmp_path: Path) -> None:
    """Two processes that claim as fast as they can get each of twenty versions exactly once."""
    with open_journal(tmp_path) as journal:
        jobs = [journal.accept(new_job(), limit=MANY).job.job_id for _ in range(20)]
        start = tmp_path / "start"
        with started(claim_all, url_of(tmp_path), start) as one, started(claim_all, url_of(tmp_path), start) as two:
            start.touch()
            done = one.receive_all() + two.receive_all()
        assert sorted(done) == sorted(jobs)
        assert {journal.job("local", job_id).versions[0].attempt for job_id in jobs} == {1}


def test_a_queued_version_expires_without_a_worker(journal: Journal, clock: ManualClock) -> None:
    """A version past its expiry fails as EXPIRED although no worker ever claimed it; others stay queued."""
    due = journal.accept(new_job(expire_time=START + timedelta(seconds=5)), limit=MANY).job.job_id
    other = journal.accept(new_job(), limit=MANY).job.job_id
    clock.advance(5)
    journal.reap(OwningService.RENDER)
    version = journal.job("local", due).versions[0]
    assert version.state is JobState.FAILED
    assert version.error is not None
    assert version.error["code"] == 4
    assert version.error["details"][0]["metadata"] == {"expire_time": "2026-03-01T12:00:05Z"}
    assert journal.job("local", other).state is JobState.QUEUED


def test_a_cancelled_version_of_a_silent_worker_ends(journal: Journal, rival: Journal, clock: ManualClock) -> None:
    """It becomes CANCELLED when its lease expires and is not claimed again."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claimed(journal, lease_s=10)
    journal.cancel("local", job_id)
    assert journal.job("local", job_id).state is JobState.CANCELLING
    observe_silence(rival, clock, lease_s=10)
    assert rival.claim(OwningService.RENDER, lease_s=10) is None
    assert journal.job("local", job_id).state is JobState.CANCELLED


def test_a_released_version_keeps_its_place(journal: Journal, clock: ManualClock) -> None:
    """It is the first to be claimed again, and however often that happens it never counts as a crash."""
    first = journal.accept(new_job(), limit=MANY).job.job_id
    clock.advance(1)
    journal.accept(new_job(), limit=MANY)
    for attempt in range(1, 6):
        claim = claimed(journal)
        assert (claim.version.job_id, claim.attempt) == (first, attempt)
        journal.release(claim)
        clock.advance(1)


def test_work_that_finishes_after_a_cancel_ends_as_cancelled(journal: Journal) -> None:
    """Once a cancel was accepted the version never becomes DONE; its stored files stay."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    journal.cancel("local", job_id)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE))
    assert journal.finish(claim) is JobState.CANCELLED
    version = journal.job("local", job_id).versions[0]
    assert (version.state, version.files) == (JobState.CANCELLED, BOUNCE)


def test_each_service_claims_only_its_own_versions(journal: Journal) -> None:
    """render_service does not get a version of separation_service."""
    journal.accept(new_job(owner=OwningService.SEPARATION), limit=MANY)
    assert journal.claim(OwningService.RENDER, lease_s=10) is None
    assert journal.claim(OwningService.SEPARATION, lease_s=10) is not None


def test_progress_is_the_newest_event_of_each_track(journal: Journal) -> None:
    """A version has the newest progress of each track, after any number of events."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    for track in (ProgressTrack.RENDER, ProgressTrack.STEMS):
        drafts = [EventDraft(kind=EventKind.PROGRESS, track=track, fraction=share / 4) for share in range(5)]
        journal.append_events(claim, drafts)
    progress = journal.job("local", job_id).versions[0].progress
    assert [(event.track, event.fraction) for event in progress] == [
        (ProgressTrack.RENDER, 1.0),
        (ProgressTrack.STEMS, 1.0),
    ]


def test_an_expiry_that_cannot_be_met_is_refused(journal: Journal, clock: ManualClock) -> None:
    """Judged by the best of three speeds of versions not much shorter, behind the queue; with fewer, nothing is refused."""

    def ask(seconds: float, audio_seconds: float) -> None:
        new = new_job(expire_time=clock.now() + timedelta(seconds=seconds))
        journal.accept(replace(new, audio_seconds=audio_seconds), limit=9)

    def done(work_s: float) -> None:
        journal.accept(replace(new_job(), audio_seconds=30.0), limit=9)
        claim = claimed(journal, lease_s=600)
        clock.advance(work_s)
        journal.finish(claim)

    done(30.0)
    done(15.0)
    ask(seconds=1.0, audio_seconds=90.0)
    journal.fail(claimed(journal), {"code": 1})
    done(20.0)
    ask(seconds=1.0, audio_seconds=600.0)
    journal.claim(OwningService.RENDER, lease_s=600)
    with pytest.raises(FailedPrecondition) as caught:
        ask(seconds=44.0, audio_seconds=90.0)
    assert caught.value.reason == "EXPIRY_TOO_SOON"
    assert caught.value.metadata == {"needed_seconds": "45.0", "left_seconds": "44.0", "queued": "1"}
    ask(seconds=46.0, audio_seconds=90.0)
    with pytest.raises(FailedPrecondition):
        ask(seconds=59.0, audio_seconds=30.0)
    ask(seconds=61.0, audio_seconds=30.0)
