"""render_service in the test's own process, in a thread of its own: its real servicers over the parts of a test, on loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from jobs_service import Feed, JobMessages, JobsServicer, Retention
from jobs_service.deletion import JobDeletions
from jobs_service.server import GATED_METHODS as JOBS_GATED
from jobs_service.upload_meter import UploadMeters
from render_service.api.servicer import GATED_METHODS, RenderServicer
from render_service.separation.client import SeparationClient
from render_service.usecases.replay import Replayer
from servicekit.access.call_limits import CallLimits
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.clock import SystemClock
from servicekit.journal import OwningService
from servicekit.metrics import Metrics
from servicekit.rpc.endpoints import Endpoint
from servicekit.rpc.server import RpcServer
from sonichaos.jobs.v1 import jobs_service_pb2_grpc
from sonichaos.render.v1 import render_pb2_grpc
from tests.support.callers import trusting
from tests.support.operations import add_operations
from tests.support.render_parts import FINGERPRINT, RenderParts
from tests.support.webhooks import add_webhooks

QUEUE_LIMIT = 10


@contextmanager
def render_in_thread(
    parts: RenderParts,
    separation: SeparationClient,
    gatekeeper: Gatekeeper | None = None,
    metrics: Metrics | None = None,
    call_limits: CallLimits | None = None,
) -> Iterator[str]:
    """A serving render_service without workers, by default one that trusts every caller; gives its address."""
    started: Future[str] = Future()
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        clock = SystemClock()
        server = RpcServer(
            metrics=metrics or Metrics("render"),
            gated_methods=(*GATED_METHODS, *JOBS_GATED),
            service_names=("sonichaos",),
            gatekeeper=gatekeeper or trusting(),
            call_limits=call_limits,
        )
        async with Feed(parts.journal, OwningService.RENDER) as feed:
            as_message = JobMessages(parts.journal, Retention(events_s=None, jobs_s=None))
            servicer = RenderServicer(
                pools=server.pools,
                renders=parts.renders,
                rerenders=parts.rerenders,
                personas=parts.renders.personas,
                journal=parts.journal,
                replayer=Replayer(
                    journal=parts.journal,
                    store=parts.store,
                    renderer=parts.renderer,
                    gpu_lock=parts.gpu_lock,
                    fingerprint=FINGERPRINT,
                    separation=separation,
                ),
                fingerprint=FINGERPRINT,
                clock=clock,
                meters=UploadMeters(parts.journal, server.pools.writes, server.call_limits.policy),
                as_message=as_message,
            )
            render_pb2_grpc.add_RenderServiceServicer_to_server(servicer, server.grpc_server)
            deletions = JobDeletions(parts.journal, OwningService.RENDER, parts.store)
            jobs = JobsServicer(
                feed,
                parts.store,
                deletions,
                pools=server.pools,
                clock=clock,
                queue_limit=QUEUE_LIMIT,
                url_ttl_s=60,
                as_message=as_message,
                call_limits=server.call_limits,
            )
            jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(jobs, server.grpc_server)
            add_operations(server, parts.journal, OwningService.RENDER, deletions)
            add_webhooks(server, parts.journal)
            (address,) = await server.start([Endpoint("127.0.0.1:0")])
            await server.serve()
            started.set_result(address)
            await ended.wait()
            await server.stop(0.2)

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        yield started.result(timeout=60.0)
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()
