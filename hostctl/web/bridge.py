"""gRPC-Web for pages: a call of HTTP/1.1 becomes a call of gRPC to one of the two services. Messages pass as bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import grpc
from aiohttp import web
from grpc_health.v1 import health_pb2

from hostctl.web.frames import CONTENT_TYPES, RefusedCall, message_frame, read_messages, read_timeout_s, trailers_frame
from hostctl.web.methods import PAGE_METHODS, PageMethod
from servicekit.access.gatekeeper import LocalTrust
from servicekit.loopback import is_loopback_host

MAX_BODY_BYTES = (4 << 20) + (1 << 16)
"""Of a request. A service takes messages of 4 MiB."""
MAX_BODIES_BYTES = 64 << 20
"""Of all requests that are being received: anyone can send one, whatever their credential is."""
BODY_LIMIT_S = 60.0
STALL_LIMIT_S = 60.0
_SERVICE_HEADER = "sonichaos-service"
_AUTHORIZATION = "authorization"
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_HEALTH_LIMIT_S = 2.0
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_metadata_size", 16 * 1024),
    ("grpc.absolute_max_metadata_size", 32 * 1024),
    ("grpc.primary_user_agent", "sonichaos-web"),
    ("grpc.use_local_subchannel_pool", 1),
    # A service that has restarted is found within a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class _Unreadable(Exception):
    """A request that is no call of gRPC-Web, with the HTTP status of its answer."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class _Call:
    """A call of a page, ready to be passed on."""

    method: PageMethod
    service: str
    messages: list[bytes]
    timeout_s: float | None
    metadata: tuple[tuple[str, str], ...]
    content_type: str


class GrpcWebBridge:
    """Passes calls of pages on to the services at ``render_address`` and ``separation_address``.

    Both are plain addresses of this machine, such as Unix sockets. The services trust callers there, so the bridge checks what a
    service would check of a TCP connection: without an ``authorization`` only callers that ``trust`` trusts are let through. No
    other header of a request reaches a service. A call ends when its page is gone.
    """

    def __init__(
        self,
        *,
        render_address: str,
        separation_address: str,
        trust: LocalTrust,
        stall_limit_s: float = STALL_LIMIT_S,
        body_limit_s: float = BODY_LIMIT_S,
        max_bodies_bytes: int = MAX_BODIES_BYTES,
    ) -> None:
        self._channels = {
            "render_service": grpc.aio.insecure_channel(render_address, options=_OPTIONS),
            "separation_service": grpc.aio.insecure_channel(separation_address, options=_OPTIONS),
        }
        self._trust = trust
        self._stall_limit_s = stall_limit_s
        self._body_limit_s = body_limit_s
        self._free_bytes = max_bodies_bytes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            await channel.close(None)

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to a POST."""
        try:
            body = await self._read_body(request)
        except _Unreadable as unreadable:
            response = web.Response(status=unreadable.status, text=f"{unreadable}\n", headers=_HEADERS)
            response.force_close()  # the rest of the body is not read
            return response
        content_type = request.headers["Content-Type"]
        try:
            call = self._read_call(request, body)
        except RefusedCall as refused:
            return _unary_answer(content_type, b"", trailers_frame(refused.code, str(refused)))
        if call.method.streams_answer:
            return await self._pass_stream(request, call)
        return await self._pass_unary(call)

    async def all_serve(self) -> bool:
        """Whether both services say now that they serve."""
        return all(await asyncio.gather(*map(_serves, self._channels.values())))

    async def _read_body(self, request: web.BaseRequest) -> bytes:
        """The whole body of a call. Raises `_Unreadable`."""
        if request.headers.get("Content-Type") not in CONTENT_TYPES or "Content-Encoding" in request.headers:
            kinds = " or ".join(sorted(CONTENT_TYPES))
            raise _Unreadable(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Only {kinds}, uncompressed.")
        body = bytearray()
        try:
            async with asyncio.timeout(self._body_limit_s):
                while len(body) <= MAX_BODY_BYTES and (chunk := await request.content.readany()):
                    self._free_bytes -= len(chunk)
                    body += chunk
                    if self._free_bytes < 0:
                        raise _Unreadable(
                            HTTPStatus.SERVICE_UNAVAILABLE, "Too many large requests at once. Try again soon."
                        )
        except TimeoutError:
            limit = f"{self._body_limit_s:.0f} s"
            raise _Unreadable(HTTPStatus.REQUEST_TIMEOUT, f"The request took more than {limit} to arrive.") from None
        finally:
            self._free_bytes += len(body)
        if len(body) > MAX_BODY_BYTES:
            raise _Unreadable(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {MAX_BODY_BYTES} bytes.")
        return bytes(body)

    def _read_call(self, request: web.BaseRequest, body: bytes) -> _Call:
        """Raises `RefusedCall`."""
        method = PAGE_METHODS.get(request.raw_path)
        if method is None:
            raise RefusedCall("pages cannot call this method", grpc.StatusCode.UNIMPLEMENTED)
        authorizations = request.headers.getall("Authorization", [])
        if not authorizations and (method.needs_credential or not self._trust.trusts(_peer(request))):
            raise RefusedCall(
                "callers must identify themselves here: send an API key or a JWT as 'authorization: Bearer ...'",
                grpc.StatusCode.UNAUTHENTICATED,
            )
        if not all(text.isascii() and text.isprintable() for text in authorizations):  # gRPC cannot send any other
            raise RefusedCall("authorization must have printable ASCII characters", grpc.StatusCode.UNAUTHENTICATED)
        messages = read_messages(body)
        if not method.streams_request and len(messages) != 1:
            raise RefusedCall(f"the call takes one message, got {len(messages)}")
        return _Call(
            method=method,
            service=_service(method.path, request.headers.get(_SERVICE_HEADER)),
            messages=messages,
            timeout_s=read_timeout_s(request.headers.get("grpc-timeout")),
            # All of them, so that the service refuses more than one.
            metadata=tuple((_AUTHORIZATION, text) for text in authorizations),
            content_type=request.headers["Content-Type"],
        )

    async def _pass_unary(self, call: _Call) -> web.Response:
        channel = self._channels[call.service]
        options: dict[str, Any] = {"timeout": call.timeout_s, "metadata": call.metadata}
        running = (
            channel.stream_unary(call.method.path, bytes, bytes)(_each(call.messages), **options)
            if call.method.streams_request
            else channel.unary_unary(call.method.path, bytes, bytes)(call.messages[0], **options)
        )
        try:
            message: bytes = await running
            return _unary_answer(call.content_type, message_frame(message), await _end(running, call.service))
        except grpc.aio.AioRpcError as error:
            return _unary_answer(call.content_type, b"", _error_end(error, call.service))
        finally:
            running.cancel()

    async def _pass_stream(self, request: web.BaseRequest, call: _Call) -> web.StreamResponse:
        channel = self._channels[call.service]
        options: dict[str, Any] = {"timeout": call.timeout_s, "metadata": call.metadata}
        running = (
            channel.stream_stream(call.method.path, bytes, bytes)(_each(call.messages), **options)
            if call.method.streams_request
            else channel.unary_stream(call.method.path, bytes, bytes)(call.messages[0], **options)
        )
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": call.content_type})
        try:
            await response.prepare(request)
            async with asyncio.timeout(None) as limit:  # one for all writes, which are many
                try:
                    async for message in running:
                        self._limit_stall(limit)
                        await response.write(message_frame(message))
                        limit.reschedule(None)
                    end = await _end(running, call.service)
                except grpc.aio.AioRpcError as error:
                    end = _error_end(error, call.service)
                self._limit_stall(limit)
                await response.write(end)
                await response.write_eof()
        except (ConnectionError, TimeoutError):  # the page is gone or does not read
            if request.transport is not None:
                request.transport.abort()
        finally:
            running.cancel()
        return response

    def _limit_stall(self, limit: asyncio.Timeout) -> None:
        limit.reschedule(asyncio.get_running_loop().time() + self._stall_limit_s)


async def _serves(channel: grpc.aio.Channel) -> bool:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = await check(health_pb2.HealthCheckRequest(), timeout=_HEALTH_LIMIT_S)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _each(messages: Iterable[bytes]) -> AsyncIterator[bytes]:
    for message in messages:
        yield message


def _service(path: str, named: str | None) -> str:
    """The service that a call is for, as docker/envoy.yaml routes it."""
    is_separation = path.startswith("/sonichaos.separation.v1.") or named == "separation"
    return "separation_service" if is_separation else "render_service"


def _peer(request: web.BaseRequest) -> str:
    """The address of the page's connection, as gRPC names it for `LocalTrust`."""
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    host = str(peer[0]) if peer else ""
    return "ipv4:127.0.0.1:0" if host and is_loopback_host(host) else f"ipv4:{host}:0"


async def _end(call: Any, service: str) -> bytes:  # noqa: ANN401  any of gRPC's four kinds of calls
    """The trailers of a call that has sent its messages."""
    code, details, trailers = await call.code(), await call.details(), await call.trailing_metadata()
    return trailers_frame(code, _message(service, code, details, trailers), trailers or ())


def _error_end(error: grpc.aio.AioRpcError, service: str) -> bytes:
    code, trailers = error.code(), error.trailing_metadata()
    return trailers_frame(code, _message(service, code, error.details(), trailers), trailers)


def _message(service: str, code: grpc.StatusCode, details: str | None, trailers: Iterable[Any] | None) -> str:
    """A service's own message. gRPC's for a service that is not there names a path, which pages need not know."""
    if code is grpc.StatusCode.UNAVAILABLE and not list(trailers or ()):
        return f"{service} does not answer. It may be starting; try again in a few seconds."
    return details or ""


def _unary_answer(content_type: str, message: bytes, end: bytes) -> web.Response:
    return web.Response(body=message + end, headers={**_HEADERS, "Content-Type": content_type})
