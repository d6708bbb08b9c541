"""A running JobsService on loopback over a real journal and a real store, and how its refusals are read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from jobs_service import Feed, JobDeletions, JobMessages, JobsServicer, Retention
from jobs_service.admission_hook import NO_HOOK, AdmissionHook
from jobs_service.server import GATED_METHODS
from servicekit.access.call_limits import CallLimits
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.clock import SystemClock
from servicekit.delivery.keys import VersionKeys
from servicekit.journal import Checkpoint, Claim, EventDraft, EventKind, Journal, OwningService, Stage
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RECHECK_S, RpcServer
from servicekit.store.folder_store import FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.url_signer import UrlSigner
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from tests.support.callers import trusting
from tests.support.journal_rows import new_job
from tests.support.webhooks import LOOPBACK_TOO, add_webhooks

MANY = 1000
KEEP_ALL = Retention(events_s=None, jobs_s=None)
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

    async def watch(self, job_id: str, after: int = 0, version: int = 0, **call: Any) -> list[job_pb2.JobEvent]:
        """A watch to its end."""
        asked = jobs_service_pb2.WatchJobRequest(job_id=job_id, version=version, after_sequence=after)
        return [answer.event async for answer in self.stub.WatchJob(asked, **call)]

    def accept(self, **options: Any) -> str:
        """A new job's id."""
        return self.journal.accept(new_job(**options), limit=MANY).job.job_id

    def claim(self) -> Claim:
        """The next version."""
        claim = self.journal.claim(OwningService.RENDER, lease_s=600)
        assert claim is not None
        return claim

    def keep(self, claim: Claim, *, stems: bool = True) -> None:
        """Store small files and keep them."""
        keys, files = VersionKeys(claim.version.job_id, claim.version.number), {}
        for kind, key in [("bounce", keys.bounce), *([("zip", keys.zip)] if stems else [])]:
            stored = self.store.put_bytes(key, kind.encode() * 100, content_type="audio/wav")
            files[kind] = {"key": stored.key, "sizeBytes": str(stored.size_bytes), "sha256": stored.sha256}
        self.journal.checkpoint(claim, Checkpoint(files=files, stage=Stage.BOUNCE))


@asynccontextmanager
async def serving(
    folder: Path,
    journal: Journal,
    *,
    hook: AdmissionHook = NO_HOOK,
    gatekeeper: Gatekeeper | None = None,
    call_limits: CallLimits | None = None,
    retention: Retention = KEEP_ALL,
    recheck_s: float = RECHECK_S,
    more_endpoints: Sequence[Endpoint] = (),
) -> AsyncIterator[Wire]:
    """The service on a free port of loopback, with the folder store's own URL endpoint. Without a gatekeeper all are trusted."""
    secret = bytes(range(32))
    probe = FolderStore(folder / "store", UrlSigner(base_url="http://x", secret=secret, now=SystemClock().now))
    async with FolderUrlServer(probe, host="127.0.0.1", port=0) as urls, Feed(journal, OwningService.RENDER) as feed:
        probe.signer = UrlSigner(base_url=f"http://127.0.0.1:{urls.port}", secret=secret, now=SystemClock().now)
        rpc = RpcServer(
            metrics=Metrics("render"),
            gated_methods=GATED_METHODS,
            service_names=(NAME,),
            gatekeeper=gatekeeper or trusting(),
            call_limits=call_limits,
            recheck_s=recheck_s,
        )
        deletions = JobDeletions(journal, OwningService.RENDER, probe)
        servicer = JobsServicer(
            feed,
            probe,
            deletions,
            pools=rpc.pools,
            clock=SystemClock(),
            queue_limit=4,
            url_ttl_s=600,
            as_message=JobMessages(journal, retention),
            hook=hook,
            call_limits=rpc.call_limits,
        )
        jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(servicer, rpc.grpc_server)
        add_webhooks(rpc, journal, policy=LOOPBACK_TOO, limit=3)
        address, *_ = await rpc.start([Endpoint("127.0.0.1:0"), *more_endpoints])
        await rpc.serve()
        async with aio.insecure_channel(address) as channel:
            stub: Any = jobs_service_pb2_grpc.JobsServiceStub(channel)
            yield Wire(journal, probe, stub, rpc)
        await rpc.stop(0.1)


@contextmanager
def serving_in_thread(folder: Path, journal: Journal) -> Iterator[Wire]:
    """As `serving`, in a thread of its own, for tests that call the service from other processes."""
    started: Future[Wire] = Future()
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with serving(folder, journal) as wire:
            started.set_result(wire)
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        yield started.result(timeout=60.0)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def reason_of(error: aio.AioRpcError) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Code, reason and metadata of a refusal."""
    (details,) = [value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"]
    info = error_details_pb2.ErrorInfo()
    for detail in status_pb2.Status.FromString(details if isinstance(details, bytes) else details.encode()).details:
        detail.Unpack(info)
    return error.code(), info.reason, dict(info.metadata)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """How a call is refused."""
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    return reason_of(refused.value)
