"""Backup and restore as docs/tasks/backup.md describes them, by doing: while jobs are written, on both databases."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.journal import AuditDraft, Checkpoint, JobFilter, JobState, Journal, OwningService
from servicekit.journal.rows import ChainHead
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.databases import empty_database
from tests.support.journal_rows import claimed, new_job

MANY = 1000
BACK_UP_SQLITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"


def store_in(folder: Path) -> FolderStore:
    """A folder store."""
    return FolderStore(folder, UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now))


def back_up(url: str, copy: Path) -> None:
    """The commands of docs/tasks/backup.md."""
    if url.startswith("sqlite"):
        subprocess.run([sys.executable, "-c", BACK_UP_SQLITE, url.removeprefix("sqlite:///"), copy], check=True)
    else:
        copy.write_bytes(subprocess.run([program("pg_dump"), url], check=True, capture_output=True).stdout)


def restore(copy: Path, server: str | None) -> str:
    """The URL of the restored journal."""
    if server is None:
        return f"sqlite:///{copy}"
    url = empty_database(server, "restored")
    subprocess.run([program("psql"), "-q", "-v", "ON_ERROR_STOP=1", "-f", copy, url], check=True, capture_output=True)
    return url


def program(name: str) -> str:
    """A program of the PostgreSQL server of the tests."""
    import pgserver

    return str(Path(pgserver.__file__).parent / "pginstall" / "bin" / name)


def test_a_backup_taken_while_jobs_are_written_is_restored_whole(
    any_database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Every row of the copy finds its files, the chain verifies up to an exported head, and work goes on."""
    store, copied, stop = store_in(tmp_path / "store"), threading.Event(), threading.Event()

    def write(journal: Journal) -> None:
        while not stop.is_set():
            job_id = journal.accept(new_job(), limit=MANY).job.job_id
            claim = claimed(journal)
            key = f"jobs/{job_id}/bounce.wav"
            store.put_bytes(key, b"RIFF", content_type="audio/wav")
            files = {"bounce": {"key": key}}
            journal.checkpoint(claim, Checkpoint(files=files, audit=AuditDraft(kind="BOUNCE", body={}, prompt=None)))
            journal.finish(claim)
            copied.set()

    server = None
    if not any_database.startswith("sqlite"):
        server = request.getfixturevalue("postgresql")
    with Journal.open(any_database, clock=SystemClock()) as journal:
        writer = threading.Thread(target=write, args=(journal,))
        writer.start()
        assert copied.wait(30)
        head = journal.verify_chain("local").head
        back_up(any_database, tmp_path / "copy")
        shutil.copytree(tmp_path / "store", tmp_path / "store-copy")
        stop.set()
        writer.join()
    restored_store = store_in(tmp_path / "store-copy")
    with Journal.open(restore(tmp_path / "copy", server), clock=SystemClock()) as journal:
        assert journal.verify_chain("local", ChainHead(head.sequence, head.digest)).intact
        jobs = journal.jobs("local", JobFilter(), page_size=200).jobs
        assert jobs
        for job in jobs:
            for file in job.versions[0].files.values():
                assert restored_store.stat(file["key"]) is not None
        journal.accept(new_job(), limit=MANY)
        while journal.count_queued(OwningService.RENDER):
            assert journal.finish(claimed(journal)) is JobState.DONE
