"""Both fake services in one event loop: what they share, their servers, and the endpoint of signed URLs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import grpc
from grpc import aio

from sonichaos.handoff.v1 import handoff_pb2_grpc
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2_grpc
from sonichaos.operations.v1 import operations_pb2_grpc
from sonichaos.render.v1 import render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2_grpc
from sonichaos.testing.v1 import fake_pb2, fake_pb2_grpc
from sonichaos.webhooks.v1 import webhooks_pb2_grpc
from sonichaos_client.testing.fake import jobs_servicer, render_servicer, separation_servicer
from sonichaos_client.testing.fake.admission import Admission
from sonichaos_client.testing.fake.audit import AuditChain
from sonichaos_client.testing.fake.boundary import Boundary
from sonichaos_client.testing.fake.changes import JobChanges
from sonichaos_client.testing.fake.clock import VirtualClock
from sonichaos_client.testing.fake.control_servicer import ControlServicer, FakeControl
from sonichaos_client.testing.fake.faults import Faults, seconds_of
from sonichaos_client.testing.fake.files import FileStore
from sonichaos_client.testing.fake.health import health_handler
from sonichaos_client.testing.fake.jobs_servicer import JobsServicer
from sonichaos_client.testing.fake.operations_servicer import OperationsServicer
from sonichaos_client.testing.fake.personas import Personas
from sonichaos_client.testing.fake.records import Owner, Records
from sonichaos_client.testing.fake.render_servicer import RenderServicer
from sonichaos_client.testing.fake.requests import Requests, Usage
from sonichaos_client.testing.fake.script import Script
from sonichaos_client.testing.fake.separation_servicer import HandoffServicer, SeparationServicer
from sonichaos_client.testing.fake.signed_urls import UrlServer, UrlSigner
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.webhooks import Webhooks
from sonichaos_client.testing.fake.webhooks_servicer import WebhooksServicer
from sonichaos_client.testing.fake.workers import Workers

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104  a name of it, not a socket
_KEY_PREFIX = "sonichaos_"
_KEEPALIVE: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, kw_only=True)
class FakeOptions:
    """Where the fake listens (port 0: any free one), who may call, and how its clock runs.

    ``speed`` is how many seconds pass in one real second; 0: only skipped time does. ``url_base`` is how callers reach
    ``url_listen``, if that differs. With ``certificate`` and ``private_key``, PEM files, all three addresses speak TLS.
    """

    render_listen: str = "127.0.0.1:50071"
    separation_listen: str = "127.0.0.1:50072"
    url_listen: str = "127.0.0.1:50073"
    url_base: str = ""
    speed: float = 1.0
    script: Script = field(default_factory=Script)
    api_keys: Sequence[str] = ()
    certificate: Path | None = None
    private_key: Path | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a key that the clients would not send."""
        for key in self.api_keys:
            if not key.startswith(_KEY_PREFIX):
                raise ValueError(
                    f"an API key must start with {_KEY_PREFIX}, as those of the services do, got {key[:4]}...."
                )


@dataclass(frozen=True, kw_only=True)
class FakeAddresses:
    """Where callers reach the fake: as the clients take addresses, and the base of signed URLs."""

    render: str
    separation: str
    url: str


class FakeServices:
    """Both services. Use it in one event loop: ``start``, then ``control`` for time and faults, then ``stop``."""

    def __init__(self, options: FakeOptions) -> None:
        self._options = options
        clock = VirtualClock(speed=options.speed)
        self._studio = Studio(
            clock=clock,
            records=Records(clock),
            files=FileStore(),
            audit=AuditChain(),
            personas=Personas(options.script.personas),
            faults=Faults(),
            speeds=options.script.speeds,
        )
        self._webhooks = Webhooks(self._studio.records, clock)
        self._requests, self._usage, self._signer = Requests(), Usage(), UrlSigner(clock)
        self._services = [
            self._service(job_pb2.OWNING_SERVICE_RENDER),
            self._service(job_pb2.OWNING_SERVICE_SEPARATION),
        ]
        self.control = FakeControl(
            studio=self._studio, workers=tuple(one.workers for one in self._services), reset=self._reset
        )
        self._urls = UrlServer(self._studio.files, self._signer, clock, delay_s=self._download_delay_s)
        self._url_base = options.url_base
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> FakeAddresses:
        """Listen. Raises OSError if an address is in use, and listens nowhere then."""
        try:
            return await self._start(self._options)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, options: FakeOptions) -> FakeAddresses:
        host, port = split_address(options.url_listen)
        tls = _ssl_context(options)
        try:
            port = await self._urls.start(host, port, tls)
        except OSError:
            raise _cannot_listen(options.url_listen, "url_listen") from None
        scheme = "http" if tls is None else "https"
        self._url_base = options.url_base or f"{scheme}://{_reachable(host)}:{port}"
        render, separation = self._services
        self._add_services(render, self._add_render)
        self._add_services(separation, self._add_separation)
        addresses = FakeAddresses(
            render=await _listen(render.server, options, "render_listen"),
            separation=await _listen(separation.server, options, "separation_listen"),
            url=self._url_base,
        )
        for fault in options.script.faults:
            self.control.add_fault(fault)
        self._running = asyncio.create_task(self._studio.clock.run())
        return addresses

    async def run(self) -> None:
        """Until this is cancelled. Raises what ends the clock: an error of the fake itself."""
        if self._running is not None:
            await self._running

    async def stop(self) -> None:
        """End all calls and connections at once."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await asyncio.gather(*(one.server.stop(None) for one in self._services), self._urls.stop())

    def _service(self, owner: Owner) -> _Service:
        def cut() -> None:
            boundary.cut_calls()

        workers = Workers(owner, self._studio, on_crash=cut)
        gated = (*jobs_servicer.GATED, *render_servicer.GATED, *separation_servicer.GATED)
        boundary = Boundary(api_keys=self._options.api_keys, is_down=lambda: workers.down, gated=gated)
        server = aio.server(interceptors=[boundary], options=_KEEPALIVE)
        return _Service(workers, boundary, server)

    def _add_services(self, service: _Service, add_own: Callable[[_Service, JobChanges], None]) -> None:
        """What both services serve, and by ``add_own`` what only this one does."""
        server, boundary = service.server, service.boundary
        changes = JobChanges(studio=self._studio, workers=service.workers, requests=self._requests)
        jobs = JobsServicer(changes=changes, usage=self._usage, signer=self._signer, url=self._url)
        jobs_service_pb2_grpc.add_JobsServiceServicer_to_server(jobs, server)
        operations = OperationsServicer(changes=changes, webhooks=self._webhooks, drain=boundary.drain)
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(operations, server)
        webhooks = WebhooksServicer(webhooks=self._webhooks, sealer=self._studio.records.sealer)
        webhooks_pb2_grpc.add_WebhooksServiceServicer_to_server(webhooks, server)
        fake_pb2_grpc.add_FakeControlServiceServicer_to_server(ControlServicer(self.control), server)
        server.add_generic_rpc_handlers((health_handler(),))
        add_own(service, changes)

    def _add_render(self, service: _Service, changes: JobChanges) -> None:
        admission = Admission(studio=self._studio, workers=service.workers, requests=self._requests, usage=self._usage)
        render = RenderServicer(admission=admission, changes=changes)
        render_pb2_grpc.add_RenderServiceServicer_to_server(render, service.server)

    def _add_separation(self, service: _Service, _changes: JobChanges) -> None:
        separation = SeparationServicer(
            studio=self._studio, workers=service.workers, requests=self._requests, usage=self._usage
        )
        separation_pb2_grpc.add_SeparationServiceServicer_to_server(separation, service.server)
        handoff_pb2_grpc.add_HandoffServiceServicer_to_server(HandoffServicer(), service.server)

    def _reset(self) -> None:
        for one in self._services:
            one.workers.clear()
            one.boundary.reset()
        studio = self._studio
        self._webhooks.clear()
        studio.faults.clear()
        studio.records.clear()
        studio.files.clear()
        studio.audit.clear()
        studio.personas.clear()
        self._requests.clear()

    def _url(self, key: str, query: str) -> str:
        return f"{self._url_base.rstrip('/')}/{key}?{query}"

    def _download_delay_s(self) -> float:
        """How long a slow store delays a download."""
        fault: fake_pb2.Fault | None = self._studio.faults.take("slow_store", job_pb2.OWNING_SERVICE_UNSPECIFIED)
        return 0.0 if fault is None else seconds_of(fault.slow_store.delay)


@dataclass(frozen=True)
class _Service:
    """One of the two services."""

    workers: Workers
    boundary: Boundary
    server: aio.Server


def split_address(address: str) -> tuple[str, int]:
    """Host and port. Raises ValueError for anything but ``host:port``."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(f"an address must be host:port, got {address!r}.")
    return host.strip("[]"), int(port)


def _reachable(host: str) -> str:
    """How callers on this machine reach a host that means all of its addresses."""
    host = "127.0.0.1" if host in _EVERYWHERE else host
    return f"[{host}]" if ":" in host else host


def _cannot_listen(address: str, name: str) -> OSError:
    return OSError(
        f"{address} cannot be listened on: it is in use or belongs to another machine. Choose another address with "
        f"--{name.replace('_', '-')} (Python: {name})."
    )


async def _listen(server: aio.Server, options: FakeOptions, name: Literal["render_listen", "separation_listen"]) -> str:
    """Bind and start; returns the address as clients take it."""
    address: str = getattr(options, name)
    if address.startswith("unix:"):
        try:
            server.add_insecure_port(f"unix:{address.removeprefix('unix:').removeprefix('//')}")
        except RuntimeError:
            raise _cannot_listen(address, name) from None
        await server.start()
        return address
    host, port = split_address(address)
    target = f"{f'[{host}]' if ':' in host else host}:{port}"
    credentials = _server_credentials(options)
    try:
        if port:  # gRPC would write why it fails to stderr
            socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
        port = server.add_insecure_port(target) if credentials is None else server.add_secure_port(target, credentials)
    except (OSError, RuntimeError):
        raise _cannot_listen(address, name) from None
    await server.start()
    return f"{'' if credentials is None else 'https://'}{_reachable(host)}:{port}"


def _server_credentials(options: FakeOptions) -> grpc.ServerCredentials | None:
    if options.certificate is None or options.private_key is None:
        return None
    return grpc.ssl_server_credentials([(options.private_key.read_bytes(), options.certificate.read_bytes())])


def _ssl_context(options: FakeOptions) -> ssl.SSLContext | None:
    if options.certificate is None or options.private_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.private_key)
    return context
