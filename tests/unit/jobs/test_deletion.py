"""Deletions that are cut short: nobody sees the job any more, and the next start finishes the deletion."""

from __future__ import annotations

import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from jobs_service import JobDeletions
from servicekit.clock import SystemClock
from servicekit.errors import NotFound, Unavailable
from servicekit.journal import EventKind, JobFilter, Journal, OwningService
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.hanging_store import StoreThatHangs
from tests.support.journal_processes import started
from tests.support.journal_rows import new_job, open_journal
from tests.support.work_runs import MANY

NAMES = ("bounce.wav", "v1.json", "v1.zip")


def store_in(folder: Path) -> FolderStore:
    """A folder store."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    return FolderStore(folder / "store", signer)


def done_job(journal: Journal, store: FolderStore) -> str:
    """The id of a job that has ended and has files."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = journal.claim(OwningService.RENDER, lease_s=600)
    assert claim is not None
    for name in NAMES:
        store.put_bytes(f"jobs/{job_id}/{name}", b"sound", content_type="application/octet-stream")
    journal.finish(claim)
    return job_id


def delete_and_hang(output: Connection, folder: Path, job_id: str, files: int) -> None:
    """Start a deletion that hangs after it has removed that many files."""
    store = StoreThatHangs(folder / "store", store_in(folder).signer)
    store.output, store.left = output, files
    with open_journal(folder) as journal:
        JobDeletions(journal, OwningService.RENDER, store).delete("local", job_id)


def wait_until_gone(journal: Journal, job_id: str) -> None:
    """Wait until the job's DELETED event is its only one."""
    give_up_s = time.monotonic() + 30.0
    while [event.kind for event in journal.events_after(job_id, 0, MANY).events] != [EventKind.DELETED]:
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


@pytest.mark.parametrize("files", [0, 1, 2])
def test_a_killed_deletion_is_finished_by_the_next_start(tmp_path: Path, files: int) -> None:
    """Killed after no, one or two removed files: no call shows the job, and the next start removes the rest of it."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id, other = done_job(journal, store), done_job(journal, store)
        with started(delete_and_hang, tmp_path, job_id, files) as deleting:
            assert deleting.receive() == "hangs"
            deleting.kill()
        assert len(list(store.keys(f"jobs/{job_id}"))) == len(NAMES) - files
        assert [job.job_id for job in journal.jobs("local", JobFilter()).jobs] == [other]
        with pytest.raises(NotFound):
            journal.job("local", job_id)
        with JobDeletions(journal, OwningService.RENDER, store):
            wait_until_gone(journal, job_id)
        assert list(store.keys("jobs")) == [f"jobs/{other}/{name}" for name in NAMES]


def test_a_deletion_that_the_store_refuses_is_finished_when_it_answers(tmp_path: Path) -> None:
    """The call says that the store is down; without another call the deletion ends once the store is back."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id = done_job(journal, store)
        with JobDeletions(journal, OwningService.RENDER, store, retry_s=0.02) as deletions:
            away = shutil.move(tmp_path / "store", tmp_path / "away")
            with pytest.raises(Unavailable):
                deletions.delete("local", job_id)
            shutil.move(away, tmp_path / "store")
            wait_until_gone(journal, job_id)
        assert list(store.keys("jobs")) == []


class _StoreThatRefuses(FolderStore):
    """Removes no file of one job while ``refused`` is set."""

    refused: str | None = None

    def delete(self, key: str) -> None:
        if self.refused is not None and self.refused in key:
            raise Unavailable("the disk of this file is away.", reason="STORE_UNAVAILABLE")
        super().delete(key)


def test_a_deletion_that_keeps_failing_holds_up_no_other(tmp_path: Path) -> None:
    """The job whose files cannot be removed is tried again; those after it are deleted meanwhile."""
    store = _StoreThatRefuses(tmp_path / "store", store_in(tmp_path).signer)
    with open_journal(tmp_path) as journal:
        first, second = sorted(done_job(journal, store) for _ in range(2))
        store.refused = first
        for job_id in (first, second):
            journal.start_delete("local", job_id, OwningService.RENDER)
        with JobDeletions(journal, OwningService.RENDER, store, retry_s=0.02):
            wait_until_gone(journal, second)
            assert list(store.keys("jobs")) == [f"jobs/{first}/{name}" for name in NAMES]
            store.refused = None
            wait_until_gone(journal, first)
        assert list(store.keys("jobs")) == []
