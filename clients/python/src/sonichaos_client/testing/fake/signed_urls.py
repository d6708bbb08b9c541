"""Signed URLs of the fake: made, checked, and served over HTTP with GET, HEAD and Range."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import re
import secrets
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http import HTTPStatus

from sonichaos_client.testing.fake.clock import VirtualClock
from sonichaos_client.testing.fake.files import FileStore, StoredContent

MAX_TTL_S = 7 * 86400
DEFAULT_TTL_S = 3600
_CHUNK_BYTES = 1 << 18
_MAX_HEAD_BYTES = 1 << 14
_IDLE_S = 60.0
_QUERY = re.compile(r"expires=([0-9]{1,12})&key_id=([0-9a-f]{8})&signature=([0-9a-f]{64})", re.ASCII)
_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag",
}
_PREFLIGHT = _CORS | {
    "Access-Control-Allow-Methods": "GET, HEAD",
    "Access-Control-Allow-Headers": "If-None-Match, If-Range, Range",
    "Access-Control-Max-Age": "600",
}


class UrlSigner:
    """Signs keys until a time of the fake's clock."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._key_id = hashlib.sha256(self._secret).hexdigest()[:8]

    def sign(self, key: str, ttl_s: int) -> tuple[str, datetime]:
        """The query of a URL of ``key``, and when it expires: in ``ttl_s`` seconds, rounded up to a whole one."""
        expires = math.ceil(self._clock.now().timestamp()) + ttl_s
        query = f"expires={expires}&key_id={self._key_id}&signature={self._signature(key, expires)}"
        return query, datetime.fromtimestamp(expires, UTC)

    def refusal(self, key: str, query: str) -> str:
        """Why a query is not accepted for a key; empty where it is."""
        match = _QUERY.fullmatch(query)
        if match is None:
            return "This URL has no valid signature. Request a signed URL from the service."
        expires, key_id, signature = int(match[1]), match[2], match[3]
        if key_id != self._key_id:
            return (
                "This URL was signed with a secret that is not accepted any more. Request a new one from the service."
            )
        if not hmac.compare_digest(signature, self._signature(key, expires)):
            return "The signature does not match this URL: it was changed. Request a signed URL from the service."
        if self._clock.now().timestamp() >= expires:
            when = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
            return f"This URL expired at {when}. Request a new one from the service."
        return ""

    def _signature(self, key: str, expires: int) -> str:
        return hmac.new(self._secret, f"GET\n{key}\n{expires}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class _Request:
    """A request without its body, which no method here has."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass(frozen=True)
class _Answer:
    """Status and headers, and the bytes of a file or a text."""

    status: HTTPStatus
    headers: dict[str, str]
    file: StoredContent | None = None
    first: int = 0
    end: int = 0
    text: bytes = b""

    @property
    def size_bytes(self) -> int:
        """Of the body of a GET."""
        return self.end - self.first if self.file is not None else len(self.text)


class UrlServer:
    """Serves the files whose URLs were signed, to pages of any origin. ``delay_s`` says how long the next download waits."""

    def __init__(
        self, files: FileStore, signer: UrlSigner, clock: VirtualClock, *, delay_s: Callable[[], float]
    ) -> None:
        self._files = files
        self._signer = signer
        self._clock = clock
        self._delay_s = delay_s
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Listen; returns the port, which port 0 leaves to the system. Raises OSError if the address is in use."""
        self._server = await asyncio.start_server(self._connected, host, port, ssl=tls, limit=_MAX_HEAD_BYTES)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and end the connections."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        with suppress(
            ConnectionError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError
        ):
            while await self._serve_one(reader, writer):
                pass
        writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False if the connection is to be closed."""
        async with asyncio.timeout(_IDLE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        request = _parsed(head.decode("latin-1"))
        answer = self._answer(request)
        if answer.file is not None and (delay_s := self._delay_s()):
            await self._clock.sleep(delay_s)
        has_body = answer.status is HTTPStatus.METHOD_NOT_ALLOWED  # which is not read
        close = has_body or request.headers.get("connection", "").lower() == "close"
        headers = answer.headers | {
            "Content-Length": str(answer.size_bytes),
            "Date": format_datetime(datetime.now(UTC), usegmt=True),
            "Connection": "close" if close else "keep-alive",
        }
        lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        if request.method != "HEAD":
            await _send_body(writer, answer)
        await writer.drain()
        return not close

    def _answer(self, request: _Request) -> _Answer:
        if request.method == "OPTIONS":
            return _Answer(HTTPStatus.NO_CONTENT, _PREFLIGHT)
        if request.method not in {"GET", "HEAD"}:
            return _refused(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET, HEAD.", {"Allow": "GET, HEAD"})
        path, _, query = request.target.partition("?")
        key = path.removeprefix("/")
        if not path.startswith("/") or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,511}", key):
            return _refused(HTTPStatus.NOT_FOUND, "No object has such a path.")
        if refusal := self._signer.refusal(key, query):
            return _refused(HTTPStatus.FORBIDDEN, refusal)
        file = self._files.get(key)
        if file is None:
            return _refused(HTTPStatus.NOT_FOUND, "The object does not exist; it may have been deleted.")
        return _file_answer(key, file, request.headers)


def _file_answer(key: str, file: StoredContent, asked: dict[str, str]) -> _Answer:
    size, tag = file.content.size_bytes, f'"{file.content.sha256}"'
    headers = _CORS | {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private",
        "Content-Disposition": f'attachment; filename="{"-".join(key.split("/")[-2:])}"',
        "Content-Type": file.content_type,
        "ETag": tag,
        "Last-Modified": format_datetime(file.modified, usegmt=True),
        "X-Content-Type-Options": "nosniff",
    }
    tags = {one.strip().removeprefix("W/") for one in asked.get("if-none-match", "").split(",")}
    if tag in tags:
        return _Answer(HTTPStatus.NOT_MODIFIED, headers)
    wanted = asked.get("range", "") if asked.get("if-range", tag) == tag else ""
    match = _RANGE.fullmatch(wanted)
    if match is None or not (match[1] or match[2]) or (match[1] and match[2] and int(match[2]) < int(match[1])):
        return _Answer(HTTPStatus.OK, headers, file, 0, size)
    first = int(match[1]) if match[1] else max(size - int(match[2]), 0)
    end = min(int(match[2]) + 1, size) if match[1] and match[2] else size
    if first >= end:
        extra = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
        return _refused(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, f"The object has {size} bytes.", extra)
    headers["Content-Range"] = f"bytes {first}-{end - 1}/{size}"
    return _Answer(HTTPStatus.PARTIAL_CONTENT, headers, file, first, end)


def _refused(status: HTTPStatus, text: str, extra: dict[str, str] | None = None) -> _Answer:
    headers = (
        _CORS
        | (extra or {})
        | {
            "Cache-Control": "no-store",
            "Content-Type": "text/plain; charset=utf-8",
            "X-Content-Type-Options": "nosniff",
        }
    )
    return _Answer(status, headers, text=f"{text}\n".encode())


def _parsed(head: str) -> _Request:
    """Raises ValueError for what is no HTTP request."""
    first, *lines = head.split("\r\n")
    method, target, _version = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    return _Request(method, target, {name.strip().lower(): value.strip() for name, _, value in pairs})


async def _send_body(writer: asyncio.StreamWriter, answer: _Answer) -> None:
    if answer.file is None:
        writer.write(answer.text)
        return
    for start in range(answer.first, answer.end, _CHUNK_BYTES):
        writer.write(answer.file.content.read(start, min(start + _CHUNK_BYTES, answer.end)))
        async with asyncio.timeout(_IDLE_S):
            await writer.drain()
