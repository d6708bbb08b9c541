"""A small HTTP server on loopback that serves an issuer's JWKS, well or badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class KeyServer:
    """``body`` is what it serves and ``requests`` counts; ``answer`` replaces the serving."""

    url: str = ""
    body: bytes = b""
    requests: int = 0
    answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]] | None = None
    other_paths: list[str] = field(default_factory=list)

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        if request.path != "/jwks.json":
            self.other_paths.append(request.path)
            return web.Response(body=self.body)
        self.requests += 1
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(body=self.body, content_type="application/json")


@asynccontextmanager
async def key_server(body: bytes = b"") -> AsyncIterator[KeyServer]:
    """A running server."""
    served = KeyServer(body=body)
    server = await asyncio.get_running_loop().create_server(web.Server(served.serve), "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
    try:
        yield served
    finally:
        server.close()
