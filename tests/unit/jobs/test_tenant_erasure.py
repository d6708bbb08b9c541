"""EraseTenant: everything that one service holds of a tenant is erased, whatever cuts it short; other tenants keep theirs."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from jobs_service.deletion import JobDeletions
from jobs_service.erasure import JobErasures
from jobs_service.tenant_erasure import TenantErasures
from servicekit.access.api_key import NewApiKey
from servicekit.access.caller import Scope
from servicekit.errors import Unavailable
from servicekit.journal import Counts, DataKind, JobFilter, JobState, Journal, OwningService, WebhookLimits
from servicekit.store.folder_store import FolderStore
from sonichaos.operations.v1 import operations_pb2
from tests.support.hanging_store import StoreThatHangs
from tests.support.journal_processes import started
from tests.support.journal_rows import claimed, open_journal
from tests.support.personal_data import FILES, Texts, ended_job, erased, found_in, remaining, store_in, work_of
from tests.support.webhooks import URL, new_webhook
from tests.support.work_runs import MANY

RENDER, SEPARATION = OwningService.RENDER, OwningService.SEPARATION
TENANT, OTHER = "studio", "label"


def personas_in(store: FolderStore) -> Counts:
    """Removes the only persona of the tenant."""
    return {DataKind.PERSONAS: store.delete_prefix(f"tenants/{TENANT}/personas") // 2}


def erasures(
    journal: Journal, store: FolderStore, owner: OwningService = RENDER, *, pause_s: float = 1.0
) -> TenantErasures:
    """Those of a service."""
    jobs = JobErasures(journal, owner, JobDeletions(journal, owner, store))
    return TenantErasures(journal, owner, jobs, lambda _tenant: personas_in(store), pause_s=pause_s)


def erase(running: TenantErasures) -> operations_pb2.EraseTenantResponse:
    """Erase the tenant in one step."""
    running.begin(TENANT)
    running.step(TENANT)
    return running.response(TENANT)


def api_key(tenant: str) -> NewApiKey:
    """A key of a tenant."""
    return NewApiKey(
        key_id=f"{tenant:a<12}",
        secret_sha256="0" * 64,
        tenant=tenant,
        name=f"key of {tenant}",
        scopes=frozenset({Scope.READ}),
    )


def add_persona(store: FolderStore) -> None:
    """A persona with a clip."""
    for name in ("persona.json", "clip-000"):
        key = f"tenants/{TENANT}/personas/nova/0011/{name}"
        store.put_bytes(key, Texts(TENANT).prefix.encode(), content_type="application/json")


def test_everything_of_the_tenant_is_erased_and_nothing_of_another(tmp_path: Path) -> None:
    """Jobs, also deleted ones, files, personas, names of API keys and use; the chains of both verify. The report is true."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        for number in (1, 2):
            ended_job(journal, store, TENANT, number=number)
        deleted = ended_job(journal, store, TENANT, number=3)
        JobDeletions(journal, RENDER, store).delete(TENANT, deleted)
        other = journal.job(OTHER, ended_job(journal, store, OTHER))
        add_persona(store)
        for tenant in (TENANT, OTHER):
            journal.create_api_key(api_key(tenant))
            job_id = journal.jobs(tenant, JobFilter()).jobs[0].job_id
            for of_job in ("", job_id):
                hook = new_webhook(tenant=tenant, job_id=of_job, url=f"{URL}/{tenant}")
                journal.create_webhook(hook, WebhookLimits(per_tenant=9, per_job=9))
        response = erase(erasures(journal, store))
        assert (response.finished, response.jobs_left) == (True, 0)
        assert erased(response.report) == {
            "API_KEYS": 1,
            "AUDIT_TEXTS": 3,
            "EVENTS": 11,
            "JOBS": 2,
            "JOB_FILES": 2 * len(FILES),
            "LABELS": 2,
            "PERSONAS": 1,
            "REQUEST_IDS": 2,
            "USAGE": 1,
            "WEBHOOKS": 2,
            "WEBHOOK_DELIVERIES": 1,
        }
        assert found_in(tmp_path, Texts(TENANT), f"{URL}/{TENANT}") == set()
        assert len(journal.webhooks(OTHER, page_size=9).webhooks) == 2
        assert remaining(response.report) == {"AUDIT_ROWS": 3, "SERVICE_LOG": None, "BACKUPS": None}
        assert found_in(tmp_path, Texts(TENANT)) == set()
        assert journal.jobs(TENANT, JobFilter()).jobs == ()
        assert list(store.keys(f"tenants/{TENANT}")) == []
        assert _rows(tmp_path, "events", TENANT) == []
        (revoked,), (active,) = (journal.api_keys(tenant) for tenant in (TENANT, OTHER))
        assert (revoked.name, revoked.revoke_time is not None) == ("", True)
        assert (active.name, active.revoke_time) == (f"key of {OTHER}", None)
        assert journal.job(OTHER, other.job_id) == other
        assert found_in(tmp_path, Texts(OTHER)) == set(Texts(OTHER).all)
        assert all(journal.verify_chain(tenant).intact for tenant in (TENANT, OTHER))


def test_each_service_erases_its_own_jobs(tmp_path: Path) -> None:
    """The first names what the other still has; after both nothing is left."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        uploaded = ended_job(journal, store, TENANT, owner=SEPARATION)
        first = erase(erasures(journal, store))
        assert first.finished
        assert remaining(first.report)["JOBS"] == 1
        assert journal.job(TENANT, uploaded).labels == {"album": Texts(TENANT).label}
        second = erase(erasures(journal, store, SEPARATION))
        assert "JOBS" not in remaining(second.report)
        assert found_in(tmp_path, Texts(TENANT)) == set()


def test_waiting_and_running_work_is_cancelled_first(tmp_path: Path) -> None:
    """What runs is erased when its worker has ended it. Work that was accepted after the call stays."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        running = journal.accept(work_of(Texts(TENANT)), limit=MANY).job.job_id
        claim = claimed(journal)
        journal.accept(work_of(Texts(TENANT), number=2), limit=MANY)
        tenants = erasures(journal, store)
        response = erase(tenants)
        assert (response.finished, response.jobs_left) == (False, 1)
        assert journal.job(TENANT, running).state is JobState.CANCELLING
        later = journal.accept(work_of(Texts(TENANT), number=3), limit=MANY).job.job_id
        journal.finish(claim)
        assert tenants.step(TENANT)
        assert [job.job_id for job in journal.jobs(TENANT, JobFilter()).jobs] == [later]
        again = erase(tenants)
        assert (again.finished, erased(again.report)["JOBS"]) == (True, 3)
        assert found_in(tmp_path, Texts(TENANT)) == set()


def erase_and_hang(output: Connection, folder: Path, files: int) -> None:
    """Start an erasure that hangs after it has removed that many files."""
    store = StoreThatHangs(folder / "store", store_in(folder).signer)
    store.output, store.left = output, files
    with open_journal(folder) as journal:
        erase(erasures(journal, store))


@pytest.mark.parametrize("files", [0, 1, 4, 6, 7])
def test_a_killed_erasure_is_finished_by_the_next_start(tmp_path: Path, files: int) -> None:
    """Killed within the first job, between two, and within the personas: the thread of the next start goes on and counts on."""
    store = store_in(tmp_path)
    with open_journal(tmp_path) as journal:
        for number in (1, 2):
            ended_job(journal, store, TENANT, number=number)
        other = ended_job(journal, store, OTHER)
        add_persona(store)
        with started(erase_and_hang, tmp_path, files) as erasing:
            assert erasing.receive() == "hangs"
            erasing.kill()
        assert found_in(tmp_path, Texts(TENANT)) != set()
        with erasures(journal, store, pause_s=0.02) as tenants, JobDeletions(journal, RENDER, store, retry_s=0.02):
            _wait_until_finished(tenants)
        report = tenants.response(TENANT).report
        assert (erased(report)["JOBS"], erased(report)["AUDIT_TEXTS"], erased(report)["LABELS"]) == (2, 2, 2)
        assert found_in(tmp_path, Texts(TENANT)) == set()
        assert [key.split("/")[1] for key in store.keys("jobs")] == [other] * len(FILES)
        assert journal.verify_chain(TENANT).intact


class _StoreThatRefuses(FolderStore):
    """Removes no file while ``refuses`` is set."""

    refuses = True

    def delete(self, key: str) -> None:
        if self.refuses:
            raise Unavailable("the disk of this file is away.", reason="STORE_UNAVAILABLE")
        super().delete(key)


def test_while_the_store_refuses_the_erasure_waits(tmp_path: Path) -> None:
    """The texts in the journal are erased at once, the files when the store answers."""
    store = _StoreThatRefuses(tmp_path / "store", store_in(tmp_path).signer)
    with open_journal(tmp_path) as journal:
        ended_job(journal, store, TENANT)
        with erasures(journal, store, pause_s=0.02) as tenants:
            response = erase(tenants)
            assert (response.finished, response.jobs_left) == (False, 1)
            assert found_in(tmp_path, Texts(TENANT)) == {Texts(TENANT).prompt}  # in the files
            store.refuses = False
            _wait_until_finished(tenants)
        assert found_in(tmp_path, Texts(TENANT)) == set()


def _wait_until_finished(tenants: TenantErasures) -> None:
    give_up_s = time.monotonic() + 30.0
    while not tenants.response(TENANT).finished:
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


def _rows(folder: Path, table: str, tenant: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "journal.sqlite3")) as connection:
        return connection.execute(f"SELECT * FROM {table} WHERE tenant = ?", (tenant,)).fetchall()  # noqa: S608
