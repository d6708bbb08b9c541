"""Journals that earlier releases wrote, and the way back to an earlier release, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from click.testing import CliRunner
from google.protobuf import json_format
from setuptools import find_packages
from sqlalchemy import inspect, select

from servicekit.clock import SystemClock
from servicekit.delivery.names import StemName
from servicekit.errors import FailedPrecondition
from servicekit.journal import JobFilter, JobState, Journal, OwningService, SchemaError, WaitState, WebhookLimits
from servicekit.journal.__main__ import main
from servicekit.journal.migrate import migrate, read_version
from servicekit.journal.schema import SCHEMA_VERSION, jobs, metadata, versions
from sonichaos.jobs.v1 import brief_pb2
from tests.conftest import ROOT
from tests.support.databases import execute, kept_journal, raw_engine
from tests.support.journal_rows import claimed, new_job, observe_silence, request
from tests.support.manual_clock import ManualClock
from tests.support.webhooks import new_webhook

KEPT = 3
"""Schema of the kept journal of release 0.1: the last one before Alembic."""
FIRST_WITH_TENANTS = 8
"""Schema of the kept journal with versions of two tenants."""
NEWEST_KEPT = 11
"""Schema of the newest kept journal. Every later release opens it; a new schema gets a kept journal of its own beside it."""
ALL_KEPT = (KEPT, 7, FIRST_WITH_TENANTS, 9, 10, NEWEST_KEPT)


def contents(url: str) -> tuple[Any, ...]:
    """Everything that callers see."""
    with Journal.open(url, clock=SystemClock()) as journal:
        found = [
            replace(job, versions=tuple(map(still, job.versions)))
            for tenant in ("local", "acme")
            for job in journal.jobs(tenant, JobFilter()).jobs
        ]
        feeds = [journal.feed_after(owner, None, 0, 1000) for owner in OwningService]
        return found, feeds, journal.audit_rows("local").rows, journal.verify_chain("local"), journal.cursor("local", 1)


def still(version: Any) -> Any:
    """A version without the estimate, which depends on the present, and without what old schemas lack."""
    return replace(
        version,
        estimated_end_time=None,
        queue_position=None,
        waits=WaitState(),
        priority=0,
        delete_time=None,
        files={name: file for name, file in version.files.items() if name != "deleting"},
    )


def change_schema(url: str, version: int) -> None:
    """Downgrade or upgrade."""
    engine = raw_engine(url)
    with engine.begin() as connection:
        migrate(connection, version)
    engine.dispose()


def test_the_journal_of_the_last_release_opens_and_goes_on(any_database: str, tmp_path: Path) -> None:
    """Its jobs, events and audit rows are read, and new work is accepted, claimed and finished."""
    kept_journal(KEPT, any_database, tmp_path)
    found, _, rows, chain, _ = contents(any_database)
    states = [[str(version.state) for version in job.versions] for job in found]
    assert states == [["QUEUED"], ["RUNNING"], ["DONE"], ["DONE", "DONE"]]
    assert (len(rows), chain.intact) == (4, True)
    assert [row.prompt is None for row in rows] == [False, False, False, True]
    with Journal.open(any_database, clock=SystemClock()) as journal:
        assert not journal.accept(new_job(request("r1")), limit=9).created, "its request ids are known"
        journal.accept(new_job(owner=OwningService.SEPARATION), limit=9)
        assert journal.finish(claimed(journal, OwningService.SEPARATION)) is JobState.DONE


def test_the_journal_of_this_release_opens_and_goes_on(any_database: str, tmp_path: Path) -> None:
    """What a version waits for, deletions that were cut short and an erased prompt are known, and all its work is done."""
    kept_journal(NEWEST_KEPT, any_database, tmp_path)
    clock = ManualClock(datetime(2026, 11, 29, tzinfo=UTC))
    with Journal.open(any_database, clock=clock) as journal:
        found = journal.jobs("local", JobFilter()).jobs
        states = [[str(version.state) for version in job.versions] for job in found]
        in_order = ["QUEUED", "QUEUED", "RUNNING", "CANCELLING", "RUNNING", "FAILED", "FAILED"]
        assert states == [*([state] for state in in_order), ["DONE", "DONE"]]
        waits = found[4].versions[0].waits
        assert (waits.waiting or {})["message"] == "separation_service does not answer"
        assert waits.spent["SEPARATION_UNAVAILABLE"]["waitedS"] == 12.5
        assert len(journal.unfinished_deletions(OwningService.RENDER)) == 1
        (of_version,) = journal.unfinished_version_deletions(OwningService.RENDER)
        assert (of_version.number, of_version.keys) == (2, ("jobs/x/bounce.wav", "jobs/x/v1.zip"))
        assert of_version.job_id == found[7].job_id
        assert found[7].versions[1].delete_time is not None
        assert [outcome.state for outcome in journal.rerender_outcomes("local", StemName.VOCALS)] == ["DONE", "FAILED"]
        assert journal.verify_chain("local").intact
        webhook, older = journal.webhooks("local", page_size=9).webhooks
        assert (webhook.job_id, older.job_id) == ("", found[7].job_id)
        again = new_webhook(job_id=older.job_id, request_id="hook-1")
        assert journal.create_webhook(again, WebhookLimits(per_tenant=0, per_job=0)).webhook == older
        deliveries = journal.webhook_deliveries("local", older.webhook_id, page_size=9).deliveries
        assert sorted((one.state, one.status_code) for one in deliveries if one.status_code) == [
            ("DELIVERED", 204),
            ("WAITING", 500),
        ]
        journal.retry_version("local", found[5].job_id, 1, limit=9)
        with pytest.raises(FailedPrecondition, match="its prompt was erased"):
            journal.retry_version("local", found[6].job_id, 1, limit=9)
        observe_silence(journal, clock, lease_s=30)
        journal.reap(OwningService.RENDER)
        for owner in OwningService:
            while (claim := journal.claim(owner, lease_s=30)) is not None:
                journal.finish(claim)
        ended = {str(version.state) for job in journal.jobs("local", JobFilter()).jobs for version in job.versions}
        assert ended == {"DONE", "CANCELLED", "FAILED"}
        assert [str(job.state) for job in journal.jobs("acme", JobFilter()).jobs] == ["DONE"]


def test_the_journal_of_the_newest_schema_is_kept() -> None:
    """A change of the schema brings a kept journal of it, for the releases after it."""
    assert NEWEST_KEPT == SCHEMA_VERSION


@pytest.mark.parametrize("kept", ALL_KEPT)
def test_an_upgraded_journal_knows_which_prompts_were_erased(any_database: str, tmp_path: Path, kept: int) -> None:
    """Also one that was downgraded: a failed version without its prompt is not run again."""
    kept_journal(kept, any_database, tmp_path)
    if kept > KEPT:
        change_schema(any_database, KEPT)
    Journal.open(any_database, clock=SystemClock()).close()
    engine = raw_engine(any_database)
    with engine.connect() as connection:
        found = connection.execute(select(versions.c.brief, versions.c.prompt_erased)).all()
    engine.dispose()
    assert [row.prompt_erased for row in found] == ['"prompt": ""' in row.brief for row in found]
    assert sum(row.prompt_erased for row in found) == 1


@pytest.mark.parametrize("kept", ALL_KEPT)
def test_an_upgraded_version_has_the_tenant_of_its_job(any_database: str, tmp_path: Path, kept: int) -> None:
    """Also in a journal that was downgraded in between, which removes the tenants of versions."""
    kept_journal(kept, any_database, tmp_path)
    if kept > KEPT:
        change_schema(any_database, KEPT)
    Journal.open(any_database, clock=SystemClock()).close()
    engine = raw_engine(any_database)
    with engine.connect() as connection:
        of_jobs = select(versions.c.tenant, jobs.c.tenant.label("of_job")).join(
            jobs, jobs.c.job_id == versions.c.job_id
        )
        found = connection.execute(of_jobs).all()
    engine.dispose()
    assert {(row.tenant, row.of_job) for row in found} == {
        (tenant, tenant) for tenant in (("local", "acme") if kept >= FIRST_WITH_TENANTS else ("local",))
    }


def test_an_upgraded_journal_has_the_tables_of_a_new_one(any_database: str, tmp_path: Path) -> None:
    """Alembic finds no difference from the code's tables, and the indexes are equal, their conditions included."""
    kept_journal(KEPT, any_database, tmp_path)
    Journal.open(any_database, clock=SystemClock()).close()
    engine = raw_engine(any_database)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        found = inspect(connection)
        for table in metadata.tables.values():
            partial = {
                index["name"]
                for index in found.get_indexes(table.name)
                if index["dialect_options"].get(f"{engine.name}_where") is not None
            }
            assert partial == {
                index.name for index in table.indexes if index.dialect_options[engine.name]["where"] is not None
            }
    engine.dispose()


def test_a_journal_that_lacks_the_table_of_measured_failures_gets_it(any_database: str, tmp_path: Path) -> None:
    """The first journals of schema 3 had none."""
    kept_journal(KEPT, any_database, tmp_path)
    execute(any_database, "DROP TABLE measured_failures")
    with Journal.open(any_database, clock=SystemClock()) as journal:
        assert journal.rerender_outcomes("local", StemName.DRUMS) == []


@pytest.mark.parametrize("kept", ALL_KEPT)
def test_down_to_every_earlier_schema_and_up_again_changes_nothing(
    any_database: str, tmp_path: Path, kept: int
) -> None:
    """Including the first schema. What a version waits for is known only from schema 7 on."""
    kept_journal(kept, any_database, tmp_path)
    before = contents(any_database)
    for version in range(SCHEMA_VERSION - 1, 0, -1):
        change_schema(any_database, version)
        engine = raw_engine(any_database)
        with engine.begin() as connection:
            assert read_version(connection) == version
        engine.dispose()
    assert contents(any_database) == before


def test_a_journal_of_schema_1_reads_as_the_message_of_today(any_database: str) -> None:
    """The renamed fields keep their values, fields that were left out stay so, and a second opening changes nothing."""
    plain = new_job()
    plain = replace(plain, brief={**plain.brief, "labels": {"tempoMap": "none"}})
    points = [{"bpm": 92.0, "beatsPerBar": 4}, {"startSeconds": 4.5, "bpm": 120.0}]
    brief = {**plain.brief, "tempoMap": {"points": points, "firstDownbeatSeconds": 0.25, "swingRatio": 0.6}}
    with Journal.open(any_database, clock=SystemClock()) as journal:
        job_id = journal.accept(replace(plain, brief=brief), limit=9).job.job_id
        other_id = journal.accept(plain, limit=9).job.job_id
    change_schema(any_database, 1)
    engine = raw_engine(any_database)
    with engine.connect() as connection:
        old = connection.execute(select(versions.c.brief).where(versions.c.job_id == job_id)).scalar_one()
    engine.dispose()
    assert '"second": 4.5' in old
    assert '"firstDownbeatSecond": 0.25' in old
    execute(any_database, "DROP TABLE alembic_version")  # which releases before Alembic do not write
    for _ in range(2):
        with Journal.open(any_database, clock=SystemClock()) as journal:
            assert journal.job("local", job_id).versions[0].brief == brief
            assert journal.job("local", other_id).versions[0].brief == plain.brief
    tempo_map = json_format.ParseDict(brief, brief_pb2.ResolvedBrief()).tempo_map
    assert [(point.start_seconds, point.bpm) for point in tempo_map.points] == [(0.0, 92.0), (4.5, 120.0)]


def test_a_newer_schema_is_refused(any_database: str) -> None:
    """The journal is not changed, and the error names both schema versions."""
    Journal.open(any_database, clock=SystemClock()).close()
    execute(any_database, "UPDATE alembic_version SET version_num = '0099'")
    with pytest.raises(SchemaError, match=f"needs journal schema {SCHEMA_VERSION}, the journal has 99, which is newer"):
        Journal.open(any_database, clock=SystemClock())


def test_the_command_shows_and_changes_the_schema(tmp_path: Path) -> None:
    """A downgraded journal states its schema where releases before Alembic look for it."""
    url = f"sqlite:///{tmp_path}/journal.sqlite3"
    Journal.open(url, clock=SystemClock()).close()

    assert CliRunner().invoke(main, [url]).output == f"{SCHEMA_VERSION}\n"
    assert CliRunner().invoke(main, [url, "3"]).output == "3\n"
    engine = raw_engine(url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT value FROM meta WHERE name = 'schema_version'").scalar_one() == "3"
    engine.dispose()
    refused = CliRunner().invoke(main, [url, "99"])
    assert refused.exit_code == 1
    assert f"must be between 1 and {SCHEMA_VERSION}, got 99" in refused.output


def test_the_wheel_contains_the_migrations() -> None:
    """Each of their folders is a package."""
    assert {"servicekit.journal.migrations", "servicekit.journal.migrations.versions"} <= set(find_packages(str(ROOT)))
