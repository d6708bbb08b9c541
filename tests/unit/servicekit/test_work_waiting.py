"""Temporary refusals: the version waits with the reason visible, holds up nothing else, and is done when they end."""

from __future__ import annotations

import errno
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import OutcomeUnknown, ResourceExhausted, Unavailable
from servicekit.journal import (
    AuditDraft,
    AuditRow,
    Checkpoint,
    Claim,
    EventKind,
    JobState,
    Journal,
    ProgressTrack,
    Stage,
    WaitState,
)
from servicekit.rpc.status import as_service_error
from servicekit.work import Assignment, RetryPolicy
from tests.support.journal_rows import BOUNCE, claimed, new_job, open_journal, url_of
from tests.support.work_runs import MANY, ended, events_of, info_of, running, until

PATIENT = RetryPolicy(initial_delay_s=0.01, backoff_factor=1.0, advising_reasons=frozenset())
NO_ROOM = ResourceExhausted("all regions are in use", reason="LOANS_EXHAUSTED")
STORE_DOWN = Unavailable("the store does not answer", reason="STORE_UNAVAILABLE")
DISK_FULL = OSError(errno.ENOSPC, "No space left on device", "/x")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def accepted(journal: Journal) -> str:
    """The id of a new job."""
    return journal.accept(new_job(), limit=MANY).job.job_id


def waits(journal: Journal, job_id: str) -> None:
    """Return as soon as the row says that the version waits, and so does its newest event."""
    job = until(journal, job_id, lambda job: job.versions[0].waits.waiting is not None)
    assert info_of(job.versions[0].progress[-1].error) == info_of(job.versions[0].waits.waiting)


@pytest.mark.parametrize("raised", [NO_ROOM, STORE_DOWN, MemoryError(), DISK_FULL])
def test_a_version_waits_as_long_as_it_is_refused(journal: Journal, raised: Exception) -> None:
    """Eight refusals later it is done. While it waits, it is RUNNING, and row and event name the reason and the stage."""
    attempts = itertools.count(1)

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        if next(attempts) <= 8:
            raise raised

    job_id = accepted(journal)
    with running(journal, work, retries=PATIENT):
        waits(journal, job_id)
        version = ended(journal, job_id).versions[0]
    assert (version.state, version.attempt) == (JobState.DONE, 9)
    waited = [event for event in events_of(journal, job_id) if event.error is not None]
    assert len(waited) == 8
    assert {(event.state, event.kind, event.stage) for event in waited} == {
        (JobState.RUNNING, EventKind.PROGRESS, Stage.HANDOFF)
    }
    assert info_of(waited[0].error)["reason"] == as_service_error(raised).reason
    assert [event.error for event in version.progress] == [None]
    assert version.waits == WaitState()


def test_a_waiting_version_holds_up_no_other(journal: Journal) -> None:
    """The only worker does the next version meanwhile."""
    others_done = threading.Event()

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        if assignment.job.job_id == first and not others_done.is_set():
            raise NO_ROOM

    first, second = accepted(journal), accepted(journal)
    with running(journal, work, retries=PATIENT):
        assert ended(journal, second).state is JobState.DONE
        assert journal.job("local", first).state is JobState.RUNNING
        others_done.set()
        assert ended(journal, first).state is JobState.DONE


def test_a_cancel_ends_a_waiting_version_while_every_worker_is_busy(journal: Journal) -> None:
    """Without waiting for its next attempt, nor for a worker."""
    entered, go_on = threading.Event(), threading.Event()

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        if assignment.job.job_id == first:
            raise NO_ROOM
        entered.set()
        go_on.wait(30)

    first, second = accepted(journal), accepted(journal)
    with running(journal, work, retries=RetryPolicy(initial_delay_s=600.0, max_delay_s=600.0)):
        assert entered.wait(30)
        journal.cancel("local", first)
        assert ended(journal, first).state is JobState.CANCELLED
        go_on.set()
        assert ended(journal, second).state is JobState.DONE


def test_a_drain_puts_a_waiting_version_back_in_the_queue(journal: Journal) -> None:
    """At once: the next start tries it again."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        raise NO_ROOM

    job_id = accepted(journal)
    with running(journal, work, retries=RetryPolicy(initial_delay_s=600.0, max_delay_s=600.0)) as runner:
        waits(journal, job_id)
        assert runner.drain(30.0)
        version = journal.job("local", job_id).versions[0]
        assert (version.state, version.waits.waiting) == (JobState.QUEUED, None)
        assert version.waits.spent["LOANS_EXHAUSTED"]["stage"] == "HANDOFF"


def test_what_is_in_memory_is_kept_while_the_store_is_down(journal: Journal) -> None:
    """The take is rendered once. Its bounce is stored when the store answers again."""
    rendered, stored = itertools.count(1), itertools.count(1)

    def store_bounce() -> None:
        if next(stored) < 5:
            raise STORE_DOWN

    def work(assignment: Assignment) -> None:
        progress = assignment.progress
        progress.stage(Stage.DENOISE)
        next(rendered)
        progress.stage(Stage.BOUNCE)
        progress.retrying(store_bounce)
        progress.bounce_ready(files=BOUNCE)

    job_id = accepted(journal)
    with running(journal, work, retries=PATIENT):
        version = ended(journal, job_id).versions[0]
    assert (version.state, version.attempt, next(rendered)) == (JobState.DONE, 1, 2)
    events = events_of(journal, job_id)
    reasons = [info_of(event.error)["reason"] for event in events if event.error is not None]
    assert reasons == ["STORE_UNAVAILABLE"] * 4
    assert {event.attempt for event in events if event.track is ProgressTrack.RENDER} == {1}


def test_nothing_is_claimed_while_the_store_is_down(journal: Journal) -> None:
    """A version that nobody works on stays queued; it is claimed once the store answers."""
    down, asked = threading.Event(), threading.Semaphore(0)
    down.set()

    def check_store() -> None:
        asked.release()
        if down.is_set():
            raise STORE_DOWN

    job_id = accepted(journal)
    with running(journal, lambda _: None, check_before_claim=check_store):
        for _ in range(2):
            assert asked.acquire(timeout=30)
        assert journal.job("local", job_id).state is JobState.QUEUED
        down.clear()
        assert ended(journal, job_id).state is JobState.DONE


@pytest.mark.parametrize("raised", [STORE_DOWN, DISK_FULL])
def test_nothing_is_claimed_while_a_version_waits_for_the_store(journal: Journal, raised: Exception) -> None:
    """The second version is not begun before the first could store what it has."""
    begun: list[str] = []
    store_is_up = threading.Event()

    def store() -> None:
        if not store_is_up.is_set():
            raise raised

    def work(assignment: Assignment) -> None:
        begun.append(assignment.job.job_id)
        assignment.progress.stage(Stage.BOUNCE)
        assignment.progress.retrying(store)

    first = accepted(journal)
    with running(journal, work, workers=2, retries=PATIENT):
        waits(journal, first)
        second = accepted(journal)
        until(journal, first, lambda _: len([event for event in events_of(journal, first) if event.error]) > 20)
        assert begun == [first]
        store_is_up.set()
        assert {ended(journal, job_id).state for job_id in (first, second)} == {JobState.DONE}


def test_the_operators_limit_ends_the_wait(journal: Journal) -> None:
    """The version fails with the reason of the refusal, and with RetryInfo."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        raise NO_ROOM

    job_id = accepted(journal)
    with running(journal, work, retries=RetryPolicy(initial_delay_s=0.01, backoff_factor=1.0, max_wait_s=0.2)):
        version = ended(journal, job_id).versions[0]
    assert (version.state, info_of(version.error)["reason"]) == (JobState.FAILED, "LOANS_EXHAUSTED")
    assert version.error is not None
    assert any(detail["@type"].endswith("RetryInfo") for detail in version.error["details"])


@pytest.mark.parametrize(("earlier_s", "state"), [(3599.0, JobState.DONE), (3600.0, JobState.FAILED)])
def test_what_an_earlier_process_waited_counts(journal: Journal, earlier_s: float, state: JobState) -> None:
    """A restart of the service does not start the operator's limit anew."""
    attempts = itertools.count(1)

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.HANDOFF)
        if next(attempts) == 1:
            raise NO_ROOM

    job_id = accepted(journal)
    claim = claimed(journal)
    spent = {"LOANS_EXHAUSTED": {"waitedS": earlier_s, "refusals": 130, "stage": "HANDOFF"}}
    journal.append_events(claim, [], WaitState(spent=spent))
    journal.release(claim)
    with running(journal, work, retries=replace(PATIENT, max_wait_s=3600.0)):
        assert ended(journal, job_id).state is state


def test_a_stage_that_succeeds_in_the_next_attempt_ends_its_wait(journal: Journal) -> None:
    """The same refusal by a later stage has the whole time. A stage that was not refused ends no wait."""
    refused: set[Stage] = set()
    spent: list[object] = []

    def work(assignment: Assignment) -> None:
        for stage in (Stage.PLAN, Stage.DENOISE, Stage.VOCODE, Stage.BOUNCE):
            assignment.progress.stage(stage)
            if stage in {Stage.DENOISE, Stage.VOCODE} - refused:
                refused.add(stage)
                raise NO_ROOM
            now = journal.job("local", assignment.job.job_id).versions[0].waits.spent
            spent.append((str(stage), now.get("LOANS_EXHAUSTED", {}).get("stage"), assignment.attempt))

    job_id = accepted(journal)
    with running(journal, work, retries=PATIENT):
        assert ended(journal, job_id).state is JobState.DONE
    assert spent[:2] == [("PLAN", None, 1), ("PLAN", "DENOISE", 2)]
    assert ("PLAN", "VOCODE", 3) in spent
    assert journal.job("local", job_id).versions[0].waits == WaitState()


def _exit() -> None:
    raise SystemExit(3)


def _unexpected() -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize("end", [_exit, _unexpected])
def test_no_error_of_the_work_ends_the_worker(journal: Journal, end: Callable[[], None]) -> None:
    """The version fails as INTERNAL, also where a library calls sys.exit; the next version is done."""

    def work(assignment: Assignment) -> None:
        if assignment.job.job_id == first:
            end()

    first, second = accepted(journal), accepted(journal)
    with running(journal, work) as runner:
        assert info_of(ended(journal, first).versions[0].error)["reason"] == "INTERNAL"
        assert ended(journal, second).state is JobState.DONE
        assert runner.keep_alive()


class LosesAnswers(Journal):
    """A journal that commits each checkpoint with files once and does not answer, or does not even commit it the first time."""

    unanswered = 0
    commits = True

    def checkpoint(self, claim: Claim, results: Checkpoint) -> AuditRow | None:
        """Save the results; the first answer is lost."""
        first = results.files is not None and self.unanswered == 0
        if first:
            self.unanswered += 1
        row = super().checkpoint(claim, results) if self.commits or not first else None
        if first:
            raise OutcomeUnknown("the commit was not answered")
        return row


@pytest.mark.parametrize("commits", [True, False])
def test_a_lost_answer_is_looked_up(tmp_path: Path, *, commits: bool) -> None:
    """Whether the commit took effect or not: one audit row, one BOUNCE_READY, and the version is done."""

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.BOUNCE)
        audit = AuditDraft(kind="bounce", body={}, prompt=None)
        assignment.progress.bounce_ready(files=BOUNCE, audit=audit)

    with LosesAnswers.open(url_of(tmp_path), clock=SystemClock()) as journal:
        journal.commits = commits
        job_id = accepted(journal)
        with running(journal, work, retries=PATIENT):
            version = ended(journal, job_id).versions[0]
        assert (version.state, version.attempt, len(version.audit_digests)) == (JobState.DONE, 1, 1)
        kinds = [event.kind for event in events_of(journal, job_id)]
    assert (kinds.count(EventKind.BOUNCE_READY), journal.unanswered) == (1, 1)
