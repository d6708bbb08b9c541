"""Watches over gRPC: every event once and in order, whenever the watcher joins, until the version is final."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from servicekit.journal import EventDraft, EventKind, OwningService
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2
from tests.support.callers import as_tenant
from tests.support.jobs_server import ENDED, LARGE, MANY, Wire, refusal, serving
from tests.support.journal_rows import new_job, new_version, open_journal, request


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A running service."""
    with open_journal(tmp_path) as journal:
        async with serving(tmp_path, journal) as running:
            yield running


async def test_a_watch_sends_stored_events_then_live_ones_until_the_version_is_final(wire: Wire) -> None:
    """A watcher that joins in the middle gets each event once and in order; the stream closes with the version's last event."""
    job_id = wire.accept()
    claim = wire.claim()
    watching = asyncio.create_task(wire.watch(job_id))
    for done in range(30):
        await asyncio.to_thread(
            wire.journal.append_events, claim, [EventDraft(kind=EventKind.PROGRESS, steps_done=done)]
        )
    await asyncio.to_thread(wire.journal.finish, claim)
    events = await asyncio.wait_for(watching, 30)
    assert [event.sequence for event in events] == list(range(1, 34))
    assert events[-1].state == job_pb2.JOB_STATE_DONE
    assert [event.sequence for event in await wire.watch(job_id, after=31)] == [32, 33]
    assert await wire.watch(job_id, after=33) == []
    assert await wire.watch(job_id, after=2**63) == []


async def test_whenever_watchers_join_each_sees_every_event_once_in_order(wire: Wire) -> None:
    """Two hundred watchers that join at random moments after random sequence numbers get the later events and no others."""
    draw = random.Random(7)  # noqa: S311
    job_id = wire.accept()
    claim = wire.claim()

    async def join(after: int) -> tuple[int, list[int]]:
        return after, [event.sequence for event in await wire.watch(job_id, after=after)]

    watchers = []
    for burst in range(25):
        count = draw.randrange(1, 6)
        drafts = [EventDraft(kind=EventKind.PROGRESS, steps_done=done) for done in range(count)]
        await asyncio.to_thread(wire.journal.append_events, claim, drafts)
        watchers += [asyncio.create_task(join(draw.choice([0, draw.randrange(60)]))) for _ in range(8)]
        if burst % 3 == 0:
            await asyncio.sleep(draw.random() * 0.02)
    await asyncio.to_thread(wire.journal.finish, claim)
    last = wire.journal.job("local", job_id).last_sequence
    for after, seen in await asyncio.wait_for(asyncio.gather(*watchers), 60):
        assert seen == list(range(after + 1, last + 1))
    assert len(watchers) == 200


class Crowded(ThreadPoolExecutor):
    """One thread, of which the system has no room at first."""

    def __init__(self) -> None:
        super().__init__(1)
        self.refused = asyncio.Event()

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:  # type: ignore[override]
        """As `ThreadPoolExecutor.submit`, which raises this where a thread cannot be started."""
        if not self.refused.is_set():
            self.refused.set()
            raise RuntimeError("can't start new thread")
        return super().submit(*args, **kwargs)


async def test_an_unexpected_error_ends_no_watch(wire: Wire) -> None:
    """All watchers of a service depend on one reader of the journal: it goes on."""
    job_id = wire.accept()
    claim = wire.claim()
    watching = asyncio.create_task(wire.watch(job_id))
    await asyncio.sleep(0)
    crowded = Crowded()
    asyncio.get_running_loop().set_default_executor(crowded)
    await asyncio.wait_for(crowded.refused.wait(), 30)
    wire.journal.finish(claim)
    events = await asyncio.wait_for(watching, 30)
    assert events[-1].state == job_pb2.JOB_STATE_DONE


async def test_a_slow_watcher_misses_no_event(wire: Wire) -> None:
    """A watcher that pauses for more events than a topic keeps still gets each once and in order."""
    job_id = wire.accept()
    claim = wire.claim()
    call = wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id))
    await call.initial_metadata()
    await asyncio.to_thread(wire.journal.append_events, claim, LARGE)
    await asyncio.to_thread(wire.journal.finish, claim)
    assert [answer.event.sequence async for answer in call] == list(range(1, 4 + len(LARGE)))


async def test_a_deletion_ends_the_watch_of_a_slow_watcher(wire: Wire) -> None:
    """Events that it has not read are deleted with the job; its last event is DELETED."""
    job_id = wire.accept()
    claim = wire.claim()
    call = wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id))
    await call.initial_metadata()
    await asyncio.to_thread(wire.journal.append_events, claim, LARGE)
    await asyncio.to_thread(wire.journal.finish, claim)
    await wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id))
    events = [answer.event async for answer in call]
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    if events[-1].kind == job_pb2.EVENT_KIND_DELETED:
        assert sequences[-1] == 4 + len(LARGE)
    else:  # gRPC's window took everything before the deletion: then nothing is missing, and the version's end ends the watch
        assert sequences == list(range(1, 4 + len(LARGE)))


async def test_a_watch_of_a_version_ends_with_that_version(wire: Wire) -> None:
    """It sends the events of all versions and ignores the end of others. By default it ends with the newest version."""
    job_id = wire.accept(stems=False)
    first = wire.claim()
    wire.keep(first, stems=False)
    wire.journal.finish(first)
    wire.journal.accept_version(new_version(job_id), limit=MANY)
    newest = asyncio.create_task(wire.watch(job_id))
    past = await asyncio.wait_for(wire.watch(job_id, version=1), 30)
    assert past[-1].version == 2, "the events so far, of all versions"
    assert not newest.done()
    wire.journal.finish(wire.claim())
    events = await asyncio.wait_for(newest, 30)
    assert [event.version for event in events] == [1, 1, 1, 2, 2, 2]
    asked = jobs_service_pb2.WatchJobRequest(job_id=job_id, version=3)
    assert (await refusal(wire.stub.WatchJob(asked).read()))[1] == "VERSION_NOT_FOUND"


async def test_a_version_that_is_queued_again_is_watched_to_its_second_end(wire: Wire) -> None:
    """After AddStems, a watch from the first event goes on past the first end and closes with the second."""
    job_id = wire.accept(stems=False)
    claim = wire.claim()
    wire.keep(claim, stems=False)
    wire.journal.finish(claim)
    answer = await wire.stub.AddStems(
        jobs_service_pb2.AddStemsRequest(job_id=job_id, stem_mode=brief_pb2.STEM_MODE_RAW)
    )
    assert answer.job.versions[0].stems_wanted
    assert answer.job.versions[0].brief.stem_mode == brief_pb2.STEM_MODE_RAW
    watching = asyncio.create_task(wire.watch(job_id))
    await asyncio.sleep(0.05)
    again = wire.claim()
    wire.keep(again)
    wire.journal.finish(again)
    events = await asyncio.wait_for(watching, 30)
    assert [event.state in ENDED for event in events] == [False, False, True, False, False, True]
    code, reason, metadata = await refusal(wire.stub.AddStems(jobs_service_pb2.AddStemsRequest(job_id=job_id)))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    assert metadata == {"job_id": job_id, "version": "1", "state": "DONE"}


async def test_a_failed_version_is_retried_and_watched_to_its_second_end(wire: Wire) -> None:
    """RetryVersion queues it; one that is done is refused."""
    job_id = wire.accept(stems=False)
    wire.journal.fail(wire.claim(), {"code": 9, "message": "m"})
    answer = await wire.stub.RetryVersion(jobs_service_pb2.RetryVersionRequest(job_id=job_id))
    assert answer.job.versions[0].state == job_pb2.JOB_STATE_QUEUED
    assert not answer.job.versions[0].HasField("error")
    wire.journal.finish(wire.claim())
    assert [event.state in ENDED for event in await wire.watch(job_id)] == [False, False, True, False, False, True]
    asked = jobs_service_pb2.RetryVersionRequest(job_id=job_id)
    assert (await refusal(wire.stub.RetryVersion(asked)))[1] == "WRONG_STATE"


async def test_watch_jobs_sends_every_event_of_the_caller_and_resumes_from_a_cursor(wire: Wire) -> None:
    """All watchers see the events of all jobs in one order. The cursor of any event resumes after it. Other tenants see nothing."""
    watch = wire.stub.WatchJobs(jobs_service_pb2.WatchJobsRequest())
    await watch.initial_metadata()
    jobs = [wire.accept() for _ in range(3)]
    wire.journal.accept(new_job(request(tenant="other")), limit=MANY)
    wire.journal.accept(new_job(owner=OwningService.SEPARATION), limit=MANY)
    for job_id in jobs:
        wire.journal.cancel("local", job_id)
    seen = [(await watch.read()).event for _ in range(9)]
    watch.cancel()
    assert [event.job_id for event in seen] == jobs + [job_id for job_id in jobs for _ in range(2)]
    for start in (0, 4, 7):
        resumed = wire.stub.WatchJobs(jobs_service_pb2.WatchJobsRequest(cursor=seen[start].cursor))
        rest = [(await resumed.read()).event for _ in range(8 - start)]
        assert rest == seen[start + 1 :]
        resumed.cancel()
    for cursor, metadata in ((seen[0].cursor, as_tenant("other")), ("12", ()), (seen[0].cursor[:-4] + "AAAA", ())):
        asked = wire.stub.WatchJobs(jobs_service_pb2.WatchJobsRequest(cursor=cursor), metadata=metadata)
        assert (await refusal(asked.read()))[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TOKEN")


async def test_events_of_another_process_are_sent_too(wire: Wire, tmp_path: Path) -> None:
    """Events committed through another open journal are found by polling."""
    job_id = wire.accept()
    watching = asyncio.create_task(wire.watch(job_id))
    with open_journal(tmp_path) as other:
        await asyncio.to_thread(other.cancel, "local", job_id)
    assert len(await asyncio.wait_for(watching, 30)) == 3


async def test_closing_a_watch_does_not_stop_the_job(wire: Wire) -> None:
    """After a watcher disconnects the job still runs, and the service drops the watcher."""
    job_id = wire.accept()
    claim = wire.claim()
    call = wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id))
    assert (await call.read()).event.sequence == 1
    call.cancel()
    reply = await asyncio.to_thread(wire.journal.heartbeat, claim)
    assert not reply.cancel_requested
