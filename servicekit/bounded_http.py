"""An HTTP/1.1 server whose connections are bounded in number and in the time that a request's header may take.

aiohttp waits without end for the first request of a connection: 600 connections that send half a line took all descriptors of a
process, and its gRPC server with them.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from servicekit.logs import logger

_log = logger(__name__)
_SILENT = logging.getLogger(f"{__name__}.requests")
_SILENT.setLevel(logging.CRITICAL)


class _Request(web.BaseRequest):
    async def _prepare_hook(self, resp: web.StreamResponse) -> None:
        """Called with the whole header of an answer, aiohttp's own refusals included: nobody needs to know the versions here."""
        resp.headers.pop("Server", None)


class BoundedServer(web.Server):
    """At most ``max_connections`` at once; any further one is closed at once.

    A connection is closed if it has sent no whole request header within ``header_limit_s`` of its start, or if it is idle for
    ``idle_limit_s`` between requests, by default as long. A line of a header may have ``max_field_bytes``. Bodies arrive as they
    were sent: none is decompressed. With ``cancel_on_disconnect`` an answer is cancelled when its client is gone.
    """

    def __init__(
        self,
        answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        max_connections: int,
        header_limit_s: float,
        idle_limit_s: float | None = None,
        max_field_bytes: int = 8190,
        cancel_on_disconnect: bool = False,
    ) -> None:
        # No access log: its URLs would be valid for everyone who reads it. No log of malformed requests: anyone can send many.
        super().__init__(
            self._answer,
            handler_cancellation=cancel_on_disconnect,
            access_log=None,
            logger=_SILENT,
            keepalive_timeout=header_limit_s if idle_limit_s is None else idle_limit_s,
            lingering_time=header_limit_s,
            max_line_size=max_field_bytes,
            max_field_size=max_field_bytes,
            auto_decompress=False,
        )
        self._handle = answer
        self._max_connections = max_connections
        self._header_limit_s = header_limit_s
        self._waiting: dict[RequestHandler, asyncio.TimerHandle] = {}

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return _Request(message, payload, protocol, writer, task, self._loop)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Called by a new connection."""
        super().connection_made(handler, transport)
        if len(self.connections) > self._max_connections:
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._waiting[handler] = loop.call_later(self._header_limit_s, transport.abort)

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Called by an ended connection."""
        self._stop_waiting(handler)
        super().connection_lost(handler, exc)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self._stop_waiting(request.protocol)
        try:
            return await self._handle(request)
        except Exception as error:  # noqa: BLE001  the boundary of this server
            _log.error("an HTTP request failed", exc_info=error)
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)

    def _stop_waiting(self, handler: RequestHandler) -> None:
        timer = self._waiting.pop(handler, None)
        if timer is not None:
            timer.cancel()


class BoundedSite(web.BaseSite):
    """Listens for a `BoundedServer`, with TLS if a context is given. A connection counts for the server from its handshake on.

    The handshake may take ``handshake_limit_s``; aiohttp has no limit of its own, and asyncio's is 60 s.
    """

    def __init__(
        self,
        runner: web.ServerRunner,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None,
        handshake_limit_s: float,
    ) -> None:
        super().__init__(runner, ssl_context=tls)
        self._address = (host, port)
        self._handshake_limit_s = handshake_limit_s

    @property
    def name(self) -> str:
        """The URL of the site."""
        host, port = self._address
        return f"{'http' if self._ssl_context is None else 'https'}://{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises OSError where the address is in use."""
        await super().start()
        host, port = self._address
        server = self._runner.server
        if server is None:  # the base class refuses such a runner
            raise RuntimeError("the runner must be set up before its site starts")
        self._server = await asyncio.get_running_loop().create_server(
            server,
            host,
            port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=None if self._ssl_context is None else self._handshake_limit_s,
            backlog=self._backlog,
        )
