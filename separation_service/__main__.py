"""``python -m separation_service``: reads the environment, builds everything, serves."""

from __future__ import annotations

import os

# Before gRPC is imported: its C core writes a line to stderr for each failed TLS handshake, and waits for a reader of stderr.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import asyncio
from contextlib import AsyncExitStack

from jobs_service import Feed, JobDeletions, JobMessages, JobsServicer, Retention, UpkeepThreads
from jobs_service.admission_hook import open_admission_hook
from jobs_service.operations_servicer import NAME as OPERATIONS
from jobs_service.operations_servicer import OperationsServicer
from jobs_service.rpc_scopes import rpc_scopes
from jobs_service.server import GATED_METHODS as JOBS_GATED
from jobs_service.upload_meter import UploadMeters
from jobs_service.webhook_servicer import NAME as WEBHOOKS
from jobs_service.webhooks import open_webhooks
from separation_service.api.handoff_codec import ReceiveCodec
from separation_service.api.handoff_servicer import HandoffServicer
from separation_service.api.servicer import GATED_METHODS, SeparationServicer
from separation_service.calls import SeparationCalls
from separation_service.engine import EngineOptions, Separator, load_separator
from separation_service.pipeline import WEIGHTS, SeparationPipeline
from separation_service.scratch import ScratchFolder
from separation_service.settings import SeparationSettings
from separation_service.timing.eta import EtaEstimator
from separation_service.timing.latency_budget import LatencyBudget
from separation_service.uploads.admission import UploadAdmission, UploadLimits
from separation_service.uploads.header import erase_uploads
from separation_service.uploads.pending import PendingUploads
from separation_service.uploads.work import UploadWork, remove_orphans
from separation_service.workers import Workers
from servicekit.access.call_limits import CallLimits
from servicekit.access.limits import LimitPolicy
from servicekit.certificates import CertificateWatch, open_server_certificate
from servicekit.clock import Clock
from servicekit.errors import ServiceError
from servicekit.faults import Faults
from servicekit.fingerprint import host_fingerprint, merge
from servicekit.gpu_lock import DeviceLock, SharedGpuLock
from servicekit.host_settings import CLIENT_VARIABLES
from servicekit.injected import FaultyDeviceLock
from servicekit.installation import (
    check_addresses,
    check_store,
    device_lock,
    open_faults,
    open_gatekeeper,
    open_installation,
    serve_metrics,
)
from servicekit.journal import DataKind, Journal, OwningService, Stage
from servicekit.loans import Borrowings, LoanServer
from servicekit.logs import configure_logs, logger
from servicekit.metrics import Metrics
from servicekit.rpc.access_log import AccessLog
from servicekit.rpc.endpoints import plan_endpoints, split_addresses
from servicekit.rpc.receive import ReceiveLimits
from servicekit.rpc.server import RpcServer
from servicekit.serving import ServiceProcess, StopRequest, end_process, exit_unusable
from servicekit.settings import SettingsError, read_settings
from servicekit.socket_path import SocketPathError
from servicekit.store.object_store import ObjectStore
from servicekit.work import RetryPolicy, Runner
from sonichaos.handoff.v1 import handoff_pb2_grpc
from sonichaos.jobs.v1 import jobs_service_pb2_grpc
from sonichaos.operations.v1 import operations_pb2_grpc
from sonichaos.separation.v1 import separation_pb2_grpc

NAME = "separation_service"
_SERVICES = (
    "sonichaos.separation.v1.SeparationService",
    "sonichaos.handoff.v1.HandoffService",
    "sonichaos.jobs.v1.JobsService",
    OPERATIONS,
    WEBHOOKS,
)
_HANDOFF_GATED = ("/sonichaos.handoff.v1.HandoffService/SendTensor",)
_OTHERS = ("SONICHAOS_RENDERER",)
_log = logger(__name__)


async def serve(settings: SeparationSettings, faults: Faults) -> None:
    """Build the service and run it until a signal."""
    metrics = Metrics("separation")
    async with AsyncExitStack() as resources:
        opened = open_installation(NAME, settings, faults, resources)
        clock, journal, store = opened.clock, opened.journal, opened.store
        for folder in (settings.spool_folder, settings.pending_uploads_folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        scratch, pending = _without_leftovers(settings, journal, store)
        pipeline = await asyncio.to_thread(_pipeline, settings, store, scratch, metrics, clock, faults=faults)
        borrowings = Borrowings()
        resources.enter_context(LoanServer(settings.loans_socket, ReceiveCodec(), borrowings))
        calls = resources.enter_context(
            SeparationCalls(
                pipeline,
                borrowings,
                limit=settings.separation_calls,
                clock=clock,
                observe=lambda stage, seconds: _observe(metrics, stage, seconds),
                faults=faults,
            )
        )
        certificate = open_server_certificate(settings)
        endpoints = plan_endpoints(
            socket=settings.listen_socket,
            listen=split_addresses(settings.separation_listen),
            mtls_listen=split_addresses(settings.separation_mtls_listen),
            certificate=certificate,
            insecure=settings.insecure,
        )
        certificates = resources.enter_context(CertificateWatch({"server": certificate}, metrics))
        addresses = [endpoint.address for endpoint in endpoints]
        gatekeeper = await open_gatekeeper(
            settings, journal, resources, rpc_scopes(OwningService.SEPARATION), *addresses
        )
        gated = (*GATED_METHODS, *_HANDOFF_GATED, *JOBS_GATED)
        server = RpcServer(
            metrics=metrics,
            gated_methods=gated,
            service_names=_SERVICES,
            gatekeeper=gatekeeper,
            call_limits=CallLimits(LimitPolicy.of_settings(settings)),
            access_log=AccessLog(prompts=settings.access_log_prompts),
        )
        feed = await resources.enter_async_context(Feed(journal, OwningService.SEPARATION))
        admission = UploadAdmission(
            journal=journal,
            store=store,
            clock=clock,
            scratch=scratch,
            pending=pending,
            limits=_limits(settings),
            hook=open_admission_hook(settings, metrics, resources),
            tenant_limits=server.call_limits.policy,
        )
        upkeep = UpkeepThreads(
            journal,
            OwningService.SEPARATION,
            store,
            settings,
            faults=faults,
            erase_files=lambda tenant: {DataKind.UPLOADS: erase_uploads(tenant, store)},
        )
        resources.enter_context(upkeep)
        _mount(
            server,
            settings,
            journal=journal,
            store=store,
            pipeline=pipeline,
            calls=calls,
            admission=admission,
            feed=feed,
            deletions=upkeep.deletions,
            clock=clock,
        )
        webhooks = open_webhooks(
            settings, journal, OwningService.SEPARATION, server, metrics=metrics, resources=resources, faults=faults
        )
        stopping = StopRequest(settings.drain_seconds)
        operations = OperationsServicer(upkeep.erasures, pools=server.pools, stop=stopping.stop)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server.grpc_server)
        handoff_pb2_grpc.add_HandoffServiceServicer_to_server(HandoffServicer(borrowings), server.grpc_server)
        runner = Runner(
            journal,
            owner=OwningService.SEPARATION,
            work=UploadWork(pipeline),
            weights=WEIGHTS,
            clock=clock,
            workers=settings.separation_workers,
            lease_s=settings.lease_seconds,
            remove_orphans=lambda orphan: remove_orphans(orphan, store),
            metrics=metrics,
            retries=RetryPolicy(max_wait_s=settings.wait_limit_seconds),
            check_before_claim=lambda: check_store(store),
            faults=faults,
        )
        await resources.enter_async_context(
            serve_metrics(
                settings, settings.separation_metrics_port, metrics, certificate=certificate, gatekeeper=gatekeeper
            )
        )
        faults.begin()
        await ServiceProcess(
            name=NAME,
            server=server,
            endpoints=endpoints,
            runner=Workers(runner, calls, clock=clock),
            warm=pipeline.warm,
            stopping=stopping,
            upkeep=(upkeep, webhooks, certificates),
        ).run()


def _without_leftovers(
    settings: SeparationSettings, journal: Journal, store: ObjectStore
) -> tuple[ScratchFolder, PendingUploads]:
    """Scratch and pending uploads, after the files of a killed process were removed."""
    scratch = ScratchFolder(settings.spool_folder, memory_bytes=settings.scratch_memory_bytes)
    pending = PendingUploads(settings.pending_uploads_folder, journal, store)
    removed = scratch.remove_leftovers(), pending.remove_orphans()
    if any(removed):
        _log.info("removed files of a killed process", spool_files=removed[0], stored_files=removed[1])
    return scratch, pending


def _pipeline(
    settings: SeparationSettings,
    store: ObjectStore,
    scratch: ScratchFolder,
    metrics: Metrics,
    clock: Clock,
    *,
    faults: Faults,
) -> SeparationPipeline:
    threads = settings.threads or len(os.sched_getaffinity(0))
    options = EngineOptions(
        runtime=settings.separator_runtime,
        precision=settings.separator_precision,
        batch=settings.separator_batch,
        compiled=settings.separator_compile,
        cache=settings.converted_folder,
    )
    separator: Separator = load_separator(
        settings.separator, repo=settings.separator_repo, device=settings.device, threads=threads, options=options
    )
    lock = device_lock(settings)
    shared: DeviceLock = SharedGpuLock(lock) if settings.device == "cuda" else lock
    return SeparationPipeline(
        separator=separator,
        # On a GPU the segments of all jobs share batches. On a CPU two jobs at once are no faster than one after the other.
        device_lock=FaultyDeviceLock(shared, faults) if faults else shared,
        scratch=scratch,
        store=store,
        fingerprint=merge(host_fingerprint(device=settings.device, threads=threads), separator.info.fingerprint),
        clock=clock,
        estimator=EtaEstimator(),
        budget=LatencyBudget(settings.separation_latency_budget_seconds, metrics),
    )


def _limits(settings: SeparationSettings) -> UploadLimits:
    return UploadLimits(
        max_bytes=settings.upload_max_bytes,
        max_seconds=settings.upload_max_seconds,
        queue_limit=settings.queue_limit,
        max_at_once=settings.uploads_at_once,
    )


def _mount(
    server: RpcServer,
    settings: SeparationSettings,
    *,
    journal: Journal,
    store: ObjectStore,
    pipeline: SeparationPipeline,
    calls: SeparationCalls,
    admission: UploadAdmission,
    feed: Feed,
    deletions: JobDeletions,
    clock: Clock,
) -> None:
    """Mount SeparationService and JobsService."""
    as_message = JobMessages(journal, Retention.of(settings))
    servicer = SeparationServicer(
        pools=server.pools,
        pipeline=pipeline,
        calls=calls,
        admission=admission,
        meters=UploadMeters(journal, server.pools.uploads, server.call_limits.policy),
        as_message=as_message,
        receive_limits=ReceiveLimits(
            window_s=settings.upload_stall_seconds,
            min_bytes_per_s=settings.upload_min_bytes_per_second,
            max_s=settings.upload_receive_seconds,
        ),
    )
    separation_pb2_grpc.add_SeparationServiceServicer_to_server(servicer, server.grpc_server)
    jobs = JobsServicer(
        feed,
        store,
        deletions,
        pools=server.pools,
        clock=clock,
        queue_limit=settings.queue_limit,
        url_ttl_s=settings.url_ttl_seconds,
        as_message=as_message,
        hook=admission.hook,
        call_limits=server.call_limits,
    )
    jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(jobs, server.grpc_server)


def _observe(metrics: Metrics, stage: Stage, seconds: float) -> None:
    metrics.stage_seconds.labels(stage=stage.value).observe(seconds)


def main() -> int:
    """Read the settings and serve; returns the exit status."""
    try:
        settings = read_settings(
            SeparationSettings,
            os.environ,
            also_known=(*CLIENT_VARIABLES, *_OTHERS),
            other_prefixes=("SONICHAOS_RENDER_", "SONICHAOS_PEER_"),
        )
        listen = split_addresses(settings.separation_listen)
        check_addresses(settings, listen, metrics_port=settings.separation_metrics_port)
        faults = open_faults(settings, *listen, *split_addresses(settings.separation_mtls_listen))
        configure_logs(service=NAME, level=settings.log_level, before_write=faults.refuse_log_write)
        asyncio.run(serve(settings, faults))
    except (SettingsError, ServiceError, SocketPathError) as error:
        return exit_unusable(NAME, error)
    return 0


if __name__ == "__main__":
    end_process(main())
