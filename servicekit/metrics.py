"""Prometheus metrics and the HTTP endpoint that serves them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypedDict

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from servicekit.bounded_http import BoundedServer, BoundedSite
from servicekit.settings import SettingsError

MAX_CONNECTIONS = 32
HEADER_LIMIT_S = 10.0
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


class _Labels(TypedDict):
    registry: CollectorRegistry
    namespace: str
    subsystem: str


class Metrics:
    """The metrics of one service process, in their own registry."""

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        labels: _Labels = {"registry": self.registry, "namespace": "sonichaos", "subsystem": service}
        self.rpcs = Counter("rpcs_total", "Finished RPCs, by method and status code.", ["method", "code"], **labels)
        self.rpc_seconds = Histogram(
            "rpc_seconds", "Duration of RPCs in seconds.", ["method"], buckets=_SECONDS, **labels
        )
        self.stage_seconds = Histogram(
            "stage_seconds", "Duration of stages in seconds.", ["stage"], buckets=_SECONDS, **labels
        )
        self.jobs = Counter("versions_total", "Ended versions, by state.", ["state"], **labels)
        self.queued = Gauge("queued_versions", "Versions waiting in the queue.", **labels)
        self.admission_checks = Counter(
            "admission_checks_total", "Answers of the operator's admission hook, by result.", ["result"], **labels
        )
        self.webhook_deliveries = Counter(
            "webhook_deliveries_total", "Ended attempts of webhook deliveries, by result.", ["result"], **labels
        )
        self.webhook_oldest_waiting = Gauge(
            "webhook_oldest_waiting_seconds", "How long the oldest webhook delivery has waited, in seconds.", **labels
        )
        self.ready = Gauge("ready", "1 while health is SERVING.", **labels)
        self.certificate_expiry = Gauge(
            "certificate_expiry_timestamp_seconds",
            "When each certificate expires, in seconds since 1970.",
            ["certificate"],
            **labels,
        )

    def register(self, collector: Collector) -> None:
        """Add a collector, such as the loan pool's."""
        self.registry.register(collector)

    @asynccontextmanager
    async def serving(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        guard: Callable[[web.BaseRequest], Awaitable[web.Response | None]] | None = None,
        max_connections: int = MAX_CONNECTIONS,
        header_limit_s: float = HEADER_LIMIT_S,
    ) -> AsyncIterator[None]:
        """Serve ``/metrics`` during the block; ``port`` 0 disables it. Raises :class:`SettingsError` where it cannot listen.

        ``guard`` answers the requests that it refuses, and None for others. Connections are bounded in number and in the time of
        a request's header.
        """
        if not port:
            yield
            return

        async def answer(request: web.BaseRequest) -> web.Response:
            refusal = await guard(request) if guard is not None else None
            return refusal or await self._answer(request)

        server = BoundedServer(answer, max_connections=max_connections, header_limit_s=header_limit_s)
        runner = web.ServerRunner(server)
        await runner.setup()
        try:
            try:
                await BoundedSite(runner, host, port, tls=tls, handshake_limit_s=header_limit_s).start()
            except OSError as error:
                raise SettingsError(
                    f"SONICHAOS_METRICS_HOST and the metrics port: cannot listen on {host}:{port}: {error.strerror or error}"
                ) from None
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if request.path != "/metrics":
            return web.Response(status=HTTPStatus.NOT_FOUND, text="Only /metrics.\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(
                status=HTTPStatus.METHOD_NOT_ALLOWED, text="Only GET, HEAD.\n", headers={"Allow": "GET, HEAD"}
            )
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self.registry), headers={"Content-Type": content_type})
