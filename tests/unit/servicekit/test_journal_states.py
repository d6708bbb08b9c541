"""A property-based state machine: two hosts use a journal in any order, die, jump in time, and it does what the model says.

A few sequences here, hundreds in `make soak`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from servicekit.errors import FailedPrecondition, NotFound
from servicekit.journal import (
    AuditDraft,
    Checkpoint,
    Claim,
    ClaimLost,
    EventDraft,
    EventKind,
    JobState,
    Journal,
    OwningService,
    WaitState,
)
from tests.support.databases import empty_database
from tests.support.journal_model import Model, ModelHost, ModelVersion
from tests.support.journal_rows import BOUNCE, new_job, new_version, request, url_of
from tests.support.manual_clock import ManualClock

MANY = 1000
TENANTS = ("local", "acme")
LEASE_S = 10.0
RENDER = OwningService.RENDER
MEMORY = Path("/dev/shm")  # noqa: S108  an example's journal needs no disk
HOSTS = st.integers(0, 1)
BESIDE = ["", "working", "waiting"]


class JournalMachine(RuleBasedStateMachine):
    """Two hosts and two tenants. Only :meth:`silence` lets time pass, so that no lease ends by accident."""

    new_url: ClassVar[Callable[[Path], str]]
    sees_death: ClassVar[bool]

    claims = Bundle("claims")
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.exists() else None)
        self._url = type(self).new_url(Path(self._folder.name))
        self._names = count()
        self._tenants: dict[str, str] = {}
        self._clocks = [ManualClock(datetime(2026, 3, 1, 12, tzinfo=UTC)) for _ in range(2)]
        self._model = Model(sees_death=self.sees_death)
        self._journals: list[Journal] = []
        self._hosts: list[ModelHost] = []
        for clock in self._clocks:
            self._start(clock)

    def teardown(self) -> None:
        for journal in self._journals:
            assert all(journal.verify_chain(tenant).intact for tenant in TENANTS)
            journal.close()
        self._folder.cleanup()

    @initialize(target=jobs)
    def first_jobs(self) -> object:
        """Two jobs wait."""
        return multiple(self.accept(0, 0), self.accept(1, 1))

    @rule(target=jobs, host=HOSTS, name=st.integers(0, 5), priority=st.integers(-1, 1))
    def accept(self, host: int, name: int, priority: int = 0) -> object:
        """A request id makes one job, however often and wherever it is sent."""
        tenant = TENANTS[name % 2]
        new = replace(new_job(request(f"r{name}", tenant=tenant)), priority=priority)
        result = self._journals[host].accept(new, limit=MANY)
        known = self._model.requests.get(f"r{name}")
        assert result.created == (known is None)
        if known is not None:
            assert result.job.job_id == known
            return multiple()
        self._model.requests[f"r{name}"] = result.job.job_id
        self._tenants[result.job.job_id] = tenant
        self._model.add(result.job.job_id, 1, tenant=tenant, priority=priority)
        return result.job.job_id

    @rule(target=claims, host=HOSTS)
    def claim(self, host: int) -> object:
        """The host gets what the model says, or nothing."""
        expected = self._model.claim(self._hosts[host])
        claim = self._journals[host].claim(RENDER, lease_s=LEASE_S)
        if claim is None or expected is None:
            assert (claim, expected) == (None, None)
            return multiple()
        assert (claim.version.job_id, claim.version.number) == (expected.job_id, expected.number)
        assert claim.attempt == expected.attempt
        expected.token, expected.host = claim.token, self._hosts[host].number
        self._hosts[host].held.add(claim.token)
        return self._journals[host], claim

    @rule(host=HOSTS)
    def reap(self, host: int) -> None:
        """Ends what the model ends."""
        self._model.reap(self._hosts[host])
        self._journals[host].reap(RENDER)

    @rule(host=HOSTS, beside=st.sampled_from(BESIDE))
    def die_at_work(self, host: int, beside: str) -> None:
        """A process dies with one or two versions, of which it works on both or only on the first, and is noticed."""
        self.claim(host)
        other = self.claim(host) if beside else None
        if beside == "waiting" and isinstance(other, tuple):
            self.write(other, "wait")
        self.crash(host)
        if not self.sees_death:
            self.silence(host)
        self.claim(host)

    @rule(held=claims, kind=st.sampled_from(["heartbeat", "events", "checkpoint", "wait", "work"]))
    def write(self, held: tuple[Journal, Claim], kind: str) -> None:
        """A valid claim is renewed, and writes events, files and one audit row, however often; its work waits and goes on."""
        results = Checkpoint(files=BOUNCE, audit=AuditDraft(kind="BOUNCE", body={}, prompt="p"))
        writes: dict[str, Callable[[Journal, Claim], object]] = {
            "heartbeat": lambda journal, claim: journal.heartbeat(claim),
            "events": lambda journal, claim: journal.append_events(claim, [EventDraft(kind=EventKind.PROGRESS)] * 2),
            "checkpoint": lambda journal, claim: journal.checkpoint(claim, results),
            "wait": lambda journal, claim: journal.append_events(claim, [], WaitState(waiting={"code": 14})),
            "work": lambda journal, claim: journal.append_events(claim, [], WaitState()),
        }
        version = self._written(held, writes[kind])
        if version is not None and kind in {"wait", "work"}:
            version.waiting = kind == "wait"
        if version is not None and kind == "heartbeat":
            for host in self._hosts:
                host.silent.discard(held[1].token)

    @rule(held=claims, kind=st.sampled_from(["finish", "fail", "release", "drop"]))
    def end(self, held: tuple[Journal, Claim], kind: str) -> None:
        """The work is done, fails, gives its version back, or stops without a word. A cancel that came first counts."""
        if kind == "drop":
            held[0].drop(held[1])
            self._forget(held)
            return
        ends: dict[str, tuple[Callable[[Journal, Claim], object], JobState]] = {
            "finish": (lambda journal, claim: journal.finish(claim), JobState.DONE),
            "fail": (lambda journal, claim: journal.fail(claim, {"code": 9}), JobState.FAILED),
            "release": (lambda journal, claim: journal.release(claim), JobState.QUEUED),
        }
        end, state = ends[kind]
        version = self._written(held, end)
        if version is not None:
            cancelled = version.state is JobState.CANCELLING and kind != "fail"
            if kind == "release" and not cancelled:
                self._model.give_back(version)
            version.leave(JobState.CANCELLED if cancelled else state)
            self._forget(held)

    @rule(host=HOSTS)
    def crash(self, host: int) -> None:
        """The process dies and another one starts."""
        self._journals[host].close()
        self._model.alive.discard(self._hosts[host].number)
        self._start(self._clocks[host], at=host)

    @rule(observer=HOSTS)
    def silence(self, observer: int) -> None:
        """One host looks on while nobody else writes for longer than a lease."""
        for _ in range(6):
            self._journals[observer].orphaned_versions(RENDER)
            for clock in self._clocks:
                clock.advance(LEASE_S / 4)
        for host in self._hosts:
            host.silent.clear()  # the other one did not look on
        tokens = {version.token for version in self._model.versions.values() if version.token is not None}
        self._hosts[observer].silent = tokens - self._hosts[observer].held
        self._model.revoke_orphans(self._hosts[observer])

    @rule(host=HOSTS, seconds=st.sampled_from([-3600.0, -60.0, 60.0, 3600.0]))
    def jump(self, host: int, seconds: float) -> None:
        """The time of day of one host is set."""
        self._clocks[host].set_by(seconds)

    @rule(host=HOSTS, job_id=jobs, kind=st.sampled_from(["cancel", "rerender", "retry", "delete", "delete version"]))
    def ask(self, host: int, job_id: str, kind: str) -> None:
        """What callers ask for."""
        asked = {
            "cancel": self._cancel,
            "rerender": self._rerender,
            "retry": self._retry,
            "delete": self._delete,
            "delete version": self._delete_version,
        }
        asked[kind](host, job_id)

    def _cancel(self, host: int, job_id: str) -> None:
        """The newest version that has not ended."""
        versions = self._model.of_job(job_id)
        if not versions:
            with pytest.raises(NotFound):
                self._journals[host].cancel(self._tenants[job_id], job_id)
            return
        self._journals[host].cancel(self._tenants[job_id], job_id)
        version = next((one for one in reversed(versions) if not one.state.ended), versions[-1])
        if version.state is JobState.QUEUED:
            version.leave(JobState.CANCELLED)
        elif version.state is JobState.RUNNING:
            version.state = JobState.CANCELLING

    def _rerender(self, host: int, job_id: str) -> None:
        """The next version; numbers are never reused."""
        versions = self._model.of_job(job_id)
        new = new_version(job_id, request(f"v{next(self._names)}", tenant=self._tenants[job_id], rpc="Rerender"))
        if not versions:
            with pytest.raises(NotFound):
                self._journals[host].accept_version(new, limit=MANY)
            return
        number = self._journals[host].accept_version(new, limit=MANY).version
        assert number == versions[-1].number + 1
        self._model.add(job_id, number, tenant=self._tenants[job_id])

    def _retry(self, host: int, job_id: str) -> None:
        """The newest failed version that was not deleted, at the end of the queue."""
        failed = [one for one in self._model.of_job(job_id) if one.state is JobState.FAILED and not one.deleted]
        if not failed:
            with pytest.raises((FailedPrecondition, NotFound)):
                self._journals[host].retry_version(self._tenants[job_id], job_id, 0, limit=MANY)
            return
        self._journals[host].retry_version(self._tenants[job_id], job_id, 0, limit=MANY)
        version = failed[-1]
        version.leave(JobState.QUEUED)
        version.crashes, version.lost_token, version.place = 0, None, self._model.next_place()
        version.priority = 0

    def _delete(self, host: int, job_id: str) -> None:
        """Only where every version has ended."""
        versions = self._model.of_job(job_id)
        if not versions:
            return
        if any(not version.state.ended for version in versions):
            with pytest.raises(FailedPrecondition):
                self._journals[host].start_delete(self._tenants[job_id], job_id, RENDER)
            return
        self._journals[host].start_delete(self._tenants[job_id], job_id, RENDER)
        self._journals[host].finish_delete(self._tenants[job_id], job_id)
        for version in versions:
            del self._model.versions[version.job_id, version.number]
        self._model.requests = {name: known for name, known in self._model.requests.items() if known != job_id}

    def _delete_version(self, host: int, job_id: str) -> None:
        """The newest re-render, once it has ended; its row stays."""
        tenant, rerenders = self._tenants[job_id], self._model.of_job(job_id)[1:]
        if not rerenders:
            with pytest.raises(NotFound):
                self._journals[host].start_delete_version(tenant, job_id, 2, RENDER)
            return
        version = rerenders[-1]
        if not version.state.ended:
            with pytest.raises(FailedPrecondition):
                self._journals[host].start_delete_version(tenant, job_id, version.number, RENDER)
            return
        deletion = self._journals[host].start_delete_version(tenant, job_id, version.number, RENDER)
        assert (deletion is None) == version.deleted
        if deletion is not None:
            self._journals[host].finish_delete_version(deletion)
        version.deleted = True

    @invariant()
    def the_journal_is_as_the_model(self) -> None:
        """States, attempts, crashes, waits and queue; events without a gap; at most one audit row of a kind for each version."""
        journal = self._journals[0]
        for job_id in {version.job_id for version in self._model.versions.values()}:
            job = journal.job(self._tenants[job_id], job_id)
            found = [(one.number, one.state, one.attempt, one.crashes) for one in job.versions]
            wanted = self._model.of_job(job_id)
            assert found == [(one.number, one.state, one.attempt, one.crashes) for one in wanted]
            assert [one.delete_time is not None for one in job.versions] == [one.deleted for one in wanted]
            assert not any(one.files for one in job.versions if one.delete_time is not None)
            waits = [one.waits.waiting is not None for one in job.versions]
            assert waits == [one.waiting for one in wanted]
            events = journal.events_after(job_id, 0, MANY).events
            assert [event.sequence for event in events] == list(range(1, len(events) + 1))
            for version in job.versions:
                assert len(version.audit_digests) <= 1
                last = [
                    event.state for event in events if event.version == version.number and event.kind is EventKind.STATE
                ][-1]
                assert last is version.state
        queued = [one for one in self._model.versions.values() if one.state is JobState.QUEUED]
        assert journal.count_queued(RENDER) == len(queued)

    def _start(self, clock: ManualClock, at: int | None = None) -> None:
        host = ModelHost(next(self._names))
        self._model.alive.add(host.number)
        journal = Journal.open(self._url, clock=clock)
        if at is None:
            self._journals.append(journal)
            self._hosts.append(host)
        else:
            self._journals[at], self._hosts[at] = journal, host

    def _written(self, held: tuple[Journal, Claim], write: Callable[[Journal, Claim], object]) -> ModelVersion | None:
        """The version that a write of the holder reached; None where the claim is lost or its process has died."""
        journal, claim = held
        if journal not in self._journals:  # its process has died
            return None
        version = self._model.current(claim)
        if version is None:
            with pytest.raises(ClaimLost):
                write(journal, claim)
            self._model.excuse(claim)
            self._forget(held)
            return None
        write(journal, claim)
        return version

    def _forget(self, held: tuple[Journal, Claim]) -> None:
        for host in self._hosts:
            host.held.discard(held[1].token)


def machine(new_url: Callable[[Path], str], *, sees_death: bool) -> type[JournalMachine]:
    """The machine for one database."""
    return type("Machine", (JournalMachine,), {"new_url": staticmethod(new_url), "sees_death": sees_death})


def run(new_url: Callable[[Path], str], *, sees_death: bool, examples: int, steps: int) -> None:
    """Try ``examples`` sequences of ``steps`` calls: always the same few, or random ones where there are many."""
    few = examples < 20
    bounds = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=few,
        phases=[Phase.explicit, Phase.generate] if few else list(Phase),
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine(new_url, sees_death=sees_death), settings=bounds)


@pytest.mark.parametrize("beside", BESIDE)
def test_crashes_count_as_the_model_says(beside: str) -> None:
    """Whatever else the process held when it died, until the versions have failed."""
    state = machine(url_of, sees_death=True)()
    state.first_jobs()
    for _ in range(4):
        state.die_at_work(0, beside)
        state.the_journal_is_as_the_model()
    state.teardown()


@pytest.mark.parametrize(
    ("examples", "steps"), [(5, 20), pytest.param(150, 60, marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_sqlite_does_what_the_model_says(examples: int, steps: int) -> None:
    """In any order of calls, crashes, silences and clock jumps."""
    run(url_of, sees_death=True, examples=examples, steps=steps)


@pytest.mark.parametrize(
    ("examples", "steps"), [(2, 15), pytest.param(30, 60, marks=pytest.mark.soak)], ids=["few", "many"]
)
def test_postgresql_does_what_the_model_says(postgresql: str, examples: int, steps: int) -> None:
    """Likewise; the death of a process shows only by its silence."""
    run(lambda _: empty_database(postgresql, "machine"), sees_death=False, examples=examples, steps=steps)
