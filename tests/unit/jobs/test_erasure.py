"""EraseJob: nothing of a job's texts is left in the journal's files and the store, and the report says what remains."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from jobs_service.deletion import JobDeletions
from jobs_service.erasure import JobErasures
from servicekit.errors import FailedPrecondition, NotFound, Unavailable
from servicekit.journal import Journal, OwningService, WebhookLimits
from servicekit.store.folder_store import FolderStore
from tests.support.journal_rows import new_job, open_journal
from tests.support.personal_data import FILES, Texts, ended_job, erased, found_in, remaining, store_in
from tests.support.webhooks import URL, new_webhook
from tests.support.work_runs import MANY

RENDER = OwningService.RENDER
TEXTS = Texts("local")


def erasures(journal: Journal, store: FolderStore) -> JobErasures:
    """Those of render_service."""
    return JobErasures(journal, RENDER, JobDeletions(journal, RENDER, store))


def test_no_text_of_an_erased_job_is_left_and_the_report_is_true(tmp_path: Path) -> None:
    """Database, its log and store are searched byte by byte; another tenant's job with the same kinds of text is untouched."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id, other = ended_job(journal, store, "local"), ended_job(journal, store, "studio")
        assert found_in(tmp_path, TEXTS) == set(TEXTS.all)
        before = journal.job("studio", other)
        report = erasures(journal, store).erase("local", job_id)
        assert found_in(tmp_path, TEXTS) == set()
        assert erased(report) == {
            "AUDIT_TEXTS": 1,
            "EVENTS": 4,
            "JOBS": 1,
            "JOB_FILES": len(FILES),
            "LABELS": 1,
            "REQUEST_IDS": 1,
        }
        assert remaining(report) == {"AUDIT_ROWS": 1, "EVENTS": 1, "SERVICE_LOG": None, "BACKUPS": None}
        assert all(item.reason for item in report.remaining)
        assert not report.purge_pending
        assert journal.verify_chain("local").intact
        assert len(journal.audit_rows("local").rows) == 1
        with pytest.raises(NotFound):
            journal.job("local", job_id)
        assert journal.job("studio", other) == before
        assert found_in(tmp_path, Texts("studio")) == set(Texts("studio").all)


def test_an_erasure_can_be_repeated_and_reaches_a_job_that_was_deleted_before(tmp_path: Path) -> None:
    """The texts beside the audit rows of a deleted job are still there; the second time nothing is."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id = ended_job(journal, store, "local")
        JobDeletions(journal, RENDER, store).delete("local", job_id)
        assert TEXTS.licensee in found_in(tmp_path, TEXTS)
        assert erased(erasures(journal, store).erase("local", job_id)) == {"AUDIT_TEXTS": 1}
        assert found_in(tmp_path, TEXTS) == set()
        assert erased(erasures(journal, store).erase("local", job_id)) == {}


def test_a_job_that_has_not_ended_and_one_that_is_not_there_are_refused(tmp_path: Path) -> None:
    """So is another tenant's, and one of the other service; nothing of them is erased."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        uploaded = ended_job(journal, store, "local", owner=OwningService.SEPARATION)
        waiting = journal.accept(new_job(), limit=MANY).job.job_id
        with pytest.raises(FailedPrecondition, match="cancel it and wait until it ends"):
            erasures(journal, store).erase("local", waiting)
        for tenant, job_id in (
            ("local", uploaded),
            ("studio", uploaded),
            ("local", "j-00000000000000000000000000"),
            ("local", "x"),
        ):
            with pytest.raises(NotFound):
                erasures(journal, store).erase(tenant, job_id)
        assert found_in(tmp_path, TEXTS) == set(TEXTS.all)


def test_the_texts_are_erased_at_once_though_the_store_refuses_and_the_files_when_it_answers(tmp_path: Path) -> None:
    """The call says that the store is down; the service finishes the erasure without another call."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        job_id = ended_job(journal, store, "local")
        away = shutil.move(tmp_path / "store", tmp_path / "away")
        with pytest.raises(Unavailable):
            erasures(journal, store).erase("local", job_id)
        shutil.move(away, tmp_path / "store")
        assert journal.purge_erased()
        assert found_in(tmp_path, TEXTS) == {TEXTS.prompt}  # in the files
        JobDeletions(journal, RENDER, store).repeat()  # as the next start's thread does
        assert found_in(tmp_path, TEXTS) == set()


def test_while_a_reader_uses_the_databases_log_the_report_says_so(tmp_path: Path) -> None:
    """A repeated call after its end says that nothing is left there."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal, closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as reader:
        job_id = ended_job(journal, store, "local")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM jobs").fetchone()
        report = erasures(journal, store).erase("local", job_id)
        assert (report.purge_pending, "DATABASE_LOG" in remaining(report)) == (True, True)
        reader.execute("COMMIT")
        report = erasures(journal, store).erase("local", job_id)
        assert (report.purge_pending, "DATABASE_LOG" in remaining(report)) == (False, False)
        assert found_in(tmp_path, TEXTS) == set()


def test_webhooks_and_deliveries_of_an_erased_job_are_erased(tmp_path: Path) -> None:
    """A webhook for the job with its URL and secret, and the deliveries about the job of one for all jobs."""
    store = store_in(tmp_path)
    limits = WebhookLimits(per_tenant=9, per_job=9)
    url = f"{URL}/path-that-is-a-password"
    with open_journal(tmp_path) as journal:
        of_all = journal.create_webhook(new_webhook(), limits).webhook
        position = journal.webhook_position(RENDER)
        job_id, other = ended_job(journal, store, "local"), ended_job(journal, store, "local", number=2)
        journal.enqueue_deliveries(RENDER, position, position)
        journal.create_webhook(new_webhook(job_id=job_id, url=url), limits)
        assert found_in(tmp_path, TEXTS, url) >= {url}
        report = erasures(journal, store).erase("local", job_id)
        assert (erased(report)["WEBHOOKS"], erased(report)["WEBHOOK_DELIVERIES"]) == (1, 2)
        assert url not in found_in(tmp_path, TEXTS, url)
        assert [hook.webhook_id for hook in journal.webhooks("local", page_size=9).webhooks] == [of_all.webhook_id]
        page = journal.webhook_deliveries("local", of_all.webhook_id, page_size=9)
        assert [delivery.job_id for delivery in page.deliveries] == [other]
