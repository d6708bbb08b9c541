"""The upkeep thread: retention is applied to a service's own jobs, in batches, and audit rows stay."""

from __future__ import annotations

import threading
from pathlib import Path

from jobs_service import JobDeletions, Retention, Upkeep
from servicekit.clock import SystemClock
from servicekit.journal import Event, EventKind, JobFilter, OwningService
from servicekit.store.folder_store import FolderStore
from servicekit.store.url_signer import UrlSigner
from tests.support.journal_rows import audited, claimed, new_job, open_journal

MANY = 1000
RENDER, SEPARATION = OwningService.RENDER, OwningService.SEPARATION


def test_retention_deletes_old_jobs_with_their_files(tmp_path: Path) -> None:
    """All ended jobs of the owner, more than one batch of them; a queued one and the other service's stay."""
    store = FolderStore(
        tmp_path / "store", UrlSigner(base_url="http://127.0.0.1:1", secret=b"s" * 32, now=SystemClock().now)
    )
    deleted: list[str] = []
    all_deleted = threading.Event()

    def listen(events: tuple[Event, ...]) -> None:
        deleted.extend(event.job_id for event in events if event.kind is EventKind.DELETED)
        if len(deleted) == 12:
            all_deleted.set()

    with open_journal(tmp_path) as journal:
        for owner, number in ((RENDER, 12), (SEPARATION, 1)):
            for _ in range(number):
                job_id = journal.accept(new_job(owner=owner), limit=MANY).job.job_id
                store.put_bytes(f"jobs/{job_id}/v1.zip", b"zip", content_type="application/zip")
                claim = claimed(journal, owner)
                audited(journal, claim, "BOUNCE", {})
                journal.finish(claim)
        queued = journal.accept(new_job(), limit=MANY).job.job_id
        deletions = JobDeletions(journal, RENDER, store)
        retention = Retention(events_s=0.0, jobs_s=0.0)
        with journal.subscribe(listen), Upkeep(journal, RENDER, deletions, retention, pause_s=0.1):
            assert all_deleted.wait(30)
        left = journal.jobs("local", JobFilter()).jobs
        assert [job.owner for job in left if job.job_id != queued] == [SEPARATION]
        assert len(left) == 2
        assert len(list(store.keys())) == 1
        assert len(journal.audit_rows("local").rows) == 13
