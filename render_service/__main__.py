"""``python -m render_service``: reads the settings, builds the service and serves."""

from __future__ import annotations

import os

# Before gRPC is imported: its C core writes a line to stderr for each failed TLS handshake, and waits for a reader of stderr.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import asyncio
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from jobs_service import Feed, JobMessages, JobsServicer, Retention, UpkeepThreads
from jobs_service.admission_hook import open_admission_hook
from jobs_service.operations_servicer import NAME as OPERATIONS
from jobs_service.operations_servicer import OperationsServicer
from jobs_service.rpc_scopes import rpc_scopes
from jobs_service.server import GATED_METHODS as JOBS_GATED
from jobs_service.upload_meter import UploadMeters
from jobs_service.webhook_servicer import NAME as WEBHOOKS
from jobs_service.webhooks import open_webhooks
from render_service.api.servicer import GATED_METHODS, RenderServicer
from render_service.personas.library import PERSONA_FOLDERS, PersonaLibrary
from render_service.pipeline import WEIGHTS, RenderPipeline
from render_service.renderers.latent_diffusion.checkpoint import ModelUnusable
from render_service.renderers.load import load_renderer
from render_service.separation.chunks import ChunkLender
from render_service.separation.client import SeparationClient
from render_service.separation.codec import HandoffCodec
from render_service.settings import RenderSettings
from render_service.usecases.create_render import RenderAdmission
from render_service.usecases.replay import Replayer
from render_service.usecases.rerender_stem import RerenderAdmission
from servicekit.access.call_limits import CallLimits
from servicekit.access.limits import LimitPolicy
from servicekit.certificates import CertificateWatch, open_certificate, open_server_certificate
from servicekit.errors import ServiceError
from servicekit.faults import Faults
from servicekit.fingerprint import host_fingerprint, merge
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
from servicekit.journal import DataKind, OwningService
from servicekit.loans import Lender, LoanClient, LoanPool
from servicekit.logs import configure_logs
from servicekit.metrics import Metrics
from servicekit.rpc.access_log import AccessLog
from servicekit.rpc.endpoints import plan_endpoints, split_addresses
from servicekit.rpc.peer_channel import open_peer_channel, uses_tls
from servicekit.rpc.server import RpcServer
from servicekit.serving import ServiceProcess, StopRequest, end_process, exit_unusable
from servicekit.settings import SettingsError, read_settings
from servicekit.store.folder_store import FolderStore
from servicekit.store.folder_url_server import FolderUrlServer
from servicekit.store.object_store import ObjectStore
from servicekit.tls import CertificateFiles, https_context
from servicekit.work import RetryPolicy, Runner, remove_orphaned_files
from sonichaos.jobs.v1 import jobs_service_pb2_grpc
from sonichaos.operations.v1 import operations_pb2_grpc
from sonichaos.render.v1 import render_pb2_grpc

NAME = "render_service"
_SERVICES = ("sonichaos.render.v1.RenderService", "sonichaos.jobs.v1.JobsService", OPERATIONS, WEBHOOKS)


async def serve(settings: RenderSettings, faults: Faults) -> None:
    """Build the service and run it until it is stopped by a signal."""
    metrics = Metrics("render")
    async with AsyncExitStack() as resources:
        opened = open_installation(NAME, settings, faults, resources)
        clock, journal, store = opened.clock, opened.journal, opened.store
        gpu_lock = device_lock(settings)
        certificate = open_server_certificate(settings)
        endpoints = plan_endpoints(
            socket=settings.listen_socket,
            listen=split_addresses(settings.render_listen),
            mtls_listen=split_addresses(settings.render_mtls_listen),
            certificate=certificate,
            insecure=settings.insecure,
        )
        peer = _peer_certificate(settings)
        certificates = resources.enter_context(CertificateWatch({"server": certificate, "peer": peer}, metrics))
        addresses = [endpoint.address for endpoint in endpoints]
        gatekeeper = await open_gatekeeper(settings, journal, resources, rpc_scopes(OwningService.RENDER), *addresses)
        server = RpcServer(
            metrics=metrics,
            gated_methods=(*GATED_METHODS, *JOBS_GATED),
            service_names=_SERVICES,
            gatekeeper=gatekeeper,
            call_limits=CallLimits(LimitPolicy.of_settings(settings)),
            access_log=AccessLog(prompts=settings.access_log_prompts),
        )
        threads = settings.threads or len(os.sched_getaffinity(0))
        renderer = await asyncio.to_thread(load_renderer, settings.renderer, device=settings.device, threads=threads)
        host = host_fingerprint(device=settings.device, threads=threads)
        fingerprint = merge(host, {f"renderer.{k}": v for k, v in renderer.info.fingerprint.items()})
        built_in = Path(str(files("render_service") / "personas" / "builtin"))
        personas = PersonaLibrary(renderer=renderer, built_in=built_in, store=store, clock=clock)
        await asyncio.to_thread(personas.finish_deletions)
        hook = open_admission_hook(settings, metrics, resources)
        renders = RenderAdmission(
            journal=journal,
            personas=personas,
            renderer_info=renderer.info,
            planner=renderer.planner,
            queue_limit=settings.queue_limit,
            steps=settings.render_steps,
            hook=hook,
            limits=server.call_limits.policy,
        )
        rerenders = RerenderAdmission(
            journal=journal,
            personas=personas,
            renderer_info=renderer.info,
            planner=renderer.planner,
            queue_limit=settings.queue_limit,
            steps=settings.render_steps,
            hook=hook,
            limits=server.call_limits.policy,
            allow_drums=settings.drums_rerender,
        )
        separation = _separation_client(settings, faults, peer, resources)
        replayer = Replayer(
            journal=journal,
            store=store,
            renderer=renderer,
            gpu_lock=gpu_lock,
            fingerprint=fingerprint,
            separation=separation,
        )
        feed = await resources.enter_async_context(Feed(journal, OwningService.RENDER))

        as_message = JobMessages(journal, Retention.of(settings))
        servicer = RenderServicer(
            pools=server.pools,
            renders=renders,
            rerenders=rerenders,
            personas=personas,
            journal=journal,
            replayer=replayer,
            fingerprint=fingerprint,
            clock=clock,
            meters=UploadMeters(journal, server.pools.writes, server.call_limits.policy),
            as_message=as_message,
        )
        render_pb2_grpc.add_RenderServiceServicer_to_server(servicer, server.grpc_server)
        swept = dict.fromkeys(PERSONA_FOLDERS, personas.unnamed_keys)
        upkeep = UpkeepThreads(
            journal,
            OwningService.RENDER,
            store,
            settings,
            faults=faults,
            erase_files=lambda tenant: {DataKind.PERSONAS: personas.erase(tenant)},
            swept=swept,
        )
        resources.enter_context(upkeep)
        jobs = JobsServicer(
            feed,
            store,
            upkeep.deletions,
            pools=server.pools,
            clock=clock,
            queue_limit=settings.queue_limit,
            url_ttl_s=settings.url_ttl_seconds,
            as_message=as_message,
            hook=hook,
            call_limits=server.call_limits,
        )
        jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(jobs, server.grpc_server)
        webhooks = open_webhooks(
            settings, journal, OwningService.RENDER, server, metrics=metrics, resources=resources, faults=faults
        )
        stopping = StopRequest(settings.drain_seconds)
        operations = OperationsServicer(upkeep.erasures, pools=server.pools, stop=stopping.stop)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server.grpc_server)
        pipeline = RenderPipeline(
            renderer=renderer,
            gpu_lock=FaultyDeviceLock(gpu_lock, faults) if faults else gpu_lock,
            journal=journal,
            store=store,
            separation=separation,
            fingerprint=fingerprint,
        )
        runner = Runner(
            journal,
            owner=OwningService.RENDER,
            work=pipeline,
            weights=WEIGHTS,
            clock=clock,
            workers=settings.render_workers,
            lease_s=settings.lease_seconds,
            remove_orphans=lambda orphan: remove_orphaned_files(orphan, store),
            metrics=metrics,
            retries=RetryPolicy(max_wait_s=settings.wait_limit_seconds),
            check_before_claim=lambda: check_store(store),
            faults=faults,
        )
        await resources.enter_async_context(
            serve_metrics(
                settings, settings.render_metrics_port, metrics, certificate=certificate, gatekeeper=gatekeeper
            )
        )
        await _serve_urls(settings, opened.own_store, certificate, resources)
        faults.begin()
        await ServiceProcess(
            name=NAME,
            server=server,
            endpoints=endpoints,
            runner=runner,
            warm=pipeline.warm,
            stopping=stopping,
            upkeep=(upkeep, webhooks, certificates),
        ).run()


def _peer_certificate(settings: RenderSettings) -> CertificateFiles | None:
    """What render_service presents to separation_service over TLS; None over plain text, or where no certificate is set."""
    if not uses_tls(settings.peer_address):
        return None
    if settings.peer_certificate is None and settings.peer_key is None:
        return open_certificate("SONICHAOS_TLS", settings.tls_certificate, settings.tls_key, settings.peer_ca)
    return open_certificate("SONICHAOS_PEER", settings.peer_certificate, settings.peer_key, settings.peer_ca)


def _separation_client(
    settings: RenderSettings, faults: Faults, peer: CertificateFiles | None, resources: AsyncExitStack
) -> SeparationClient:
    address = settings.peer_address
    channel = open_peer_channel(address, peer, insecure=settings.insecure)
    resources.callback(channel.close)
    lender: Lender
    if settings.render_handoff == "shared-memory":
        pool = LoanPool(max_regions=settings.render_handoff_regions)
        resources.callback(pool.close)
        lender = resources.enter_context(LoanClient(settings.loans_socket, HandoffCodec(), pool))
    else:
        lender = ChunkLender(channel, address=address)
    return SeparationClient(address=address, channel=channel, lender=lender, faults=faults)


async def _serve_urls(
    settings: RenderSettings, store: ObjectStore, certificate: CertificateFiles | None, resources: AsyncExitStack
) -> None:
    """Serve the signed URLs of a folder store; those of S3 are served by S3."""
    if not isinstance(store, FolderStore):
        return
    address = urlsplit(f"http://{settings.url_listen}")
    server = FolderUrlServer(
        store,
        host=address.hostname or "127.0.0.1",
        port=address.port or 0,
        tls=None if certificate is None else https_context(certificate),
        origins=settings.allowed_origins,
    )
    try:
        await resources.enter_async_context(server)
    except OSError as error:
        raise SettingsError(f"SONICHAOS_URL_LISTEN: cannot listen on {settings.url_listen}: {error.strerror}") from None


def main() -> int:
    """Read the settings and serve. Returns the exit status."""
    try:
        settings = read_settings(
            RenderSettings,
            os.environ,
            also_known=CLIENT_VARIABLES,
            other_prefixes=("SONICHAOS_SEPARATION_", "SONICHAOS_SEPARATOR", "SONICHAOS_UPLOAD"),
        )
        listen, mtls_listen = split_addresses(settings.render_listen), split_addresses(settings.render_mtls_listen)
        urls = (settings.url_listen,) if settings.store == "folder" else ()
        check_addresses(settings, (*listen, *urls), metrics_port=settings.render_metrics_port)
        faults = open_faults(settings, *listen, *mtls_listen)
        configure_logs(service=NAME, level=settings.log_level, before_write=faults.refuse_log_write)
        asyncio.run(serve(settings, faults))
    except (SettingsError, ServiceError, ModelUnusable) as error:
        return exit_unusable(NAME, error)
    return 0


if __name__ == "__main__":
    end_process(main())
