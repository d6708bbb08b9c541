"""The files of a deleted version are removed whatever cuts the deletion short, and no others."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from jobs_service import JobDeletions, StoreMarker, StoreSweep, UnnamedJobFiles
from servicekit.clock import SystemClock
from servicekit.delivery.keys import VersionKeys
from servicekit.errors import Unavailable
from servicekit.journal import Checkpoint, Journal, OwningService
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.hanging_store import StoreThatHangs
from tests.support.journal_processes import started
from tests.support.journal_rows import claimed, new_job, new_version, open_journal
from tests.support.work_runs import MANY

RENDER = OwningService.RENDER


def store_in(folder: Path) -> FolderStore:
    """A folder store."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    return FolderStore(folder / "store", signer)


def finish_next(journal: Journal, store: FolderStore) -> list[str]:
    """Run the next version to its end; returns the keys of its files."""
    claim = claimed(journal)
    keys = VersionKeys(claim.version.job_id, claim.version.number)
    files = {}
    for kind, key in (("bounce", keys.bounce), ("manifest", keys.manifest), ("zip", keys.zip)):
        store.put_bytes(key, b"sound", content_type="application/octet-stream")
        files[kind] = {"key": key, "sizeBytes": "5", "sha256": "0" * 64}
    journal.checkpoint(claim, Checkpoint(files=files))
    journal.finish(claim)
    return sorted(store_key["key"] for store_key in files.values())


def job_with_versions(journal: Journal, store: FolderStore) -> tuple[str, dict[int, list[str]]]:
    """A job with three versions, the third made from the second; and the keys of each."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    keys = {1: finish_next(journal, store)}
    for number in (2, 3):
        plan = {"base": {"zip": {"key": VersionKeys(job_id, number - 1).zip}}}
        new = replace(new_version(job_id), base_version=number - 1, plan=plan)
        journal.accept_version(new, limit=MANY)
        keys[number] = finish_next(journal, store)
    return job_id, keys


def delete_and_hang(output: Connection, folder: Path, job_id: str, files: int) -> None:
    """Start the deletion of version 2, which hangs after it has removed that many files."""
    store = StoreThatHangs(folder / "store", store_in(folder).signer)
    store.output, store.left = output, files
    with open_journal(folder) as journal:
        JobDeletions(journal, RENDER, store).delete_version("local", job_id, 2)


def wait_until_finished(journal: Journal) -> None:
    """Wait until no version is being deleted."""
    give_up_s = time.monotonic() + 30.0
    while journal.unfinished_version_deletions(RENDER):
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


@pytest.mark.parametrize("files", [0, 1, 2])
@pytest.mark.parametrize("finisher", ["call", "start"])
def test_a_killed_deletion_is_finished(tmp_path: Path, files: int, finisher: str) -> None:
    """By the same call again, or by the next start. The files of the versions before and after it stay."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id, keys = job_with_versions(journal, store)
        with started(delete_and_hang, tmp_path, job_id, files) as deleting:
            assert deleting.receive() == "hangs"
            deleting.kill()
        version = journal.job("local", job_id).versions[1]
        assert (version.delete_time is not None, "zip" in version.files) == (True, False)
        assert len(list(store.keys(f"jobs/{job_id}"))) == 9 - files
        if finisher == "call":
            JobDeletions(journal, RENDER, store).delete_version("local", job_id, 2)
        else:
            with JobDeletions(journal, RENDER, store):
                wait_until_finished(journal)
        assert sorted(store.keys("jobs")) == sorted([*keys[1], *keys[3]])
        again = journal.job("local", job_id).versions[1]
        assert (again.files, again.delete_time) == ({}, version.delete_time)


def test_a_deletion_that_the_store_refuses_is_finished_when_it_answers(tmp_path: Path) -> None:
    """The call says that the store is down; without another call the deletion ends once the store is back."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id, keys = job_with_versions(journal, store)
        with JobDeletions(journal, RENDER, store, retry_s=0.02) as deletions:
            away = shutil.move(tmp_path / "store", tmp_path / "away")
            with pytest.raises(Unavailable):
                deletions.delete_version("local", job_id, 2)
            shutil.move(away, tmp_path / "store")
            wait_until_finished(journal)
        assert sorted(store.keys("jobs")) == sorted([*keys[1], *keys[3]])


def test_files_that_attempts_left_are_removed_too(tmp_path: Path) -> None:
    """Also of a version that failed. Those of other versions, whose numbers start with the same digit, stay."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id, keys = job_with_versions(journal, store)
        journal.accept_version(new_version(job_id), limit=MANY)
        journal.fail(claimed(journal), {"code": 13})
        left = [VersionKeys.of_attempt(job_id, number, 1).bounce for number in (2, 20, 4)]
        for key in left:
            store.put_bytes(key, b"sound", content_type="application/octet-stream")
        for number in (2, 4):
            JobDeletions(journal, RENDER, store).delete_version("local", job_id, number)
        assert sorted(store.keys("jobs")) == sorted([*keys[1], *keys[3], left[1]])


def test_the_sweep_and_the_deletion_of_the_job_go_on(tmp_path: Path) -> None:
    """The sweep removes nothing that a version still names, and nothing is left of the job after its own deletion."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id, keys = job_with_versions(journal, store)
        deletions = JobDeletions(journal, RENDER, store)
        deletions.delete_version("local", job_id, 2)
        unnamed = UnnamedJobFiles(journal, StoreMarker(journal, store))
        sweep = StoreSweep(store, {UnnamedJobFiles.folder: unnamed}, older_than_s=0.0, now=journal.clock.now)
        sweep.repeat()
        while sweep.repeat():
            pass
        assert sorted(store.keys("jobs")) == sorted([*keys[1], *keys[3]])
        deletions.delete("local", job_id)
        assert list(store.keys("jobs")) == []
