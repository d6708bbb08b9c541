"""The HTTP endpoint for a folder store's signed URLs: GET and HEAD of one object, with Range, and nothing else."""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Self, TypeVar

from aiohttp import web

from servicekit.bounded_http import BoundedServer, BoundedSite
from servicekit.errors import NotFound, Unavailable
from servicekit.logs import logger
from servicekit.store.byte_range import ByteRange, UnsatisfiableRange, parse_range
from servicekit.store.folder_store import FolderObject, FolderStore
from servicekit.store.object_key import InvalidKey, check_key, download_name
from servicekit.store.url_signer import RefusedUrl

CHUNK_BYTES = 1 << 18
MAX_DOWNLOADS = 64
MAX_CONNECTIONS = 256
HEADER_LIMIT_S = 10.0
STALL_LIMIT_S = 60.0
SHUTDOWN_LIMIT_S = 5.0
_READ_THREADS = 4
_SHOWN_CHARACTERS = 200
_ALLOW = "GET, HEAD"
_EXPOSED = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag"
_PREFLIGHT = {
    "Access-Control-Allow-Methods": _ALLOW,
    "Access-Control-Allow-Headers": "If-None-Match, If-Range, Range",
    "Access-Control-Max-Age": "600",
}

T = TypeVar("T")
_log = logger(__name__)


class FolderUrlServer:
    """Serves the objects whose URLs ``store`` signed. Needs the store's folder and secret, no other part of a service.

    ``port`` 0 chooses a free one. With ``tls`` it speaks HTTPS. At most ``max_downloads`` run at once, each with a descriptor and a
    chunk; a client that reads nothing for ``stall_limit_s`` seconds is disconnected. At most ``max_connections`` are open, each
    with ``header_limit_s`` seconds to send its request. Files are read in threads, so that slow disks block no event loop. Pages
    of ``origins`` (``https://host``) may read the answers (CORS); the signature alone decides what is read.
    """

    def __init__(
        self,
        store: FolderStore,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        origins: Collection[str] = (),
        max_downloads: int = MAX_DOWNLOADS,
        max_connections: int = MAX_CONNECTIONS,
        stall_limit_s: float = STALL_LIMIT_S,
        header_limit_s: float = HEADER_LIMIT_S,
    ) -> None:
        self._store = store
        self._host = host
        self._port = port
        self._tls = tls
        self._origins = frozenset(origins)
        self._max_connections = max_connections
        self._header_limit_s = header_limit_s
        self._downloads = asyncio.Semaphore(max_downloads)
        self._stall_limit_s = stall_limit_s
        self._runner: web.ServerRunner | None = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def port(self) -> int:
        """The port it listens on; before the start, the port given to the constructor."""
        return int(self._runner.addresses[0][1]) if self._runner and self._runner.addresses else self._port

    async def start(self) -> None:
        """Listen. Raises OSError if the address is in use."""
        self._threads = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="folder-url")
        server = BoundedServer(self._answer, max_connections=self._max_connections, header_limit_s=self._header_limit_s)
        self._runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_LIMIT_S)
        await self._runner.setup()
        try:
            await BoundedSite(
                self._runner, self._host, self._port, tls=self._tls, handshake_limit_s=self._header_limit_s
            ).start()
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening; running downloads have five seconds to end. Stopping twice is no error."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Check method, path and signature, then send the object."""
        if request.method == "OPTIONS" and self._allowed_origin(request):
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=self._cross_origin(request) | _PREFLIGHT)
        response = await self._checked(request)
        # Without the query, which has the signature: whoever reads the log must not be able to download.
        path = request.raw_path.partition("?")[0][:_SHOWN_CHARACTERS]
        _log.info(
            "download ended", method=request.method, path=path, peer=request.remote or "", status=int(response.status)
        )
        if not response.prepared:  # an answer with a body has sent its headers
            response.headers.update(self._cross_origin(request))
        return response

    def _allowed_origin(self, request: web.BaseRequest) -> str:
        """The configured origin that a browser's page asks from; empty for any other."""
        origin = request.headers.get("Origin", "")
        return origin if origin in self._origins else ""

    def _cross_origin(self, request: web.BaseRequest) -> dict[str, str]:
        """The headers by which a browser lets the page read the answer. Caches keep the answers to origins apart."""
        if not self._origins:
            return {}
        origin = self._allowed_origin(request)
        vary = {"Vary": "Origin"}
        return (
            vary | {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": _EXPOSED}
            if origin
            else vary
        )

    async def _checked(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"Only {_ALLOW}.", headers={"Allow": _ALLOW})
        path, _, query = request.raw_path.partition("?")
        try:
            # The path as received: keys need no escape, so a path with one is not a key.
            key = self._key(path)
            self._store.signer.check(path.removeprefix("/"), query)
        except InvalidKey:
            return _refusal(HTTPStatus.NOT_FOUND, "No object has such a path.")
        except RefusedUrl as refused:
            return _refusal(HTTPStatus.FORBIDDEN, str(refused))
        if self._downloads.locked():
            return _refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many downloads at once. Try again in a few seconds.",
                retry_after_s=5,
            )
        async with self._downloads:
            return await self._open_and_send(request, key)

    async def _open_and_send(self, request: web.BaseRequest, key: str) -> web.StreamResponse:
        """Answer with the object at ``key``; the URL has been checked."""
        with ExitStack() as stack:
            try:
                source = await self._in_thread(lambda: stack.enter_context(self._store.open_object(key)))
            except NotFound:
                return _refusal(HTTPStatus.NOT_FOUND, "The object does not exist; it may have been deleted.")
            except Unavailable as error:
                return _refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "The store is unavailable. Try again later.",
                    retry_after_s=error.retry_after_s,
                )
            return await self._send(request, source)

    def _key(self, path: str) -> str:
        """The key in this store that a path names."""
        prefix = f"/{self._store.prefix}/" if self._store.prefix else "/"
        if not path.startswith(prefix):
            raise InvalidKey(f"{path[:80]!r} does not begin with {prefix}")
        return check_key(path.removeprefix(prefix))

    async def _send(self, request: web.BaseRequest, source: FolderObject) -> web.StreamResponse:
        """Answer with the object or the requested range of it."""
        headers = _headers(source) | self._cross_origin(request)
        if headers["ETag"] in _tags(request.headers.get("If-None-Match")):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        conditional = request.headers.get("If-Range")
        range_header = request.headers.get("Range") if conditional in (None, headers["ETag"]) else None
        try:
            part = parse_range(range_header, source.size_bytes)
        except UnsatisfiableRange:
            extra = {"Content-Range": f"bytes */{source.size_bytes}", "Accept-Ranges": "bytes"}
            return _refusal(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"The object has {source.size_bytes} bytes.", headers=extra
            )
        response = web.StreamResponse(status=HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK, headers=headers)
        if part:
            response.headers["Content-Range"] = f"bytes {part.first}-{part.end - 1}/{source.size_bytes}"
        part = part or ByteRange(0, source.size_bytes)
        response.content_length = part.end - part.first
        await self._stream(request, response, source, part)
        return response

    async def _stream(
        self, request: web.BaseRequest, response: web.StreamResponse, source: FolderObject, part: ByteRange
    ) -> None:
        """Send headers and, for GET, the bytes; close the connection if they cannot be sent completely."""
        offset = part.first if request.method == "GET" else part.end
        try:
            await response.prepare(request)
            while offset < part.end:
                chunk = await self._in_thread(partial(source.read, min(CHUNK_BYTES, part.end - offset), offset))
                if not chunk:  # the file was truncated: only a broken connection tells the client
                    _disconnect(request)
                    return
                async with asyncio.timeout(self._stall_limit_s):
                    await response.write(chunk)
                offset += len(chunk)
            await response.write_eof()
        except (ConnectionError, TimeoutError, Unavailable):  # the client is gone or does not read, or the disk failed
            _disconnect(request)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _headers(source: FolderObject) -> dict[str, str]:
    """The headers of an answer, whatever range is sent."""
    tag = source.metadata.sha256 or f"{source.modified_ns:x}-{source.size_bytes:x}"
    return {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private",
        "Content-Disposition": f'attachment; filename="{download_name(source.key)}"',
        "Content-Type": source.metadata.content_type,
        "ETag": f'"{tag}"',
        "Last-Modified": formatdate(source.modified_ns // 1_000_000_000, usegmt=True),
        "X-Content-Type-Options": "nosniff",
    }


def _tags(header: str | None) -> set[str]:
    """The entity tags of an If-None-Match header, which compares them weakly (RFC 9110, section 13.1.2)."""
    return {tag.strip().removeprefix("W/") for tag in (header or "").split(",")}


def _refusal(
    status: HTTPStatus, text: str, *, headers: Mapping[str, str] | None = None, retry_after_s: float | None = None
) -> web.Response:
    extra = dict(headers or {}) | {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if retry_after_s is not None:
        extra["Retry-After"] = str(math.ceil(retry_after_s))
    return web.Response(status=status, text=text + "\n", headers=extra)


def _disconnect(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()
