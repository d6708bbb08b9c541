"""The sweep of the store: files that nothing names are removed once they are old, and no others."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from jobs_service import StoreMarker, StoreSweep, UnnamedJobFiles
from servicekit.clock import SystemClock
from servicekit.ids import job_time, new_job_id
from servicekit.journal import AuditDraft, Checkpoint, Journal, OwningService
from servicekit.store.folder_store import FolderStore
from servicekit.store.object_store import ObjectStore
from servicekit.store.s3_store import S3Store
from servicekit.store.url_signer import UrlSigner
from servicekit.work import StagedFiles
from tests.support.databases import POSTGRESQL, SQLITE, empty_database, postgresql_server
from tests.support.journal_processes import started
from tests.support.journal_rows import claimed, new_job, open_journal, url_of
from tests.support.s3_servers import moto_server
from tests.support.work_runs import MANY

DAY_S = 24 * 3600.0
RENDER = OwningService.RENDER


def folder_store(folder: Path) -> FolderStore:
    """A folder store."""
    signer = UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    return FolderStore(folder / "store", signer)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def parts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Journal, ObjectStore]]:
    """A journal in SQLite with a folder, and one in PostgreSQL with a bucket."""
    clock = SystemClock()
    if request.param == SQLITE:
        with Journal.open(url_of(tmp_path), clock=clock) as journal:
            yield journal, folder_store(tmp_path)
        return
    with (
        postgresql_server(tmp_path / "pg") as server,
        moto_server() as s3,
        Journal.open(empty_database(server), clock=clock) as journal,
    ):
        yield journal, S3Store(s3.settings(s3.make_bucket(), "studio"), now=clock.now)


def put(store: ObjectStore, *keys: str) -> list[str]:
    """Store something under each key."""
    for key in keys:
        store.put_bytes(key, b"sound", content_type="application/octet-stream")
    return list(keys)


def file_at(key: str) -> dict[str, str]:
    """How a row names a file."""
    return {"key": key, "sizeBytes": "5", "sha256": "0" * 64}


def sweep(journal: Journal, store: ObjectStore, *, days_later: float = 2.0, age_s: float | None = DAY_S) -> None:
    """One whole pass, as if it took place later."""
    thread = StoreSweep(
        store,
        {UnnamedJobFiles.folder: UnnamedJobFiles(journal, StoreMarker(journal, store))},
        older_than_s=age_s,
        now=lambda: journal.clock.now() + timedelta(days=days_later),
    )
    thread.repeat()
    while thread.repeat():
        pass


def attempt_folder(job_id: str, number: int = 1) -> str:
    """An attempt's folder."""
    return f"jobs/{job_id}/v{number}-a1-0123456789abcdef"


def test_only_old_files_that_no_row_names_are_removed(parts: tuple[Journal, ObjectStore]) -> None:
    """Of an ended job and of one without a row; not what rows and plans name, work may use, a deletion removes or callers own."""
    journal, store = parts
    sweep(journal, store)
    put(store, f"jobs/{new_job_id(datetime(2020, 1, 1, tzinfo=UTC))}/v1.zip")
    sweep(journal, store)  # the store is marked as this journal's from now on

    ended = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    journal.checkpoint(claim, Checkpoint(files={"zip": file_at(f"jobs/{ended}/v1.zip")}))
    journal.finish(claim)
    failed = new_job_id(journal.clock.now())
    upload = replace(new_job(job_id=failed), plan={"bounce": file_at(f"jobs/{failed}/bounce.wav")})
    journal.accept(upload, limit=MANY)
    journal.fail(claimed(journal), {"code": 13})
    deleting = journal.accept(new_job(), limit=MANY).job.job_id
    journal.finish(claimed(journal))
    journal.start_delete("local", deleting, RENDER)
    running = journal.accept(new_job(), limit=MANY).job.job_id
    claimed(journal)
    queued = journal.accept(new_job(), limit=MANY).job.job_id
    gone = new_job_id(journal.clock.now() + timedelta(milliseconds=5))
    unnamed = put(
        store,
        f"{attempt_folder(ended)}/v1.zip",
        f"jobs/{ended}/v2.zip",
        f"jobs/{failed}/v1.zip",
        f"jobs/{gone}/bounce.wav",
        f"{attempt_folder(gone)}/v1.zip",
    )
    put(
        store,
        f"jobs/{ended}/v1.zip",
        f"jobs/{failed}/bounce.wav",
        f"{attempt_folder(running)}/v1.zip",
        f"{attempt_folder(queued)}/v1.zip",
        f"jobs/{deleting}/v1.zip",
        "jobs/of-somebody-else/v1.zip",
        "uploads/mine.wav",
    )
    before = set(store.keys())
    sweep(journal, store, days_later=0.0)
    sweep(journal, store, age_s=None)
    assert set(store.keys()) == before
    sweep(journal, store)
    assert before - set(store.keys()) == set(unnamed)


def test_another_journal_empties_no_store(tmp_path: Path) -> None:
    """A service that is started with an empty journal, or with that of another installation, removes no job's files."""
    store = folder_store(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with open_journal(tmp_path / "a") as first, open_journal(tmp_path / "b") as second:
        job_id = first.accept(new_job(), limit=MANY).job.job_id
        put(store, f"jobs/{job_id}/v1.zip")
        sweep(second, store)
        sweep(second, store)
        assert store.stat(f"jobs/{job_id}/v1.zip") is not None
        late = new_job_id(SystemClock().now() + timedelta(seconds=5))
        put(store, f"jobs/{late}/v1.zip")
        sweep(first, store)
        assert store.stat(f"jobs/{late}/v1.zip") is not None


def test_a_journal_from_an_earlier_backup_loses_no_file(tmp_path: Path) -> None:
    """Rows that were written after the backup are missing: neither their jobs' files nor those of their versions are removed."""
    store = folder_store(tmp_path)
    copy = tmp_path / "copy.sqlite3"
    with open_journal(tmp_path) as journal:
        sweep(journal, store)
        before = finished(journal)
        with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as live, closing(sqlite3.connect(copy)) as backup:
            live.backup(backup)
        after = finished(journal)
        put(store, f"jobs/{before}/v2.zip", f"jobs/{after}/v1.zip")
        sweep(journal, store, days_later=0.0)
    with Journal.open(f"sqlite:///{copy}", clock=SystemClock()) as restored:
        sweep(restored, store)
        finished(restored)
        sweep(restored, store)
        assert {f"jobs/{before}/v2.zip", f"jobs/{after}/v1.zip"} <= set(store.keys())
        (unnamed,) = put(store, f"jobs/{new_job_id(SystemClock().now() + timedelta(seconds=5))}/v1.zip")
        sweep(restored, store)
        assert store.stat(unnamed) is None


def test_a_backup_of_the_last_minutes_loses_no_file(tmp_path: Path) -> None:
    """The marker follows the journal within seconds. Between two passes of the sweep jobs were done, and then all was restored."""
    store = folder_store(tmp_path)
    copy = tmp_path / "copy.sqlite3"
    with open_journal(tmp_path) as journal:
        marker = StoreMarker(journal, store, pause_s=0.01)
        with marker:
            sweep(journal, store)
            finished(journal)
            with (
                closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as live,
                closing(sqlite3.connect(copy)) as backup,
            ):
                live.backup(backup)
            (stored,) = put(store, f"jobs/{finished(journal)}/v1.zip")
            (head,) = journal.chain_heads().values()
            while head.digest not in store.read("journal.json", max_bytes=1 << 20).decode():
                time.sleep(0.01)
    with Journal.open(f"sqlite:///{copy}", clock=SystemClock()) as restored:
        sweep(restored, store)
        sweep(restored, store)
    assert store.stat(stored) is not None


def finished(journal: Journal) -> str:
    """A job that is done and has an audit row."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(journal)
    journal.checkpoint(claim, Checkpoint(audit=AuditDraft(kind="BOUNCE", body={"take": job_id}, prompt=None)))
    journal.finish(claim)
    return job_id


def store_and_hang(output: Connection, folder: Path) -> None:
    """Claim a job, have it deleted by its owner meanwhile, and go on storing as a worker that was suspended would."""
    with open_journal(folder) as journal, open_journal(folder) as owner:
        job_id = owner.accept(new_job(), limit=MANY).job.job_id
        claim = claimed(journal)
        journal.finish(claim)
        owner.start_delete("local", job_id, RENDER)
        owner.finish_delete("local", job_id)
        StagedFiles(folder_store(folder), job_id, 1, 1).put_bytes("zip", b"sound", content_type="application/zip")
        output.send(job_id)
        time.sleep(600)


def test_what_a_killed_worker_stored_for_a_deleted_job_is_removed(tmp_path: Path) -> None:
    """Nobody looks at such a file again: the job has no row, and its worker is gone."""
    store = folder_store(tmp_path)
    with open_journal(tmp_path) as journal:
        put(store, f"jobs/{new_job_id(journal.clock.now())}/v1.zip")
        sweep(journal, store)
        with started(store_and_hang, tmp_path) as worker:
            job_id = worker.receive()
            worker.kill()
        assert store.stat(f"jobs/{job_id}/v1.zip") is not None
        sweep(journal, store, days_later=0.5)
        assert store.stat(f"jobs/{job_id}/v1.zip") is not None
        sweep(journal, store)
        assert store.stat(f"jobs/{job_id}/v1.zip") is None


def lose_claim_and_store(output: Connection, folder: Path) -> None:
    """Claim a job, and store its ZIP after another host has taken the claim and done the work, as a separation_service may."""
    with open_journal(folder) as journal, open_journal(folder) as other:
        job_id = other.accept(new_job(), limit=MANY).job.job_id
        lost = claimed(journal)
        other.release(lost)
        claim = claimed(other)
        zipped = StagedFiles(folder_store(folder), job_id, 1, claim.attempt).put_bytes(
            "zip", b"sound", content_type="application/zip"
        )
        other.checkpoint(claim, Checkpoint(files={"zip": file_at(zipped.key)}))
        other.finish(claim)
        late = StagedFiles(folder_store(folder), job_id, 1, lost.attempt).put_bytes(
            "zip", b"noise", content_type="application/zip"
        )
        output.send((zipped.key, late.key))
        time.sleep(600)


def test_what_a_host_stored_for_a_claim_that_it_had_lost_is_removed(tmp_path: Path) -> None:
    """The host dies for good right after that: nobody else knows of the file. The winner's file stays."""
    store = folder_store(tmp_path)
    with open_journal(tmp_path) as journal:
        sweep(journal, store)
        with started(lose_claim_and_store, tmp_path) as host:
            named, late = host.receive()
            host.kill()
        sweep(journal, store, days_later=0.5)
        assert store.stat(late) is not None
        sweep(journal, store)
        assert store.stat(late) is None
        assert store.stat(named) is not None


def test_job_ids_have_their_time() -> None:
    """To the millisecond."""
    now = datetime(2026, 11, 28, 17, 30, 12, 345000, tzinfo=UTC)
    assert job_time(new_job_id(now)) == now
    assert job_time("j-" + "z" * 26).year == 9999, "a folder of that name in the store must not stop the sweep"
