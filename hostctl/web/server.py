"""The HTTP server of the page: its files, gRPC-Web, readiness and health, on one origin."""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection
from http import HTTPStatus
from typing import Self

from aiohttp import web

from hostctl.web.bridge import GrpcWebBridge
from hostctl.web.guard import HostGuard, is_same_origin, security_headers
from hostctl.web.page import Page
from hostctl.web.readiness import Readiness
from servicekit.bounded_http import BoundedServer, BoundedSite

MAX_CONNECTIONS = 256
HEADER_LIMIT_S = 10.0
IDLE_LIMIT_S = 75.0
"""Browsers keep connections for later calls, and not every browser repeats one on a connection that has just been closed."""
MAX_FIELD_BYTES = 16 * 1024
"""Of a header's line: an authorization of 8 KiB and the rest."""
_SHUTDOWN_LIMIT_S = 1.0
_ALLOW = "GET, HEAD, POST"


class WebServer:
    """Serves ``page`` at ``host:port`` and passes its calls on by ``bridge``. Pages may read signed URLs of ``file_origins``."""

    def __init__(
        self,
        *,
        host: str,
        port: int,
        page: Page,
        bridge: GrpcWebBridge,
        readiness: Readiness,
        guard: HostGuard,
        file_origins: Collection[str],
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
        header_limit_s: float = HEADER_LIMIT_S,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._page, self._bridge, self._readiness, self._guard = page, bridge, readiness, guard
        self._headers = security_headers(file_origins)
        self._max_connections, self._header_limit_s = max_connections, header_limit_s
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        server = BoundedServer(
            self._answer,
            max_connections=self._max_connections,
            header_limit_s=self._header_limit_s,
            idle_limit_s=IDLE_LIMIT_S,
            max_field_bytes=MAX_FIELD_BYTES,
            cancel_on_disconnect=True,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_LIMIT_S)
        await self._runner.setup()
        site = BoundedSite(self._runner, self._host, self._port, tls=self._tls, handshake_limit_s=self._header_limit_s)
        try:
            await site.start()
        except OSError:
            await self._runner.cleanup()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._routed(request)
        if not response.prepared:
            response.headers.update(self._headers)
        return response

    async def _routed(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._guard.admits(request):
            return _text(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server is not known by that name. Open it by the address that 'sonichaos up' shows, or add the name to "
                "SONICHAOS_WEB_NAMES.",
            )
        if request.method == "POST" and is_same_origin(request):
            return await self._bridge.answer(request)
        if request.method == "POST":
            return _text(HTTPStatus.FORBIDDEN, "Pages of other origins cannot call the services here.")
        if request.method not in ("GET", "HEAD"):
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, f"Only {_ALLOW}.", {"Allow": _ALLOW})
        return await self._file(request)

    async def _file(self, request: web.BaseRequest) -> web.Response:
        match request.raw_path.partition("?")[0]:
            case "/readiness.json":
                body = json.dumps(self._readiness.as_dict(), ensure_ascii=False)
                return web.Response(text=body, content_type="application/json", headers={"Cache-Control": "no-store"})
            case "/healthz":
                return _health(works=await self._bridge.all_serve())
        return self._page.answer(request) or _text(HTTPStatus.NOT_FOUND, "No file has such a path.")


def _health(*, works: bool) -> web.Response:
    if works:
        return _text(HTTPStatus.OK, "Both services serve.")
    return _text(HTTPStatus.SERVICE_UNAVAILABLE, "Not both services serve.")


def _text(status: HTTPStatus, text: str, headers: dict[str, str] | None = None) -> web.Response:
    response = web.Response(status=status, text=text + "\n", headers={**(headers or {}), "Cache-Control": "no-store"})
    if status >= HTTPStatus.BAD_REQUEST:
        response.force_close()  # whatever follows the refused header is not read
    return response
