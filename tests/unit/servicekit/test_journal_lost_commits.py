"""PostgreSQL commits and the connection breaks before the answer: the journal finds out what happened and writes nothing twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import ServiceError
from servicekit.journal import AuditDraft, Checkpoint, EventDraft, EventKind, JobFilter, JobState, Journal, Stage
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from servicekit.work import Assignment
from tests.support.databases import empty_database
from tests.support.journal_rows import BOUNCE, PROMPT, claimed, new_job, request
from tests.support.lost_commits import LostCommits
from tests.support.work_runs import MANY, ended, events_of, running


@pytest.fixture
def proxy(postgresql: str, tmp_path: Path) -> Iterator[LostCommits]:
    """A proxy in front of an empty database."""
    with LostCommits(tmp_path, empty_database(postgresql)) as opened:
        yield opened


@pytest.fixture
def journal(proxy: LostCommits) -> Iterator[Journal]:
    """A journal behind the proxy."""
    with Journal.open(proxy.url, clock=SystemClock()) as opened:
        yield opened


def test_an_accepted_job_is_returned_though_the_answer_was_lost(journal: Journal, proxy: LostCommits) -> None:
    """There is one job, and the call that made it says so."""
    proxy.lose()
    accepted = journal.accept(new_job(request("r1")), limit=MANY)
    assert (accepted.created, proxy.lost) == (True, 1)
    assert journal.accept(new_job(request("r1")), limit=MANY).job.job_id == accepted.job.job_id


def test_results_are_committed_once(journal: Journal, proxy: LostCommits) -> None:
    """Files, audit row and events of a checkpoint whose answer was lost are there once; the version ends DONE."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    event = EventDraft(kind=EventKind.BOUNCE_READY, fraction=1.0)
    results = Checkpoint(files=BOUNCE, audit=AuditDraft(kind="bounce", body={}, prompt=PROMPT), events=[event])
    proxy.lose()
    assert journal.checkpoint(claim, results) is not None
    proxy.lose()
    assert journal.finish(claim) is JobState.DONE
    assert proxy.lost == 2
    assert [event.kind for event in events_of(journal, job_id)].count(EventKind.BOUNCE_READY) == 1
    assert len(journal.audit_rows("local", job_id).rows) == 1


def test_the_files_of_a_version_are_read_back(journal: Journal) -> None:
    """None for a version that does not exist."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE))
    assert journal.named_keys(job_id, 1) == {BOUNCE["bounce"]["key"]}
    assert journal.named_keys(job_id, 2) == frozenset()
    assert (journal.has_job(job_id), journal.has_job("j-0")) == (True, False)


def test_files_of_a_commit_without_an_answer_stay(journal: Journal, proxy: LostCommits, tmp_path: Path) -> None:
    """The work stores a file and commits; the answer is lost; the version ends DONE and its file is there."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    store = FolderStore(tmp_path / "store", signer)

    def work(assignment: Assignment) -> None:
        with assignment.progress.staged_files(store) as staged:
            stored = staged.put_bytes("bounce", b"sound", content_type="audio/wav")
            assignment.progress.stage(Stage.BOUNCE)
            proxy.lose()
            assignment.progress.bounce_ready(files={"bounce": {"key": stored.key}})

    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    with running(journal, work):
        job = ended(journal, job_id)
    assert (job.state, proxy.lost) == (JobState.DONE, 1)
    assert store.read(job.versions[0].files["bounce"]["key"], max_bytes=100) == b"sound"


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.soak), 12], ids=["each", "some"])
def test_a_job_is_done_once_whichever_answer_is_lost(
    journal: Journal, proxy: LostCommits, tmp_path: Path, step: int
) -> None:
    """The caller repeats a refused call, the work goes on by itself; there is one job, one audit row, and events without a gap."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    store = FolderStore(tmp_path / "store", signer)

    def work(assignment: Assignment) -> None:
        with assignment.progress.staged_files(store) as staged:
            assignment.progress.stage(Stage.BOUNCE)
            stored = staged.put_bytes("bounce", b"sound", content_type="audio/wav")
            audit = AuditDraft(kind="bounce", body={}, prompt=PROMPT)
            assignment.progress.bounce_ready(files={"bounce": {"key": stored.key}}, audit=audit)

    number, lost = 1, True
    with Journal.open(proxy.direct_url, clock=SystemClock()) as observer, running(journal, work):
        while lost:
            before = proxy.lost
            proxy.lose_answer(number)
            job_id = accept_repeatedly(journal, f"r{number}")
            job = ended(observer, job_id)
            lost = proxy.lost > before  # otherwise a whole job needs fewer answers
            proxy.lose_answer(0)
            assert (job.state, job.versions[0].files.keys()) == (JobState.DONE, {"bounce"}), number
            assert store.read(job.versions[0].files["bounce"]["key"], max_bytes=100) == b"sound"
            events = events_of(observer, job_id)
            assert [event.sequence for event in events] == list(range(1, len(events) + 1)), number
            assert [event.kind for event in events].count(EventKind.BOUNCE_READY) == 1, number
            assert len(observer.audit_rows("local", job_id).rows) == 1, number
            number += step
        jobs = observer.jobs("local", JobFilter(), page_size=200).jobs
    assert len(jobs) == len({job.job_id for job in jobs}) == (number - 1) // step
    assert number > 20


def accept_repeatedly(journal: Journal, request_id: str) -> str:
    """Accept a job as a caller does who repeats a refused call under the same request id."""
    for _ in range(5):
        with suppress(ServiceError):
            return journal.accept(new_job(request(request_id)), limit=MANY).job.job_id
    pytest.fail("refused five times")
