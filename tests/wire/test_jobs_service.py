"""JobsService on a real server over a real journal and store: rows, watches, steering, files."""

from __future__ import annotations

import asyncio
import random
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from jobs_service import Feed, JobsServicer
from jobs_service.server import GATED_METHODS
from servicekit.clock import SystemClock
from servicekit.journal import AuditDraft, Claim, EventDraft, EventKind, Journal, Owner, Stage, Track
from servicekit.metrics import Metrics
from servicekit.rpc.server import RpcServer
from servicekit.store.folder_store import FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.url_signer import UrlSigner
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from tests.unit.servicekit.journal_rows import new_job, new_version, open_journal, request

MANY = 1000
# More than the feed keeps for all, and more than the connection buffers for one that does not read.
LARGE = [EventDraft(kind=EventKind.PROGRESS, error={"message": "x" * 20_000})] * 300
NAME = "sonichaos.jobs.v1.JobsService"
ENDED = {job_pb2.JOB_STATE_DONE, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED}


@dataclass
class Wire:
    """A running server and a way to call it as the tenant ``local`` or another."""

    journal: Journal
    store: FolderStore
    stub: jobs_service_pb2_grpc.JobsServiceAsyncStub
    rpc: RpcServer

    async def watch(self, job_id: str, after: int = 0, version: int = 0, **call: Any) -> list[job_pb2.JobEvent]:  # noqa: ANN401
        """A watch to its end."""
        asked = jobs_service_pb2.WatchJobRequest(job_id=job_id, version=version, after_sequence=after)
        return [answer.event async for answer in self.stub.WatchJob(asked, **call)]

    def accept(self, **options: Any) -> str:  # noqa: ANN401
        """A new job's id."""
        return self.journal.accept(new_job(**options), limit=MANY).job.job_id

    def claim(self) -> Claim:
        """The next version."""
        claim = self.journal.claim(Owner.RENDER, lease_s=600)
        assert claim is not None
        return claim

    def keep(self, claim: Claim, *, stems: bool = True) -> None:
        """Store small files and keep them."""
        job_id, files = claim.version.job_id, {}
        for kind, name in [("bounce", "bounce.wav"), *([("zip", "v1.zip")] if stems else [])]:
            stored = self.store.put_bytes(f"jobs/{job_id}/{name}", kind.encode() * 100, content_type="audio/wav")
            files[kind] = {"key": stored.key, "sizeBytes": str(stored.size_bytes), "sha256": stored.sha256}
        self.journal.keep(claim, files=files, stage=Stage.BOUNCE)


def tenant_of(context: aio.ServicerContext[Any, Any]) -> str:
    """Named by the test."""
    return dict(context.invocation_metadata() or ()).get("tenant", "local")


@asynccontextmanager
async def serving(folder: Path, journal: Journal) -> AsyncIterator[Wire]:
    """The service on a free port of loopback, with the folder store's own URL endpoint."""
    secret = bytes(range(32))
    probe = FolderStore(folder / "store", UrlSigner(base_url="http://x", secret=secret, now=SystemClock().now))
    async with FolderUrlServer(probe, host="127.0.0.1", port=0) as urls, Feed(journal, Owner.RENDER) as feed:
        probe.signer = UrlSigner(base_url=f"http://127.0.0.1:{urls.port}", secret=secret, now=SystemClock().now)
        rpc = RpcServer(metrics=Metrics("render"), gated_methods=GATED_METHODS, service_names=(NAME,))
        servicer = JobsServicer(feed, probe, tenant_of=tenant_of, queue_limit=4, url_lifetime_s=600)
        jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(servicer, rpc.grpc_server)
        (address,) = await rpc.start(["127.0.0.1:0"])
        await rpc.serve()
        async with aio.insecure_channel(address) as channel:
            stub: Any = jobs_service_pb2_grpc.JobsServiceStub(channel)
            yield Wire(journal, probe, stub, rpc)
        await rpc.stop(0.1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with open_journal(tmp_path) as opened:
        yield opened


@pytest.fixture
async def wire(tmp_path: Path, journal: Journal) -> AsyncIterator[Wire]:
    """A running service."""
    async with serving(tmp_path, journal) as running:
        yield running


def reason_of(error: aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Code, reason and metadata of a refusal."""
    (details,) = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(details if isinstance(details, bytes) else details.encode()).details:
        detail.Unpack(info)
    return error.code(), info.reason, dict(info.metadata)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:  # noqa: ANN401
    """How a call is refused."""
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    return reason_of(refused.value)


async def test_a_row_says_everything_that_the_journal_knows(wire: Wire) -> None:
    """Brief, files, error details, timings, loudness, progress, digests and times come through as their messages."""
    job_id = wire.accept(labels={"album": "one"})
    claim = wire.claim()
    wire.keep(claim)
    event = EventDraft(
        kind=EventKind.PROGRESS, track=Track.STEMS, stage=Stage.SEPARATE, attempt=1, fraction=0.5, time_left_s=1.5
    )
    timing = {"stage": "STAGE_DENOISE", "duration": "1.250s", "attempt": 1}
    audit = AuditDraft(kind="bounce", body={}, prompt=None)
    wire.journal.keep(claim, loudness={"lufs": -14.5}, timings=[timing], events=[event], audit=audit)
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "NOT_FINITE",
        "metadata": {"stage": "VOCODE"},
    }
    wire.journal.fail(claim, {"code": 13, "message": "NaN", "details": [info]})
    job = (await wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id))).job
    (version,) = job.versions
    assert (job.owner, job.state, job.tenant) == (job_pb2.JOB_OWNER_RENDER, job_pb2.JOB_STATE_FAILED, "local")
    assert (job.brief.seed, job.brief.stem_mode, job.brief.seconds) == (7, brief_pb2.STEM_MODE_EXACT, 8.0)
    assert version.files.bounce.key == f"jobs/{job_id}/bounce.wav"
    assert version.timings[0].duration.ToMilliseconds() == 1250
    assert (version.loudness.lufs, version.loudness.HasField("true_peak_dbtp")) == (-14.5, False)
    assert version.progress[0].fraction == 0.5
    assert version.progress[0].estimated_time_left.ToMilliseconds() == 1500
    assert len(version.audit_digests) == 1
    unpacked = error_details_pb2.ErrorInfo()
    assert version.error.details[0].Unpack(unpacked)
    assert unpacked.reason == "NOT_FINITE"
    assert version.end_time.ToDatetime(tzinfo=UTC) >= version.start_time.ToDatetime(tzinfo=UTC)
    assert not version.HasField("queue_position")


async def test_a_watch_gives_past_and_coming_events_until_the_version_ends(wire: Wire) -> None:
    """Joined in the middle it gives each event once in order, and ends with the end of the version."""
    job_id = wire.accept()
    claim = wire.claim()
    watching = asyncio.create_task(wire.watch(job_id))
    for done in range(30):
        await asyncio.to_thread(wire.journal.append, claim, [EventDraft(kind=EventKind.PROGRESS, steps_done=done)])
    await asyncio.to_thread(wire.journal.finish, claim)
    events = await asyncio.wait_for(watching, 30)
    assert [event.sequence for event in events] == list(range(1, 34))
    assert events[-1].state == job_pb2.JOB_STATE_DONE
    assert [event.sequence for event in await wire.watch(job_id, after=31)] == [32, 33]
    assert await wire.watch(job_id, after=33) == []
    assert await wire.watch(job_id, after=2**63) == []


async def test_whenever_watchers_join_each_sees_every_event_once_in_order(wire: Wire) -> None:
    """Two hundred watchers that join at random moments after random numbers all see what comes after, and nothing else."""
    draw = random.Random(7)  # noqa: S311
    job_id = wire.accept()
    claim = wire.claim()

    async def join(after: int) -> tuple[int, list[int]]:
        return after, [event.sequence for event in await wire.watch(job_id, after=after)]

    watchers = []
    for burst in range(25):
        count = draw.randrange(1, 6)
        drafts = [EventDraft(kind=EventKind.PROGRESS, steps_done=done) for done in range(count)]
        await asyncio.to_thread(wire.journal.append, claim, drafts)
        watchers += [asyncio.create_task(join(draw.choice([0, draw.randrange(60)]))) for _ in range(8)]
        if burst % 3 == 0:
            await asyncio.sleep(draw.random() * 0.02)
    await asyncio.to_thread(wire.journal.finish, claim)
    last = wire.journal.job("local", job_id).last_sequence
    for after, seen in await asyncio.wait_for(asyncio.gather(*watchers), 60):
        assert seen == list(range(after + 1, last + 1))
    assert len(watchers) == 200


async def test_a_slow_watcher_falls_behind_and_loses_nothing(wire: Wire) -> None:
    """One that reads nothing while more events come than are kept for all still gets each once, in order."""
    job_id = wire.accept()
    claim = wire.claim()
    call = wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id))
    await call.initial_metadata()
    await asyncio.to_thread(wire.journal.append, claim, LARGE)
    await asyncio.to_thread(wire.journal.finish, claim)
    assert [answer.event.sequence async for answer in call] == list(range(1, 4 + len(LARGE)))


async def test_a_deletion_ends_the_watch_of_one_who_is_behind(wire: Wire) -> None:
    """What it had not read is gone with the job; the last that it hears is that the job was deleted."""
    job_id = wire.accept()
    claim = wire.claim()
    call = wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id))
    await call.initial_metadata()
    await asyncio.to_thread(wire.journal.append, claim, LARGE)
    await asyncio.to_thread(wire.journal.finish, claim)
    await wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id))
    events = [answer.event async for answer in call]
    sequences = [event.sequence for event in events]
    assert sequences == sorted(set(sequences))
    assert (events[-1].kind, events[-1].sequence) == (job_pb2.EVENT_KIND_DELETED, 4 + len(LARGE))


async def test_a_watch_of_a_version_ends_with_that_version(wire: Wire) -> None:
    """The end of another version does not end it; by default it is the newest one; all versions' events are told."""
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


async def test_a_version_that_is_queued_again_is_watched_to_its_new_end(wire: Wire) -> None:
    """After AddStems a watch from the first event passes over the old end and ends with the new one."""
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


async def test_following_gives_every_event_of_the_caller_and_resumes_from_a_cursor(wire: Wire) -> None:
    """Events of all jobs come in one order; from any event's cursor on the rest comes again; others' jobs never show."""
    follow = wire.stub.FollowJobs(jobs_service_pb2.FollowJobsRequest())
    await follow.initial_metadata()
    jobs = [wire.accept() for _ in range(3)]
    wire.journal.accept(new_job(request(tenant="other")), limit=MANY)
    wire.journal.accept(new_job(owner=Owner.SEPARATION), limit=MANY)
    for job_id in jobs:
        wire.journal.cancel("local", job_id)
    seen = [(await follow.read()).event for _ in range(9)]
    follow.cancel()
    assert [event.job_id for event in seen] == jobs + [job_id for job_id in jobs for _ in range(2)]
    for start in (0, 4, 7):
        resumed = wire.stub.FollowJobs(jobs_service_pb2.FollowJobsRequest(cursor=seen[start].cursor))
        rest = [(await resumed.read()).event for _ in range(8 - start)]
        assert rest == seen[start + 1 :]
        resumed.cancel()
    for cursor, metadata in ((seen[0].cursor, (("tenant", "other"),)), ("12", ()), (seen[0].cursor[:-4] + "AAAA", ())):
        asked = wire.stub.FollowJobs(jobs_service_pb2.FollowJobsRequest(cursor=cursor), metadata=metadata)
        assert (await refusal(asked.read()))[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TOKEN")


async def test_events_of_another_process_come_too(wire: Wire, tmp_path: Path) -> None:
    """What is committed through another open journal reaches the watchers by polling."""
    job_id = wire.accept()
    watching = asyncio.create_task(wire.watch(job_id))
    with open_journal(tmp_path) as other:
        await asyncio.to_thread(other.cancel, "local", job_id)
    assert len(await asyncio.wait_for(watching, 30)) == 3


async def test_leaving_a_watch_stops_nothing(wire: Wire) -> None:
    """A watcher that hangs up leaves the job running, and the service forgets the watcher."""
    job_id = wire.accept()
    claim = wire.claim()
    call = wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id))
    assert (await call.read()).event.sequence == 1
    call.cancel()
    orders = await asyncio.to_thread(wire.journal.heartbeat, claim)
    assert not orders.cancel


async def test_a_cancel_is_accepted_at_once_and_carried_out(wire: Wire) -> None:
    """A running version answers CANCELLING, and its worker hears the order; an ended one stays as it is."""
    job_id = wire.accept()
    claim = wire.claim()
    answer = await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
    assert answer.job.state == job_pb2.JOB_STATE_CANCELLING
    assert wire.journal.heartbeat(claim).cancel
    wire.journal.cancelled(claim)
    again = await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id, version=1))
    assert again.job.state == job_pb2.JOB_STATE_CANCELLED


async def test_a_deleted_job_is_gone_with_its_files(wire: Wire) -> None:
    """A running job is refused; afterwards row and files are gone, others' files stay, and followers hear of it."""
    job_id, other = wire.accept(), wire.accept()
    claim = wire.claim()
    wire.keep(claim)
    wire.store.put_bytes(f"jobs/{other}/bounce.wav", b"stays", content_type="audio/wav")
    refused = await refusal(wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id)))
    assert refused[:2] == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE")
    wire.journal.finish(claim)
    follow = wire.stub.FollowJobs(jobs_service_pb2.FollowJobsRequest())
    await follow.initial_metadata()
    await wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id))
    event = (await follow.read()).event
    follow.cancel()
    assert (event.kind, event.job_id) == (job_pb2.EVENT_KIND_DELETED, job_id)
    assert list(wire.store.keys("jobs")) == [f"jobs/{other}/bounce.wav"]
    for call in (
        wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id)),
        wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id)),
        wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id)).read(),
    ):
        assert await refusal(call) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", {"job_id": job_id})


async def test_another_tenants_job_is_not_found_by_any_call(wire: Wire) -> None:
    """Every RPC answers as if the job did not exist, and the same for a job of the other service."""
    foreign = wire.accept(owner=Owner.SEPARATION)
    mine = wire.accept()
    for job_id, metadata in ((mine, (("tenant", "other"),)), (foreign, ())):
        calls = [
            wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id), metadata=metadata),
            wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id), metadata=metadata),
            wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job_id), metadata=metadata),
            wire.stub.AddStems(jobs_service_pb2.AddStemsRequest(job_id=job_id), metadata=metadata),
            wire.stub.CreateSignedUrl(jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id), metadata=metadata),
            wire.stub.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job_id), metadata=metadata).read(),
        ]
        for call in calls:
            assert (await refusal(call))[:2] == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert wire.journal.job("local", mine).state == "QUEUED"


async def test_a_list_is_paged_and_filtered(wire: Wire) -> None:
    """Pages hold this service's jobs newest first; wrong states, tokens and labels are named field by field."""
    jobs = [wire.accept(labels={"n": str(number % 2)}) for number in range(5)]
    wire.accept(owner=Owner.SEPARATION)
    listed, token = [], ""
    while True:
        page = await wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest(page_size=2, page_token=token))
        listed += [job.job_id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert sorted(listed) == sorted(jobs)
    asked = jobs_service_pb2.ListJobsRequest(states=[job_pb2.JOB_STATE_QUEUED], labels={"n": "1"}, page_size=10**6)
    assert len((await wire.stub.ListJobs(asked)).jobs) == 2
    late = jobs_service_pb2.ListJobsRequest()
    late.created_after_time.FromDatetime(datetime(2999, 1, 1, tzinfo=UTC))
    assert not (await wire.stub.ListJobs(late)).jobs
    wrong = jobs_service_pb2.ListJobsRequest(states=[77], persona_id="\0")
    assert (await refusal(wire.stub.ListJobs(wrong)))[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    lie = jobs_service_pb2.ListJobsRequest(page_token="abc")
    assert (await refusal(wire.stub.ListJobs(lie)))[:2] == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_TOKEN")


def fetch(url: str, **headers: str) -> tuple[int, bytes]:
    """GET."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""


async def test_a_signed_url_fetches_the_file_it_was_made_for(wire: Wire) -> None:
    """By default the ZIP, else the bounce; a missing file and a lifetime out of range are refused by name."""
    job_id = wire.accept()
    asked = jobs_service_pb2.CreateSignedUrlRequest(job_id=job_id)
    code, reason, metadata = await refusal(wire.stub.CreateSignedUrl(asked))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND")
    assert metadata == {"job_id": job_id, "version": "1", "kind": "bounce"}
    wire.keep(wire.claim())
    answer = await wire.stub.CreateSignedUrl(asked)
    assert answer.file.key == f"jobs/{job_id}/v1.zip"
    assert await asyncio.to_thread(fetch, answer.url) == (200, b"zip" * 100)
    assert await asyncio.to_thread(fetch, answer.url, Range="bytes=3-8") == (206, b"zipzip")
    assert (await asyncio.to_thread(fetch, answer.url.replace("v1.zip", "bounce.wav")))[0] == 403
    asked.kind = jobs_service_pb2.FILE_KIND_BOUNCE
    assert (await wire.stub.CreateSignedUrl(asked)).file.key.endswith("bounce.wav")
    asked.lifetime.seconds = 8 * 24 * 3600
    assert (await refusal(wire.stub.CreateSignedUrl(asked)))[1] == "INVALID_FIELD"


async def test_a_draining_service_still_shows_but_takes_no_new_stems(wire: Wire) -> None:
    """AddStems is refused as DRAINING, while rows, watches and cancels go on."""
    job_id = wire.accept()
    await wire.rpc.drain()
    assert (await refusal(wire.stub.AddStems(jobs_service_pb2.AddStemsRequest(job_id=job_id))))[1] == "DRAINING"
    await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
    assert (await wire.watch(job_id))[-1].state == job_pb2.JOB_STATE_CANCELLED
