"""The journal for callers: accept, find, list, cancel, delete."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from servicekit.delivery.names import StemMode, StemName
from servicekit.errors import AlreadyExists, FailedPrecondition, InvalidToken, NotFound, ResourceExhausted
from servicekit.ids import is_job_id, new_job_id
from servicekit.journal import (
    Checkpoint,
    EventKind,
    JobFilter,
    JobState,
    Journal,
    OwningService,
    Stage,
    listing,
)
from servicekit.journal.database import Database
from tests.support.journal_rows import (
    BOUNCE,
    ZIP,
    audited,
    claimed,
    new_job,
    new_version,
    open_journal,
    request,
    url_of,
)
from tests.support.manual_clock import ManualClock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MANY = 1000


@pytest.fixture
def clock() -> ManualClock:
    """A clock that only moves when it is advanced."""
    return ManualClock(START)


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path, clock) as opened:
        yield opened


def finish_next(journal: Journal, files: dict[str, object] | None = None) -> None:
    """Run the next version until it is done."""
    claim = claimed(journal)
    journal.checkpoint(claim, Checkpoint(files=BOUNCE if files is None else files, stage=Stage.BOUNCE))
    journal.finish(claim)


def test_a_retry_finds_the_job_that_its_request_made(journal: Journal) -> None:
    """The same request id with the same content returns the same job and makes no second one."""
    first = journal.accept(new_job(request("r1")), limit=MANY)
    again = journal.accept(new_job(request("r1")), limit=MANY)
    assert first.created
    assert not again.created
    assert again.job == first.job
    assert len(journal.jobs("local", JobFilter()).jobs) == 1


def test_a_request_id_with_other_content_is_refused(journal: Journal) -> None:
    """Reusing a request id for another brief names the id and the job it made."""
    made = journal.accept(new_job(request("r1")), limit=MANY).job
    with pytest.raises(AlreadyExists) as refused:
        journal.accept(new_job(request("r1", digest="d2")), limit=MANY)
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert refused.value.metadata == {"request_id": "r1", "job_id": made.job_id}


def test_a_request_id_counts_within_tenant_and_rpc(journal: Journal) -> None:
    """Another tenant or another RPC may use the same request id for something else."""
    asked = [request("r1"), request("r1", tenant="other", digest="d2"), request("r1", rpc="Upload", digest="d3")]
    jobs = {journal.accept(new_job(one), limit=MANY).job.job_id for one in asked}
    assert len(jobs) == 3


def test_racing_retries_make_one_job(tmp_path: Path) -> None:
    """Sixteen threads on two open journals with one request id get one job, and exactly one of them made it."""
    with open_journal(tmp_path) as one, open_journal(tmp_path) as two, ThreadPoolExecutor(16) as pool:
        accepted = list(pool.map(lambda n: (one, two)[n % 2].accept(new_job(request("r1")), limit=MANY), range(16)))
        assert len({each.job.job_id for each in accepted}) == 1
        assert sum(each.created for each in accepted) == 1


def test_a_full_queue_refuses_with_a_retry_delay(journal: Journal) -> None:
    """A job above the limit is refused with the numbers and a delay, and nothing of it is stored."""
    journal.accept(new_job(), limit=1)
    with pytest.raises(ResourceExhausted) as refused:
        journal.accept(new_job(), limit=1)
    assert refused.value.reason == "QUEUE_FULL"
    assert refused.value.metadata == {"queued": "1", "limit": "1"}
    assert refused.value.retry_after_s is not None
    assert len(journal.jobs("local", JobFilter()).jobs) == 1


def test_a_job_gets_the_id_that_its_caller_chose(journal: Journal, clock: ManualClock) -> None:
    """An upload is stored under its job's id before it is accepted; an id in another form or used before is refused."""
    chosen = new_job_id(clock.now())
    assert journal.accept(new_job(job_id=chosen), limit=MANY).job.job_id == chosen
    for wrong in (chosen, "../../etc/passwd"):
        with pytest.raises(ValueError, match="job id"):
            journal.accept(new_job(job_id=wrong), limit=MANY)


def test_ids_sort_by_time_and_are_safe(clock: ManualClock) -> None:
    """Ids made later sort later, and hold only characters that a path and a URL take as they are."""
    ids = []
    for _ in range(50):
        ids.append(new_job_id(clock.now()))
        clock.advance(0.001)
    assert ids == sorted(ids)
    assert all(is_job_id(one) for one in ids)
    assert not any(
        is_job_id(wrong) for wrong in ("", "j-", ids[0].upper(), ids[0] + "0", ids[0][:-1] + "/", ids[0] + "\n")
    )


def test_version_numbers_are_never_used_twice(tmp_path: Path) -> None:
    """Re-renders accepted at once get different numbers, each with the base it starts from."""
    with open_journal(tmp_path) as journal, ThreadPoolExecutor(8) as pool:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        numbers = list(pool.map(lambda _: journal.accept_version(new_version(job_id), limit=MANY).version, range(8)))
        assert sorted(numbers) == list(range(2, 10))
        assert [version.base_version for version in journal.job("local", job_id).versions] == [0] + [1] * 8


def test_stems_are_added_only_where_they_are_missing(journal: Journal) -> None:
    """A version that is queued, has no bounce or has stems is refused; one with only a bounce is queued again."""
    soon = datetime.now(UTC) + timedelta(minutes=1)
    job_id = journal.accept(new_job(stems=False, expire_time=soon), limit=MANY).job.job_id
    with pytest.raises(FailedPrecondition, match="wait until it ends"):
        journal.add_stems("local", job_id, 1, None, limit=MANY)
    finish_next(journal)
    job = journal.add_stems("local", job_id, 1, StemMode.RAW, limit=MANY)
    version = job.versions[0]
    assert (version.state, version.stems_wanted, version.stem_mode) == (JobState.QUEUED, True, StemMode.RAW)
    assert (version.brief["stems"], version.brief["stemMode"]) == (True, "STEM_MODE_RAW")
    assert version.checkpointed_stage is Stage.BOUNCE
    assert version.expire_time is None  # the brief's expiry was for the take
    finish_next(journal, ZIP)
    with pytest.raises(FailedPrecondition, match="already has stems") as refused:
        journal.add_stems("local", job_id, 1, None, limit=MANY)
    assert refused.value.metadata == {"job_id": job_id, "version": "1", "state": "DONE"}
    bare = journal.accept(new_job(), limit=MANY).job.job_id
    journal.cancel("local", bare)
    with pytest.raises(FailedPrecondition, match="no bounce"):
        journal.add_stems("local", bare, 1, None, limit=MANY)


def test_a_queued_job_is_cancelled_through_cancelling(journal: Journal) -> None:
    """Both states are published in order, and a second cancel changes nothing."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    assert journal.cancel("local", job_id).state is JobState.CANCELLED
    journal.cancel("local", job_id)
    states = [event.state for event in journal.events_after(job_id, 0, MANY).events]
    assert states == [JobState.QUEUED, JobState.CANCELLING, JobState.CANCELLED]


def test_version_0_is_the_newest_that_can_be_cancelled(journal: Journal) -> None:
    """Each cancel without a number stops one version, newest first; once all have ended it changes nothing."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    journal.accept_version(new_version(job_id), limit=MANY)
    assert [version.state for version in journal.cancel("local", job_id).versions] == [
        JobState.QUEUED,
        JobState.CANCELLED,
    ]
    assert [version.state for version in journal.cancel("local", job_id).versions] == [JobState.CANCELLED] * 2
    last = journal.job("local", job_id).last_sequence
    assert journal.cancel("local", job_id).last_sequence == last
    with pytest.raises(NotFound, match="no version 3"):
        journal.cancel("local", job_id, 3)


def test_version_0_is_the_newest_that_lacks_only_stems(journal: Journal) -> None:
    """A newer version without a bounce is passed over; where none qualifies, the error is about the newest."""
    job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
    finish_next(journal)
    journal.accept_version(new_version(job_id), limit=MANY)
    journal.cancel("local", job_id)
    job = journal.add_stems("local", job_id, 0, None, limit=MANY)
    assert [version.state for version in job.versions] == [JobState.QUEUED, JobState.CANCELLED]
    with pytest.raises(FailedPrecondition, match=r"version 2 .* no bounce"):
        journal.add_stems("local", job_id, 0, None, limit=MANY)


def test_a_deleted_job_leaves_one_event_and_its_audit_rows(journal: Journal) -> None:
    """A job that has not ended is not deleted. Deletion removes labels and request id; the chain stays intact."""
    job_id = journal.accept(new_job(request("r1"), labels={"a": "b"}), limit=MANY).job.job_id
    with pytest.raises(FailedPrecondition) as refused:
        journal.start_delete("local", job_id, OwningService.RENDER)
    assert refused.value.metadata["state"] == "QUEUED"
    claim = claimed(journal)
    audited(journal, claim, "bounce", {}, prompt="p")
    journal.finish(claim)
    last = journal.job("local", job_id).last_sequence
    journal.start_delete("local", job_id, OwningService.RENDER)
    for call in (journal.job, journal.job_status, journal.cancel):
        with pytest.raises(NotFound):
            call("local", job_id)
    with pytest.raises(NotFound):
        journal.add_stems("local", job_id, 1, None, limit=MANY)
    assert not journal.jobs("local", JobFilter()).jobs
    assert journal.unfinished_deletions(OwningService.RENDER) == [("local", job_id)]
    journal.finish_delete("local", job_id)
    assert not journal.unfinished_deletions(OwningService.RENDER)
    with pytest.raises(NotFound):
        journal.job("local", job_id)
    (deleted,) = journal.events_after(job_id, 0, MANY).events
    assert (deleted.kind, deleted.sequence) == (EventKind.DELETED, last + 1)
    assert len(journal.audit_rows("local", job_id).rows) == 1
    assert journal.verify_chain("local").intact
    assert journal.accept(new_job(request("r1")), limit=MANY).created


def test_pages_hold_every_job_once_newest_first(journal: Journal, clock: ManualClock) -> None:
    """Paging through a filter gives each job that passes it once, also where several were accepted in one instant."""
    for number in range(7):
        clock.advance(number % 2)
        journal.accept(new_job(labels={"even": str(number % 2 == 0)}, persona_id=f"p{number % 2}"), limit=MANY)
    found, token = [], ""
    while True:
        page = journal.jobs("local", JobFilter(persona_id="p0"), page_size=2, page_token=token)
        found += page.jobs
        token = page.next_token
        if not token:
            break
    assert len({job.job_id for job in found}) == len(found) == 4
    assert [job.create_time for job in found] == sorted((job.create_time for job in found), reverse=True)
    assert {job.labels["even"] for job in found} == {"True"}
    assert len(journal.jobs("local", JobFilter(labels={"even": "False"})).jobs) == 3
    assert not journal.jobs("local", JobFilter(states=frozenset({JobState.DONE}))).jobs
    assert not journal.jobs("local", JobFilter(owner=OwningService.SEPARATION)).jobs
    recent = JobFilter(created_after=START + timedelta(seconds=3))
    assert len(journal.jobs("local", recent).jobs) == 2


def test_a_page_token_is_valid_only_for_its_query(journal: Journal) -> None:
    """A token that was changed, made up, or made for another caller or filter is refused."""
    for _ in range(3):
        journal.accept(new_job(), limit=MANY)
    token = journal.jobs("local", JobFilter(), page_size=1).next_token
    changed = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    wrong = [("other", JobFilter(), token), ("local", JobFilter(persona_id="x"), token)]
    wrong += [("local", JobFilter(), text) for text in (changed, "abc", "ä", "=" * 2000, token + token)]
    for tenant, asked, text in wrong:
        with pytest.raises(InvalidToken):
            journal.jobs(tenant, asked, page_token=text)


def test_another_tenants_job_is_not_found(journal: Journal) -> None:
    """Reading, cancelling and deleting another tenant's job are refused as if it did not exist."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    for call in (journal.job, journal.cancel):
        with pytest.raises(NotFound):
            call("other", job_id)
    for tenant, owner in (("other", OwningService.RENDER), ("local", OwningService.SEPARATION)):
        with pytest.raises(NotFound):
            journal.start_delete(tenant, job_id, owner)
    assert not journal.jobs("other", JobFilter()).jobs


def test_queued_jobs_have_a_position_and_an_estimated_end(journal: Journal, clock: ManualClock) -> None:
    """Positions count from 0; the end is estimated from the speed of finished jobs, and unknown before the first."""
    first = journal.accept(new_job(), limit=MANY).job
    assert (first.versions[0].queue_position, first.versions[0].estimated_end_time) == (0, None)
    claim = claimed(journal, lease_s=100)
    clock.advance(16.0)
    journal.finish(claim)
    waiting = [journal.accept(new_job(), limit=MANY).job.job_id for _ in range(3)]
    versions = [journal.job("local", job_id).versions[0] for job_id in waiting]
    assert [version.queue_position for version in versions] == [0, 1, 2]
    ends = [version.estimated_end_time for version in versions]
    assert ends == [clock.now() + timedelta(seconds=16.0 * place) for place in (1, 2, 3)]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name"])
def test_an_unsupported_url_is_refused(url: str, clock: ManualClock) -> None:
    """Memory and other databases are not durable, or not supported."""
    with pytest.raises(ValueError, match="journal"):
        Journal.open(url, clock=clock)


def test_every_connection_is_durable_and_private(tmp_path: Path, clock: ManualClock) -> None:
    """SQLite runs with a write-ahead log and full synchronisation, in a file that only its owner can read."""
    database = Database.open(url_of(tmp_path), clock=clock)
    with database.reading() as connection:
        facts = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    database.close()
    assert facts == ["wal", 2]
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_a_full_disk_is_reported_and_loses_nothing(tmp_path: Path, clock: ManualClock) -> None:
    """When the database cannot grow, a new job is refused as DISK_FULL and accepted jobs stay."""
    with open_journal(tmp_path, clock) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id

    def fill() -> None:
        for _ in range(MANY):
            journal.accept(new_job(labels={"filler": "x" * 200}), limit=MANY)

    event.listen(Engine, "connect", _refuse_to_grow)
    try:
        with open_journal(tmp_path, clock) as journal, pytest.raises(ResourceExhausted) as refused:
            fill()
    finally:
        event.remove(Engine, "connect", _refuse_to_grow)
    assert refused.value.reason == "DISK_FULL"
    with open_journal(tmp_path, clock) as journal:
        assert journal.job("local", job_id).state is JobState.QUEUED
        assert journal.accept(new_job(), limit=MANY).created


def _refuse_to_grow(connection: sqlite3.Connection, *_: object) -> None:
    connection.execute("PRAGMA max_page_count=1")  # SQLite raises it to the current size, so the file cannot grow


def test_two_processes_may_create_the_journal_at_once(tmp_path: Path) -> None:
    """Opening a journal that does not exist yet from many threads at once gives one journal."""
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: open_journal(tmp_path), range(8)))
    try:
        job_id = opened[0].accept(new_job(), limit=MANY).job.job_id
        assert all(journal.job("local", job_id).job_id == job_id for journal in opened)
        assert url_of(tmp_path).endswith("journal.sqlite3")
    finally:
        for journal in opened:
            journal.close()


def test_a_re_render_changes_the_owner_of_an_ended_job(journal: Journal) -> None:
    """render_service owns an upload from its first re-render on, which is accepted only after all versions have ended."""
    job_id = journal.accept(new_job(owner=OwningService.SEPARATION), limit=MANY).job.job_id
    rerender = replace(new_version(job_id), owner=OwningService.RENDER)
    with pytest.raises(FailedPrecondition) as early:
        journal.accept_version(rerender, limit=MANY)
    assert early.value.reason == "WRONG_STATE"
    journal.finish(claimed(journal, OwningService.SEPARATION))
    earlier = journal.events_after(job_id, 0, 100).events
    accepted = journal.accept_version(rerender, limit=MANY)
    assert (accepted.version, accepted.job.owner) == (2, OwningService.RENDER)
    assert journal.claim(OwningService.SEPARATION, lease_s=30.0) is None
    assert claimed(journal).version.number == 2
    assert journal.events_after(job_id, 0, 100).events[: len(earlier)] == earlier
    feed = journal.feed_after(OwningService.RENDER, "local", 0, 100).events
    assert {event.version for event in feed} == {2}


def test_re_renders_of_a_stem_are_found(journal: Journal) -> None:
    """Each with its state and error, of one stem and one tenant."""
    job_id = journal.accept(new_job(), limit=MANY).job.job_id
    journal.finish(claimed(journal))
    journal.accept_version(new_version(job_id), limit=MANY)
    journal.fail(claimed(journal), {"code": 9, "message": "late"})
    (found,) = journal.rerender_outcomes("local", StemName.VOCALS)
    assert (found.job_id, found.version, found.state) == (job_id, 2, JobState.FAILED)
    assert found.error == {"code": 9, "message": "late"}
    assert journal.rerender_outcomes("local", StemName.DRUMS) == []
    assert journal.rerender_outcomes("other", StemName.VOCALS) == []


def test_a_rare_filter_examines_a_bounded_number_of_jobs(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages without a match have a token; following it finds every match once, and nothing is examined twice."""
    monkeypatch.setattr(listing, "EXAMINED_JOBS", 3)
    with open_journal(tmp_path, clock) as journal:
        rare = []
        for number in range(8):
            labels = {"scene": "rare"} if number in {0, 4} else {}
            job = journal.accept(new_job(labels=labels), limit=MANY).job
            rare += [job.job_id] if labels else []
            clock.advance(1)
        wanted, token, pages = JobFilter(labels={"scene": "rare"}), "", []
        while token or not pages:
            page = journal.jobs("local", wanted, page_token=token)
            pages.append([job.job_id for job in page.jobs])
            token = page.next_token
    assert pages == [[], [rare[1]], [rare[0]]]
