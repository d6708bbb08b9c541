"""separation_service in the test's own process: its real parts over a real folder, journal and loan socket, on loopback."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status
from numpy.typing import NDArray

from jobs_service import Feed, JobDeletions, JobMessages, JobsServicer, Retention
from jobs_service.admission_hook import NO_HOOK, AdmissionHook
from jobs_service.upload_meter import UploadMeters
from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from separation_service.api.handoff_servicer import HandoffServicer
from separation_service.api.servicer import GATED_METHODS, SeparationServicer
from separation_service.calls import SeparationCalls
from separation_service.engine import Separator
from separation_service.pipeline import WEIGHTS
from separation_service.scratch import DEFAULT_MEMORY_BYTES, ScratchFolder
from separation_service.timing.eta import EtaEstimator
from separation_service.uploads.admission import UploadAdmission, UploadLimits
from separation_service.uploads.pending import PendingUploads
from separation_service.uploads.work import UploadWork
from separation_service.workers import Workers
from servicekit.access.call_limits import CallLimits
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.audio.wav import read_wav
from servicekit.clock import SystemClock
from servicekit.delivery.manifest_json import manifest_text
from servicekit.gpu_lock import DeviceLock
from servicekit.journal import Journal, OwningService
from servicekit.loans import Borrowings, LoanClient, LoanPool, LoanServer
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.receive import ReceiveLimits
from servicekit.rpc.server import RpcServer
from servicekit.store.folder_store import FolderStore
from servicekit.work import Runner
from sonichaos.handoff.v1 import handoff_pb2_grpc
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2_grpc
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from tests.support.callers import trusting
from tests.support.operations import add_operations
from tests.support.separation_pipeline import JOB_ID, new_pipeline, new_store
from tests.support.separation_pipeline import take_of as make_take
from tests.support.webhooks import add_webhooks

RATE_HZ = 44100
TEN_MINUTES = 600.0
TEN_SECONDS = ReceiveLimits(window_s=10.0)


@dataclass(frozen=True, kw_only=True)
class LiveServer:
    """The service, and the parts that a test looks at."""

    address: str
    peer_address: str
    server: RpcServer
    store: FolderStore
    journal: Journal
    calls: SeparationCalls
    borrowings: Borrowings
    lender: LoanClient
    device_lock: DeviceLock
    scratch: ScratchFolder
    estimator: EtaEstimator
    metrics: Metrics
    folder: Path
    channel: aio.Channel

    @property
    def separation(self) -> Any:
        """Stub of SeparationService."""
        return separation_pb2_grpc.SeparationServiceStub(self.channel)

    @property
    def jobs(self) -> Any:
        """Stub of JobsService."""
        return jobs_service_pb2_grpc.JobsServiceStub(self.channel)


@asynccontextmanager
async def serving(
    folder: Path,
    separator: Separator,
    *,
    calls_limit: int = 4,
    upload_max_bytes: int = 1 << 20,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    receive_limits: ReceiveLimits = TEN_SECONDS,
    hook: AdmissionHook = NO_HOOK,
    gatekeeper: Gatekeeper | None = None,
    metrics: Metrics | None = None,
    call_limits: CallLimits | None = None,
) -> AsyncIterator[LiveServer]:
    """The service over ``folder``, warm and serving on loopback and a Unix socket, by default to every caller."""
    clock, metrics = SystemClock(), metrics or Metrics("separation")
    (folder / "pending").mkdir()
    store, borrowings = new_store(folder), Borrowings()
    pipeline = new_pipeline(folder, separator, store=store, metrics=metrics, clock=clock, memory_bytes=memory_bytes)
    calls = SeparationCalls(pipeline, borrowings, limit=calls_limit, clock=clock, observe=lambda _stage, _seconds: None)
    server = RpcServer(
        metrics=metrics,
        gated_methods=GATED_METHODS,
        service_names=(),
        gatekeeper=gatekeeper or trusting(OwningService.SEPARATION),
        call_limits=call_limits,
    )
    with (
        Journal.open(f"sqlite:///{folder / 'journal.sqlite3'}", clock=clock) as journal,
        LoanServer(folder / "loans.sock", ReceiveCodec(), borrowings),
        calls,
    ):
        admission = UploadAdmission(
            journal=journal,
            store=store,
            clock=clock,
            scratch=pipeline.scratch,
            pending=PendingUploads(folder / "pending", journal, store),
            limits=UploadLimits(max_bytes=upload_max_bytes, max_seconds=TEN_MINUTES, queue_limit=16, max_at_once=4),
            hook=hook,
            tenant_limits=server.call_limits.policy,
        )
        as_message = JobMessages(journal, Retention(events_s=None, jobs_s=None))
        servicer = SeparationServicer(
            pools=server.pools,
            pipeline=pipeline,
            calls=calls,
            admission=admission,
            meters=UploadMeters(journal, server.pools.uploads, server.call_limits.policy),
            as_message=as_message,
            receive_limits=receive_limits,
        )
        separation_pb2_grpc.add_SeparationServiceServicer_to_server(servicer, server.grpc_server)
        handoff_pb2_grpc.add_HandoffServiceServicer_to_server(HandoffServicer(borrowings), server.grpc_server)
        runner = Runner(
            journal, owner=OwningService.SEPARATION, work=UploadWork(pipeline), weights=WEIGHTS, clock=clock
        )
        async with Feed(journal, OwningService.SEPARATION) as feed:
            deletions = JobDeletions(journal, OwningService.SEPARATION, store)
            jobs = JobsServicer(
                feed,
                store,
                deletions,
                pools=server.pools,
                clock=clock,
                queue_limit=16,
                url_ttl_s=60,
                as_message=as_message,
                call_limits=server.call_limits,
            )
            jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(jobs, server.grpc_server)
            add_operations(server, journal, OwningService.SEPARATION, deletions)
            add_webhooks(server, journal)
            listen = [Endpoint("127.0.0.1:0"), Endpoint(f"unix:{folder / 'separation.sock'}")]
            address, peer_address = await server.start(listen)
            await server.serve()
            with (
                Workers(runner, calls, clock=clock),
                LoanPool(max_regions=4) as pool,
                LoanClient(folder / "loans.sock", HandoffCodec(), pool) as lender,
            ):
                async with aio.insecure_channel(address) as channel:
                    yield LiveServer(
                        address=address,
                        peer_address=peer_address,
                        server=server,
                        store=store,
                        journal=journal,
                        calls=calls,
                        borrowings=borrowings,
                        lender=lender,
                        device_lock=pipeline.device_lock,
                        scratch=pipeline.scratch,
                        estimator=pipeline.estimator,
                        metrics=metrics,
                        folder=folder,
                        channel=channel,
                    )
                    await server.stop(0.0)


def take_of(pcm: NDArray[np.int32], store: FolderStore) -> separation_pb2.SeparateTensorRequest:
    """A version's stored bounce and the request for its stems, without a loan."""
    take = make_take(pcm)
    stored = take.stored_as(take.manifest.keys.bounce, store)
    return separation_pb2.SeparateTensorRequest(
        job_id=JOB_ID,
        version=1,
        stem_mode=brief_pb2.STEM_MODE_EXACT,
        manifest_json=manifest_text(take.manifest),
        bounce=job_pb2.StoredFile(key=stored.key, size_bytes=stored.size_bytes, sha256=stored.sha256),
    )


def check_zip(data: bytes, folder: str, *, exact: bool) -> dict[str, Any]:
    """Read a ZIP with the standard library and add its stems up; returns the manifest."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = ("bounce.wav", "drums.wav", "bass.wav", "vocals.wav", "other.wav", "manifest.json")
        assert archive.namelist() == [f"{folder}/{name}" for name in names]
        files = {name: archive.read(f"{folder}/{name}") for name in names}
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    pcm = {name: read_wav(io.BytesIO(files[name]), name=name) for name in names[:-1]}
    assert {samples.shape for samples in pcm.values()} == {(2, manifest["frames"])}
    total = sum(pcm[name].astype(np.int64) for name in names[1:-1])
    assert bool((total == pcm["bounce.wav"]).all()) == exact
    return manifest


def reason_of(error: aio.AioRpcError) -> tuple[grpc.StatusCode, str]:
    """Code and ErrorInfo.reason."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return error.code(), info.reason
    raise AssertionError(f"no ErrorInfo in {error}")
