"""What tenants use, and the limits that are checked where work is accepted and claimed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servicekit.access.limits import UNLIMITED, TenantLimits
from servicekit.clock import SystemClock
from servicekit.errors import ResourceExhausted
from servicekit.journal import Checkpoint, Journal, OwningService
from tests.support.journal_rows import BOUNCE, claimed, new_job, new_version, open_journal, request
from tests.support.manual_clock import ManualClock

MANY = 1000
EVENING = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)


@pytest.fixture
def journal(any_database: str) -> Iterator[Journal]:
    """An empty journal."""
    with Journal.open(any_database, clock=SystemClock()) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    """An hour before midnight UTC."""
    return ManualClock(EVENING)


@pytest.fixture
def dated(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """A journal on SQLite, whose days are those of ``clock``."""
    with open_journal(tmp_path, clock) as opened:
        yield opened


def accept(
    journal: Journal,
    tenant: str = "acme",
    limits: TenantLimits = UNLIMITED,
    *,
    seconds: float = 8.0,
    owner: OwningService = OwningService.RENDER,
    request_id: str = "",
) -> str:
    """The job id of a new take."""
    new = replace(new_job(request(request_id, tenant=tenant), owner=owner), audio_seconds=seconds)
    return journal.accept(new, limit=MANY, tenant_limits=limits).job.job_id


def test_waiting_versions_are_limited_in_both_services_together(journal: Journal) -> None:
    """A tenant's own only, and a repeated request is answered even then."""
    limits = TenantLimits(waiting_jobs=2)
    first = accept(journal, limits=limits, request_id="r1")
    accept(journal, limits=limits, owner=OwningService.SEPARATION)
    with pytest.raises(ResourceExhausted, match="the tenant's limit waiting_jobs is 2, and 3 would be used") as caught:
        accept(journal, limits=limits)
    assert caught.value.reason == "TENANT_LIMIT"
    assert caught.value.metadata == {"limit": "waiting_jobs", "allowed": "2", "used": "3"}
    assert caught.value.retry_after_s is not None
    assert accept(journal, limits=limits, request_id="r1") == first
    accept(journal, "other", limits)
    journal.finish(claimed(journal))
    accept(journal, limits=limits)


def test_every_call_that_queues_a_version_counts_its_audio(journal: Journal) -> None:
    """Takes, re-renders, stems and retries; a deleted job gives nothing back, and a refused call counts nothing."""
    limits = TenantLimits(audio_seconds_per_day=40)
    job_id = accept(journal, limits=limits)
    journal.fail(claimed(journal), {"code": 13})
    journal.retry_version("acme", job_id, 1, limit=MANY, tenant_limits=limits)
    claim = claimed(journal)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE))
    journal.finish(claim)
    journal.add_stems("acme", job_id, 1, None, limit=MANY, tenant_limits=limits)
    journal.finish(claimed(journal))
    again = new_version(job_id, request(tenant="acme", rpc="Rerender"))
    journal.accept_version(again, limit=MANY, tenant_limits=limits)
    journal.finish(claimed(journal))
    assert journal.usage("acme").audio_seconds == 32
    journal.start_delete("acme", job_id, OwningService.RENDER)
    journal.finish_delete("acme", job_id)
    with pytest.raises(
        ResourceExhausted, match="audio_seconds_per_day is 40, and 41 would be used; retry after midnight"
    ):
        accept(journal, limits=limits, seconds=9.0)
    assert journal.usage("acme").audio_seconds == 32
    accept(journal, limits=limits)
    accept(journal, "other", limits, seconds=40.0)


def test_a_new_day_counts_anew(dated: Journal, clock: ManualClock) -> None:
    """The refusal says when: at midnight UTC. Work that is longer than the limit of a day has no such time."""
    limits = TenantLimits(audio_seconds_per_day=10)
    accept(dated, limits=limits)
    with pytest.raises(ResourceExhausted) as caught:
        accept(dated, limits=limits)
    assert caught.value.retry_after_s == 3600
    with pytest.raises(ResourceExhausted, match=r"19 would be used; ask for less audio$") as caught:
        accept(dated, limits=limits, seconds=11)
    assert caught.value.retry_after_s is None
    clock.advance(3600)
    accept(dated, limits=limits)
    used = dated.usage("acme")
    assert (used.audio_seconds, used.waiting_jobs) == (8, 2)
    assert used.day_end_time == datetime(2026, 3, 3, tzinfo=UTC)


def test_use_of_long_ago_is_forgotten(dated: Journal, clock: ManualClock, tmp_path: Path) -> None:
    """The table does not grow with the days."""
    for _ in range(40):
        dated.add_upload("acme", 1)
        clock.advance(24 * 3600)
    dated.add_upload("acme", 1)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as raw:
        assert raw.execute("SELECT count(*) FROM tenant_usage").fetchone() == (36,)


def test_a_tenant_at_its_running_limit_waits_while_others_go_on(journal: Journal) -> None:
    """The limit is that of the key which queued the version, in both services together."""
    limits = TenantLimits(running_jobs=1)
    ours = [accept(journal, limits=limits) for _ in range(2)]
    theirs = [accept(journal, "other") for _ in range(2)]
    upload = accept(journal, limits=limits, owner=OwningService.SEPARATION)
    first = claimed(journal)
    assert first.job.job_id == ours[0]
    assert [claimed(journal).job.job_id for _ in range(2)] == theirs
    assert journal.claim(OwningService.RENDER, lease_s=30) is None
    assert journal.claim(OwningService.SEPARATION, lease_s=30) is None
    assert journal.usage("acme").running_jobs == 1
    journal.finish(first)
    assert claimed(journal, OwningService.SEPARATION).job.job_id == upload
    assert journal.claim(OwningService.RENDER, lease_s=30) is None


def test_a_worker_with_nothing_to_claim_does_not_wait_for_the_writer(dated: Journal, tmp_path: Path) -> None:
    """Where all that waits is of tenants at their limits, a claim only reads."""
    limits = TenantLimits(running_jobs=1)
    for _ in range(2):
        accept(dated, limits=limits)
    claimed(dated)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert dated.claim(OwningService.RENDER, lease_s=30) is None


def test_uploaded_bytes_add_up(journal: Journal) -> None:
    """Beyond 32 bits, and for each tenant."""
    assert journal.add_upload("acme", 1000) == 1000
    assert journal.add_upload("acme", 5 << 30) == (5 << 30) + 1000
    journal.add_upload("other", 7)
    assert journal.usage("acme").upload_bytes == (5 << 30) + 1000
