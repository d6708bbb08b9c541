"""Clocks that jump or differ, suspended workers and journal outages: none of them takes a claim from healthy work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from servicekit.clock import SystemClock
from servicekit.errors import Expired, Unavailable
from servicekit.journal import Checkpoint, ClaimLost, JobState, Journal, OwningService, WaitState
from servicekit.journal.database import Database
from servicekit.work import Assignment, CancellationToken, Runner
from tests.support.databases import raw_engine
from tests.support.journal_rows import BOUNCE, WEIGHTS, claimed, new_job, observe_silence, open_journal
from tests.support.manual_clock import ManualClock

MANY = 1000
HOUR_S = 3600.0
RENDER = OwningService.RENDER


@pytest.fixture
def clock() -> ManualClock:
    """The clock of both hosts."""
    return ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def hosts(any_database: str, clock: ManualClock) -> Iterator[tuple[Journal, Journal]]:
    """One journal, opened by two processes, which die at their third crash."""
    with Journal.open(any_database, clock=clock) as one, Journal.open(any_database, clock=clock) as other:
        yield one, other


@pytest.mark.parametrize("seconds", [HOUR_S, -HOUR_S])
def test_a_clock_jump_takes_no_claim(hosts: tuple[Journal, Journal], clock: ManualClock, seconds: float) -> None:
    """Neither the worker's own process nor another one claims a running version again, however often the clock jumps."""
    worker, rival = hosts
    job_id = worker.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(worker, lease_s=10)
    for _ in range(5):
        assert rival.claim(RENDER, lease_s=10) is None
        clock.set_by(seconds)
        clock.advance(1)
        for host in hosts:
            assert host.claim(RENDER, lease_s=10) is None
            assert not host.orphaned_versions(RENDER)
            host.reap(RENDER)
        worker.heartbeat(claim)
    assert worker.finish(claim) is JobState.DONE
    assert worker.job("local", job_id).versions[0].attempt == 1


def test_an_outage_longer_than_the_lease_takes_no_claim(hosts: tuple[Journal, Journal], clock: ManualClock) -> None:
    """While nobody could read the journal, no heartbeat could be written; the lease starts anew."""
    worker, rival = hosts
    worker.accept(new_job(), limit=MANY)
    claim = claimed(worker, lease_s=10)
    assert rival.claim(RENDER, lease_s=10) is None
    clock.advance(HOUR_S)
    assert rival.claim(RENDER, lease_s=10) is None
    assert worker.claim(RENDER, lease_s=10) is None
    worker.heartbeat(claim)
    assert worker.finish(claim) is JobState.DONE


def test_a_suspended_worker_is_no_crash(hosts: tuple[Journal, Journal], clock: ManualClock) -> None:
    """Another host takes over after the lease; when the first one returns, its loss no longer counts. Ten times in a row."""
    worker, rival = hosts
    job_id = worker.accept(new_job(), limit=MANY).job.job_id
    claim = claimed(worker, lease_s=10)
    for attempt in range(2, 12):
        observe_silence(rival, clock, lease_s=10)
        taken = claimed(rival, lease_s=10)
        assert taken.attempt == attempt
        with pytest.raises(ClaimLost):
            worker.heartbeat(claim)
        worker, rival, claim = rival, worker, taken
    assert worker.finish(claim) is JobState.DONE
    assert worker.job("local", job_id).state is JobState.DONE


def test_a_crash_that_is_taken_back_after_its_version_ended_counts_for_nothing(
    hosts: tuple[Journal, Journal], clock: ManualClock
) -> None:
    """The suspended worker comes back when the version was done elsewhere and waits for its stems: its crashes stay at none."""
    job_id = hosts[0].accept(new_job(), limit=MANY).job.job_id
    suspended = claimed(hosts[0], lease_s=10)
    observe_silence(hosts[1], clock, lease_s=10)
    other = claimed(hosts[1])
    hosts[1].checkpoint(other, Checkpoint(files=BOUNCE))
    hosts[1].finish(other)
    hosts[1].add_stems("local", job_id, 1, None, limit=MANY)
    with pytest.raises(ClaimLost):
        hosts[0].heartbeat(suspended)
    assert hosts[1].job("local", job_id).versions[0].crashes == 0


def test_workers_that_stay_silent_are_crashes(hosts: tuple[Journal, Journal], clock: ManualClock) -> None:
    """The third one ends the version."""
    worker, rival = hosts
    job_id = worker.accept(new_job(), limit=MANY).job.job_id
    for _ in range(2):
        claimed(worker, lease_s=10)
        observe_silence(rival, clock, lease_s=10)
        worker, rival = rival, worker
    claimed(worker, lease_s=10)
    observe_silence(rival, clock, lease_s=10)
    rival.reap(RENDER)
    assert rival.job("local", job_id).state is JobState.FAILED


def test_a_crash_counts_only_for_the_version_that_was_worked_on(tmp_path: Path) -> None:
    """However often the process of a job that kills it dies, a version that waits beside it is not failed."""
    waits = WaitState(waiting={"code": 14})
    with open_journal(tmp_path) as journal:
        killer, bystander = (journal.accept(new_job(), limit=MANY).job.job_id for _ in range(2))
    for _ in range(3):
        with open_journal(tmp_path) as dying:
            claims = [claimed(dying) for _ in range(2)]
            dying.append_events(claims[1], [], waits)
    with open_journal(tmp_path) as journal:
        assert claimed(journal).version.job_id == bystander
        versions = [journal.job("local", job_id).versions[0] for job_id in (killer, bystander)]
    assert [(version.state, version.crashes) for version in versions] == [(JobState.FAILED, 3), (JobState.RUNNING, 0)]


def test_of_two_that_were_worked_on_only_the_one_that_kills_again_is_failed(tmp_path: Path) -> None:
    """The first crash makes both suspects. From then on they are worked on one at a time, and each crash counts for one."""
    with open_journal(tmp_path) as dying:
        killer, bystander = (dying.accept(new_job(), limit=MANY).job.job_id for _ in range(2))
        assert [claimed(dying).version.job_id for _ in range(2)] == [killer, bystander]
    for _ in range(3):
        with open_journal(tmp_path) as dying:
            assert claimed(dying).version.job_id == killer
            assert dying.claim(OwningService.RENDER, lease_s=10) is None
            other = dying.accept(new_job(), limit=MANY).job.job_id
            claim = claimed(dying)
            assert claim.version.job_id == other, "what is not suspected is worked on beside it"
            dying.finish(claim)
    with open_journal(tmp_path) as journal:
        claim = claimed(journal)
        assert (claim.version.job_id, claim.version.crashes) == (bystander, 0)
        assert journal.finish(claim) is JobState.DONE
        assert journal.job("local", killer).state is JobState.FAILED


def test_a_claim_that_no_work_holds_is_claimed_again_at_once(hosts: tuple[Journal, Journal]) -> None:
    """As after a lost answer to the commit of a claim, or a worker thread that ended. It is no crash."""
    worker, _ = hosts
    worker.accept(new_job(), limit=MANY)
    for attempt in range(1, 6):
        claim = claimed(worker)
        assert claim.attempt == attempt
        worker.drop(claim)


def test_jobs_accepted_after_the_clock_was_set_back_wait_behind_the_others(any_database: str) -> None:
    """The queue keeps the order of acceptance."""
    clock = ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    with Journal.open(any_database, clock=clock) as journal:
        accepted = []
        for _ in range(3):
            accepted.append(journal.accept(new_job(), limit=MANY).job.job_id)
            clock.set_by(-HOUR_S)
        assert [claimed(journal).version.job_id for _ in range(3)] == accepted


def test_a_clock_jump_does_not_change_the_measured_speed(hosts: tuple[Journal, Journal], clock: ManualClock) -> None:
    """A take of 8 s that took 4 s is estimated at 4 s, although the clock jumped by an hour meanwhile."""
    journal, _ = hosts
    journal.accept(new_job(), limit=MANY)
    claim = claimed(journal, lease_s=600)
    clock.advance(4)
    clock.set_by(HOUR_S)
    journal.finish(claim)
    waiting = journal.accept(new_job(), limit=MANY).job.versions[0]
    assert waiting.estimated_end_time is not None
    assert abs((waiting.estimated_end_time - waiting.create_time).total_seconds() - 4.0) < 1.0


def test_a_running_job_survives_clock_jumps(any_database: str) -> None:
    """A real worker with its heartbeat runs to the end in one attempt while the time of day jumps forth and back."""
    clock = JumpingClock()
    entered, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work(_: Assignment) -> None:
        entered.set()
        assert go_on.wait(30)

    with Journal.open(any_database, clock=clock) as journal:
        job_id = journal.accept(new_job(), limit=MANY).job.job_id
        heard = journal.subscribe(lambda events: ended.set() if events[-1].state.ended else None)
        runner = Runner(
            journal, owner=RENDER, work=work, weights=WEIGHTS, clock=clock, workers=2, lease_s=0.5, heartbeat_s=0.1
        )
        with heard, runner:
            assert entered.wait(30)
            for seconds in (HOUR_S, -2 * HOUR_S, HOUR_S):
                clock.ahead += timedelta(seconds=seconds)
                journal.reap(RENDER)
                assert journal.claim(RENDER, lease_s=0.5) is None
            go_on.set()
            assert ended.wait(30)
        version = journal.job("local", job_id).versions[0]
        assert (version.state, version.attempt) == (JobState.DONE, 1)


class JumpingClock(SystemClock):
    """The machine's clock, whose time of day is set by ``ahead``."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.mark.parametrize("seconds", [HOUR_S, -HOUR_S, -60.0])
@pytest.mark.parametrize("claims", [True, False])
def test_a_clock_that_is_set_leaves_a_version_its_time(
    tmp_path: Path, clock: ManualClock, seconds: float, *, claims: bool
) -> None:
    """It expires ten minutes after its acceptance as it was meant to, queued or running, and across a restart."""
    with open_journal(tmp_path, clock) as journal:
        expire_time = clock.now() + timedelta(minutes=10)
        job_id = journal.accept(new_job(expire_time=expire_time), limit=MANY).job.job_id
    clock.set_by(seconds)
    clock.advance(599)
    with open_journal(tmp_path, clock) as journal:
        claim = claimed(journal) if claims else None
        journal.reap(RENDER)
        assert not journal.job("local", job_id).state.ended
        clock.set_by(-seconds)
        assert claim is None or not journal.heartbeat(claim).expired
        clock.set_by(seconds)
        clock.advance(1)
        journal.reap(RENDER)
        assert claim is not None or journal.job("local", job_id).state is JobState.FAILED
        assert claim is None or journal.heartbeat(claim).expired


def test_running_work_does_not_expire_because_the_clock_is_set(clock: ManualClock) -> None:
    """Before the next heartbeat asks the journal, it counts for itself."""
    token = CancellationToken(expire_time=clock.now() + timedelta(minutes=10), clock=clock)
    clock.set_by(HOUR_S)
    clock.advance(599)
    token.check()
    clock.set_by(-2 * HOUR_S)
    clock.advance(1)
    with pytest.raises(Expired):
        token.check()


def test_hosts_whose_clocks_differ_agree_on_postgresql(postgresql_database: str) -> None:
    """The database's clock counts: one minute fast or slow, a job gets the same times, and its expiry comes when it is due."""
    fast, slow = (JumpingClock(timedelta(minutes=minutes)) for minutes in (1, -1))
    with Journal.open(postgresql_database, clock=fast) as one, Journal.open(postgresql_database, clock=slow) as other:
        created = [host.accept(new_job(), limit=MANY).job.create_time for host in (one, other)]
        assert abs((created[0] - created[1]).total_seconds()) < 20
        due = created[1] + timedelta(seconds=40)
        one.accept(new_job(expire_time=due), limit=MANY)
        one.reap(RENDER)
        assert one.count_queued(RENDER) == 3
        assert abs((one.clock.now() - other.clock.now()).total_seconds()) < 1


def test_a_frozen_writer_does_not_block_postgresql_for_long(postgresql_database: str) -> None:
    """Others are refused after lock_timeout, and the database disconnects the frozen one: then they write again."""
    limits = postgresql_database + "&options=-c%20lock_timeout%3D200ms"
    with Journal.open(limits, clock=SystemClock()) as journal:
        frozen = raw_engine(postgresql_database)
        with frozen.connect() as connection:
            connection.exec_driver_sql("SET idle_in_transaction_session_timeout = '1s'")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({0x736F6E69})")
            with pytest.raises(Unavailable, match="55P03") as refused:  # lock_not_available
                journal.accept(new_job(), limit=MANY)
            assert refused.value.reason == "STORE_UNAVAILABLE"
            while True:  # until the database has disconnected the frozen writer
                try:
                    journal.accept(new_job(), limit=MANY)
                except Unavailable:
                    continue
                break
            connection.invalidate()
        frozen.dispose()


@pytest.mark.parametrize(("given", "lock_timeout"), [("", "20s"), ("&options=-c%20lock_timeout%3D3s", "3s")])
def test_postgresql_sessions_have_limits(postgresql_database: str, given: str, lock_timeout: str) -> None:
    """Every wait of a session has one; the URL can change it."""
    database = Database.open(postgresql_database + given, clock=SystemClock())
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with database.reading() as connection:
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
    database.close()
    assert found == [lock_timeout, "1min", "10s"]
