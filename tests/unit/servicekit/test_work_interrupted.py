"""Interrupted work: drain, kill -9, racing runners, and a journal that does not answer."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import Unavailable
from servicekit.journal import ClaimLost, EventKind, JobState, Journal, ProgressTrack, Stage
from servicekit.journal.database import Database, Transaction
from servicekit.journal.liveness import Liveness
from servicekit.work import Assignment
from tests.support.journal_processes import run_slowly, started
from tests.support.journal_rows import BOUNCE, ZIP, new_job, open_journal, url_of
from tests.support.work_runs import MANY, ended, events_of, running


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def test_a_drain_lets_work_finish(journal: Journal) -> None:
    """Running work finishes within the timeout; a queued version stays queued."""
    entered, go_on = threading.Event(), threading.Event()

    def work(assignment: Assignment) -> None:
        entered.set()
        go_on.wait(30)

    first, second = (journal.accept(new_job(), limit=MANY).job.job_id for _ in range(2))
    with running(journal, work) as runner:
        entered.wait(30)
        threading.Timer(0.05, go_on.set).start()
        assert runner.drain(30.0)
    states = {journal.job("local", job_id).state for job_id in (first, second)}
    assert states == {JobState.DONE, JobState.QUEUED}


def test_a_drain_releases_unfinished_work(journal: Journal) -> None:
    """Work that does not finish is queued again with its checkpoint, and the next runner resumes there."""
    entered = threading.Event()

    def slow(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.BOUNCE)
        assignment.progress.bounce_ready(files=BOUNCE)
        entered.set()
        assignment.progress.wait(30)

    def quick(assignment: Assignment) -> None:
        assert assignment.version.checkpointed_stage is Stage.BOUNCE
        assignment.progress.stage(Stage.STORE)
        assignment.progress.stems_ready(files=ZIP)

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, slow) as runner:
        entered.wait(30)
        assert not runner.drain(0.05)
        assert journal.job("local", job_id).state is JobState.QUEUED
    with running(journal, quick):
        version = ended(journal, job_id).versions[0]
    assert (version.state, version.attempt, version.files) == (JobState.DONE, 2, {**BOUNCE, **ZIP})


def test_work_that_does_not_stop_cannot_write_any_more(journal: Journal) -> None:
    """It loses its claim, and later writes are refused."""
    entered, drained, refused = threading.Event(), threading.Event(), threading.Event()

    def unresponsive(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.BOUNCE)
        entered.set()
        drained.wait(30)
        try:
            assignment.progress.bounce_ready(files=BOUNCE)
        except ClaimLost:
            refused.set()
            raise

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, unresponsive, shutdown_grace_s=0.05):
        entered.wait(30)
    assert journal.job("local", job_id).state is JobState.QUEUED
    drained.set()
    assert refused.wait(30)
    assert journal.job("local", job_id).versions[0].files == {}


def test_work_of_a_killed_service_resumes(tmp_path: Path) -> None:
    """After kill -9 during the separation, attempt 2 starts from the checkpointed bounce and does not render again."""
    with open_journal(tmp_path) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        with started(run_slowly, url_of(tmp_path), True) as service:  # noqa: FBT003
            assert service.receive() == (job_id, 1)
            service.kill()
        with started(run_slowly, url_of(tmp_path), False) as service:  # noqa: FBT003
            assert service.receive() == (job_id, 2)
            ended(journal, job_id)
        events = events_of(journal, job_id)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert {event.attempt for event in events if event.track is ProgressTrack.RENDER} == {1}
        assert events[-1].state is JobState.DONE
        for track, attempt in itertools.product(ProgressTrack, (1, 2)):
            fractions = [event.fraction for event in events if (event.track, event.attempt) == (track, attempt)]
            assert fractions == sorted(fractions)


def test_racing_runners_never_run_the_same_version(tmp_path: Path) -> None:
    """Two services on one journal run each of twelve versions once."""
    with open_journal(tmp_path) as journal:
        with (
            started(run_slowly, url_of(tmp_path), False) as one,  # noqa: FBT003
            started(run_slowly, url_of(tmp_path), False) as two,  # noqa: FBT003
        ):
            jobs = [journal.accept(new_job(), limit=MANY).job.job_id for _ in range(12)]
            for job_id in jobs:
                ended(journal, job_id)
            one.kill()
            two.kill()
            worked = one.receive_all() + two.receive_all()
        assert sorted(worked) == sorted((job_id, 1) for job_id in jobs)


class FlakyDatabase(Database):
    """Refuses the next ``refuse_writes`` write transactions."""

    refuse_writes = 0

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A write transaction, or an outage."""
        if self.refuse_writes > 0:
            self.refuse_writes -= 1
            raise Unavailable("the journal does not answer", reason="STORE_UNAVAILABLE")
        with super().writing() as tx:
            yield tx


def test_work_continues_while_the_journal_does_not_answer(tmp_path: Path) -> None:
    """Events are pending until the journal answers again and are then written in order; the end is retried."""
    clock = SystemClock()
    database = FlakyDatabase.open(url_of(tmp_path), clock=clock)

    def work(assignment: Assignment) -> None:
        assignment.progress.stage(Stage.DENOISE, 3)
        database.refuse_writes = 4
        for done in range(3):
            assignment.progress.step(done + 1)

    with Journal(database, Liveness(None), clock) as journal:
        job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
        with running(journal, work):
            assert ended(journal, job_id).state is JobState.DONE
        steps = [event.steps_done for event in events_of(journal, job_id) if event.kind is EventKind.PROGRESS]
    assert database.refuse_writes == 0
    assert steps == sorted(steps)
    assert steps[-1] == 3
