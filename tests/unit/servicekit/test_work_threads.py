"""Dead threads are noticed, replaced, and visible in health where they cannot be."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.clock import SystemClock
from servicekit.errors import Unavailable
from servicekit.faults import FaultPoint, Faults
from servicekit.journal import Claim, HeartbeatReply, JobState, Journal, OrphanedVersion, OwningService
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RpcServer
from servicekit.work import Assignment
from servicekit.work.repeating_thread import RepeatingThread
from servicekit.work.thread_group import ThreadGroup
from tests.support.callers import trusting
from tests.support.journal_rows import claimed, new_job, open_journal, url_of
from tests.support.work_runs import MANY, ended, running, until


class HeartbeatEnds(Journal):
    """A journal whose first heartbeat ends the thread that calls it, and whose next one fails unexpectedly."""

    calls = 0

    def heartbeat(self, claim: Claim) -> HeartbeatReply:
        """Renew the lease from the third call on."""
        self.calls += 1
        if self.calls == 1:
            raise SystemExit
        if self.calls == 2:
            raise ZeroDivisionError
        return super().heartbeat(claim)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_heartbeat_thread_is_replaced(tmp_path: Path) -> None:
    """The next check starts another, which renews the lease; an unexpected error does not end that one."""
    renewed = threading.Event()

    def work(assignment: Assignment) -> None:
        assignment.progress.wait(0.0)
        assert renewed.wait(30)

    with HeartbeatEnds.open(url_of(tmp_path), clock=SystemClock()) as journal:
        job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
        with running(journal, work, heartbeat_s=0.01) as runner:
            for _ in range(3000):
                if journal.calls >= 3:
                    break
                assert runner.keep_alive()
                renewed.wait(0.01)
            renewed.set()
            assert ended(journal, job_id).state is JobState.DONE
    assert journal.calls >= 3


class CountedHeartbeats(Journal):
    """A journal that counts heartbeats."""

    beats = 0

    def heartbeat(self, claim: Claim) -> HeartbeatReply:
        """Renew the lease."""
        self.beats += 1
        return super().heartbeat(claim)


def test_a_store_that_hangs_stops_no_heartbeat(tmp_path: Path) -> None:
    """While the files of an orphaned version are being removed, the leases of running versions are renewed."""
    entered, removing, go_on = threading.Event(), threading.Event(), threading.Event()

    def work(_assignment: Assignment) -> None:
        entered.set()
        go_on.wait(30)

    def hang(_orphan: OrphanedVersion) -> None:
        removing.set()
        go_on.wait(30)

    with CountedHeartbeats.open(url_of(tmp_path), clock=SystemClock()) as journal:
        job_id = journal.accept(new_job(stems=False), limit=MANY).job.job_id
        with running(journal, work, heartbeat_s=0.01, remove_orphans=hang):
            assert entered.wait(30)
            with open_journal(tmp_path) as dies:
                orphan = dies.accept(new_job(), limit=MANY).job.job_id
                claimed(dies)
                dies.cancel("local", orphan)
            assert removing.wait(30)
            begin = journal.beats
            for _ in range(1000):
                if journal.beats > begin + 3:
                    break
                go_on.wait(0.01)
            assert journal.beats > begin + 3
            go_on.set()
            assert ended(journal, job_id).state is JobState.DONE


class _Rounds(RepeatingThread):
    """Its first round ends the thread, the next two fail, all later ones say that they took place."""

    def __init__(self) -> None:
        super().__init__("test rounds", pause_s=0.01)
        self.rounds = 0
        self.went_on = threading.Event()

    def repeat(self) -> bool:
        self.rounds += 1
        if self.rounds == 1:
            raise SystemExit
        if self.rounds == 2:
            raise ZeroDivisionError
        if self.rounds == 3:
            raise Unavailable("down", reason="STORE_UNAVAILABLE", retry_after_s=1.0)
        self.went_on.set()
        return True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_dead_repeating_thread_is_replaced() -> None:
    """Upkeep, deletions and reaping are such threads. Errors do not end one; a dead one is replaced, a stopped one is not."""
    thread = _Rounds()
    with thread:
        for _ in range(3000):
            assert thread.keep_alive()
            if thread.went_on.wait(0.01):
                break
        assert thread.went_on.is_set()
    rounds = thread.rounds
    assert thread.keep_alive()
    assert thread.rounds == rounds


class _Counted(RepeatingThread):
    """Counts its rounds."""

    rounds = 0

    def repeat(self) -> bool:
        self.rounds += 1
        return False


def test_a_repeating_thread_has_the_fault_points_of_threads() -> None:
    """It dies before a round, and while the system has no room for another, health says so."""
    faults = Faults(rate=1.0, points=frozenset({FaultPoint.THREAD_DEATH, FaultPoint.THREAD_START}))
    thread = _Counted("test rounds", pause_s=0.01, faults=faults)
    with thread:
        assert thread.keep_alive()
        faults.begin()
        for _ in range(3000):
            if not thread.keep_alive():
                break
            threading.Event().wait(0.01)
        rounds = thread.rounds
        assert not thread.keep_alive()
    assert thread.rounds == rounds


def test_a_thread_that_cannot_be_replaced_is_reported() -> None:
    """False as long as the system has no room for a thread; True once there is."""
    ends, goes_on = threading.Event(), threading.Event()

    def loop() -> None:
        (goes_on if ends.is_set() else ends).wait(30)

    group = ThreadGroup("test", loop, size=1)
    group.start()
    assert group.keep_alive()
    ends.set()
    group.join(30.0)
    normal = threading.stack_size(1 << 47)  # larger than the address space
    try:
        assert not group.keep_alive()
    finally:
        threading.stack_size(normal)
    assert group.keep_alive()
    goes_on.set()
    group.join(30.0)


async def test_health_says_when_work_stands_still() -> None:
    """NOT_SERVING while a thread is missing, SERVING again once it is replaced."""
    server = RpcServer(metrics=Metrics("test"), gated_methods=(), service_names=("x.Y",), gatekeeper=trusting())
    (address,) = await server.start([Endpoint("127.0.0.1:0")])
    await server.serve()
    states = []
    async with grpc.aio.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for works in (True, False, False, True):
            await server.report(works=works)
            states.append((await stub.Check(health_pb2.HealthCheckRequest(service="x.Y"))).status)
    await server.stop(0)
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert states == [serving, not_serving, not_serving, serving]


class ClaimsSlowly(Journal):
    """A journal whose answer to a claim comes late."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.slow, self.claimed, self.answer = threading.Event(), threading.Event(), threading.Event()
        self.answered_in_time = True

    def claim(self, owner: OwningService, *, lease_s: float) -> Claim | None:
        """The claim, once ``answer`` is set."""
        claim = super().claim(owner, lease_s=lease_s)
        if claim is not None and self.slow.is_set():
            self.claimed.set()
            self.answered_in_time = self.answer.wait(30)
        return claim


def test_a_cancel_does_not_wait_for_a_claim(tmp_path: Path) -> None:
    """Neither that of running work, nor that of the version which is being claimed."""
    begun: list[str] = []

    def work(assignment: Assignment) -> None:
        begun.append(assignment.job.job_id)
        assignment.progress.wait(60)

    with ClaimsSlowly.open(url_of(tmp_path), clock=SystemClock()) as journal:
        first = journal.accept(new_job(), limit=MANY).job.job_id
        with running(journal, work, workers=2, heartbeat_s=60.0):
            until(journal, first, lambda _: bool(begun))
            journal.slow.set()
            second = journal.accept(new_job(), limit=MANY).job.job_id
            assert journal.claimed.wait(30)
            for job_id in (first, second):
                journal.cancel("local", job_id)
            journal.answer.set()
            assert {ended(journal, job_id).state for job_id in (first, second)} == {JobState.CANCELLED}
    assert journal.answered_in_time
