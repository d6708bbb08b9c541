"""The same journal on a real PostgreSQL server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from servicekit.clock import SystemClock
from servicekit.errors import AlreadyExists, NotFound, Unavailable
from servicekit.journal import (
    AuditDraft,
    Checkpoint,
    EventDraft,
    EventKind,
    JobFilter,
    JobState,
    Journal,
    OwningService,
    ProgressTrack,
)
from servicekit.work import Runner
from tests.support.databases import execute, raw_engine
from tests.support.journal_rows import BOUNCE, PROMPT, WEIGHTS, audited, claimed, new_job, new_version, request
from tests.support.personal_data import Texts, ended_job, store_in

MANY = 1000


@pytest.fixture
def url(postgresql_database: str) -> str:
    """An empty database."""
    return postgresql_database


@pytest.fixture
def journal(url: str) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(url, clock=SystemClock()) as opened:
        yield opened


def test_the_life_of_a_job(journal: Journal) -> None:
    """A job is accepted once, listed, run, re-rendered, audited, erased and deleted as with SQLite."""
    job_id = journal.accept(new_job(request("r1"), labels={"a": "ü"}), limit=MANY).job.job_id
    assert not journal.accept(new_job(request("r1")), limit=MANY).created
    with pytest.raises(AlreadyExists):
        journal.accept(new_job(request("r1", digest="d2")), limit=MANY)
    claim = journal.claim(OwningService.RENDER, lease_s=10)
    assert claim is not None
    event = EventDraft(kind=EventKind.BOUNCE_READY, track=ProgressTrack.RENDER, fraction=1.0)
    journal.checkpoint(
        claim, Checkpoint(files=BOUNCE, audit=AuditDraft(kind="bounce", body={"x": 0.1}, prompt=PROMPT), events=[event])
    )
    assert journal.finish(claim) is JobState.DONE
    assert journal.add_stems("local", job_id, 1, None, limit=MANY).state is JobState.QUEUED
    assert journal.accept_version(new_version(job_id), limit=MANY).version == 2
    for number in (2, 1):
        assert journal.cancel("local", job_id).versions[number - 1].state is JobState.CANCELLED
    (listed,) = journal.jobs("local", JobFilter(labels={"a": "ü"}, states=frozenset({JobState.CANCELLED}))).jobs
    assert listed.versions[0].progress[0].fraction == 1.0
    erased = journal.erase_prompt("local", job_id)
    assert (erased.audit_rows, erased.purge_pending) == (1, True)
    for call in (journal.job, journal.job_status, journal.cancel, journal.erase_prompt):
        with pytest.raises(NotFound) as refused:
            call("local", "a zero byte\0")
        assert refused.value.reason == "JOB_NOT_FOUND"
    for limited in (journal.add_stems, journal.retry_version):
        with pytest.raises(NotFound):
            limited("local", "a zero byte\0", 1, *([None] if limited == journal.add_stems else []), limit=MANY)
    with pytest.raises(NotFound):
        journal.start_delete("local", "a zero byte\0", OwningService.RENDER)
    with pytest.raises(NotFound):
        journal.accept_version(new_version("a zero byte\0"), limit=MANY)
    assert journal.audit_rows("local", "a zero byte\0").rows == ()
    journal.start_delete("local", job_id, OwningService.RENDER)
    journal.finish_delete("local", job_id)
    assert [event.kind for event in journal.events_after(job_id, 0, MANY).events] == ["DELETED"]
    assert journal.verify_chain("local").intact


def test_racing_hosts(url: str) -> None:
    """Eight writers on two journals: one job per request id, one worker per version, no gaps and a complete feed."""
    with ExitStack() as stack:
        hosts = [stack.enter_context(Journal.open(url, clock=SystemClock())) for _ in range(2)]
        done = threading.Event()
        read: list[int] = []

        def follow() -> None:
            position = 0
            while True:
                last_round = done.is_set()
                page = hosts[0].feed_after(OwningService.RENDER, "local", position, 5)
                read.extend(event.position for event in page.events)
                position = page.as_of_position
                if last_round and not page.events:
                    return

        def work(number: int) -> list[str]:
            host, worked = hosts[number % 2], []
            host.accept(new_job(request(f"r{number % 4}")), limit=MANY)
            while claim := host.claim(OwningService.RENDER, lease_s=60):
                host.append_events(claim, [EventDraft(kind=EventKind.PROGRESS)] * 2)
                host.finish(claim)
                worked.append(claim.version.job_id)
            return worked

        follower = threading.Thread(target=follow)
        follower.start()
        with ThreadPoolExecutor(8) as pool:
            worked = [job_id for found in pool.map(work, range(8)) for job_id in found]
        done.set()
        follower.join()
        jobs = [job.job_id for job in hosts[0].jobs("local", JobFilter()).jobs]
        assert sorted(worked) == sorted(jobs)
        assert len(jobs) == 4
        for job_id in jobs:
            assert [event.sequence for event in hosts[0].events_after(job_id, 0, MANY).events] == [1, 2, 3, 4, 5]
        assert read == [event.position for event in hosts[0].feed_after(OwningService.RENDER, None, 0, MANY).events]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_rows SET body_json = '{}'",
        "UPDATE audit_rows SET prompt = 'x'",
        "UPDATE audit_rows SET salt = 'abcd'",
        "DELETE FROM audit_rows",
        "TRUNCATE audit_rows",
    ],
)
def test_the_database_itself_refuses_changes_of_the_audit_rows(journal: Journal, url: str, statement: str) -> None:
    """Triggers refuse direct changes; without the triggers the chain shows them."""
    journal.accept(new_job(), limit=MANY)
    audited(journal, claimed(journal), "bounce", {}, prompt=PROMPT)
    engine = raw_engine(url)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.execute(text(statement))
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE audit_rows DISABLE TRIGGER USER"))
        connection.execute(text(statement))
    engine.dispose()
    found = journal.verify_chain("local")
    assert not found.intact or found.head.sequence == 0


def test_a_runner_runs_versions(journal: Journal) -> None:
    """A version is done, and an expired one fails although the only worker is busy."""
    entered, go_on, failed = threading.Event(), threading.Event(), threading.Event()
    due = SystemClock().now() + timedelta(seconds=0.2)

    def listen(events: object) -> None:
        if any(event.state is JobState.FAILED for event in events):  # type: ignore[attr-defined]
            failed.set()

    first = journal.accept(new_job(), limit=MANY).job.job_id
    with journal.subscribe(listen):
        work: Callable[[object], None] = lambda _: (entered.set(), go_on.wait(30))[0]  # noqa: E731
        with Runner(journal, owner=OwningService.RENDER, work=work, weights=WEIGHTS, clock=SystemClock()) as runner:
            assert entered.wait(30)
            second = journal.accept(new_job(expire_time=due), limit=MANY).job.job_id
            assert failed.wait(30)
            go_on.set()
            assert runner.drain(30)
    assert journal.job("local", first).state is JobState.DONE
    assert journal.job("local", second).state is JobState.FAILED


def test_an_unreachable_database_is_reported(postgresql: str, url: str) -> None:
    """A call while PostgreSQL cannot be reached raises Unavailable with a retry delay."""
    with Journal.open(url, clock=SystemClock()) as journal:
        execute(postgresql, "DROP DATABASE journal WITH (FORCE)")
        with pytest.raises(Unavailable) as refused:
            journal.accept(new_job(), limit=MANY)
    assert refused.value.reason == "STORE_UNAVAILABLE"
    assert refused.value.retry_after_s is not None


def test_jobs_and_tenants_are_erased(journal: Journal, url: str, tmp_path: Path) -> None:
    """As with SQLite: no row has a text any more, the chains verify, another tenant's job is untouched."""
    store = store_in(tmp_path)
    first, second = (ended_job(journal, store, "studio", number=number) for number in (1, 2))
    other = journal.job("label", ended_job(journal, store, "label"))
    assert texts_in(url, Texts("studio")) == set(Texts("studio").all)
    assert journal.start_erase("studio", first, OwningService.RENDER)["AUDIT_TEXTS"] == 1
    journal.finish_delete("studio", first)
    assert not journal.purge_erased()  # VACUUM does it in its time
    journal.start_tenant_erasure("studio", OwningService.RENDER)
    assert journal.unfinished_tenant_erasures(OwningService.RENDER) == ["studio"]
    (found,) = journal.jobs_to_erase("studio", OwningService.RENDER)
    assert (found.job_id, found.unended) == (second, ())
    journal.start_erase("studio", second, OwningService.RENDER, of_tenant=True)
    journal.finish_delete("studio", second)
    assert journal.erase_leftovers("studio", OwningService.RENDER)
    assert not journal.erase_leftovers("studio", OwningService.RENDER)
    journal.finish_tenant_erasure("studio", OwningService.RENDER)
    assert journal.unfinished_tenant_erasures(OwningService.RENDER) == []
    erasure = journal.tenant_erasure("studio", OwningService.RENDER)
    assert erasure is not None
    assert (erasure.finished, erasure.jobs_left, erasure.counts["JOBS"], erasure.counts["LABELS"]) == (True, 0, 1, 1)
    assert texts_in(url, Texts("studio")) == set()
    assert journal.job("label", other.job_id) == other
    assert all(journal.verify_chain(tenant).intact for tenant in ("studio", "label"))


def texts_in(url: str, texts: Texts) -> set[str]:
    """The texts that any row of any table has."""
    engine, rows = raw_engine(url), []
    with engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            rows += [str(row) for row in connection.execute(text(f"SELECT {table}::text FROM {table}")).scalars()]  # noqa: S608
    engine.dispose()
    return {wanted for wanted in texts.all if any(wanted in row for row in rows)}
