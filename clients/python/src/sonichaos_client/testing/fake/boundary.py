"""The boundary of a fake server: credentials, form of requests, refusals as statuses, and calls that a crash ends."""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode, aio

from sonichaos_client.testing.fake.checks import check_form, checked
from sonichaos_client.testing.fake.refusals import Refusal, draining, invalid, lost_connection

_OPEN = ("/grpc.health.v1.Health/", "/sonichaos.testing.v1.")
"""Methods that need no credential, and that a service answers that is down."""
_PEER = (
    "/sonichaos.separation.v1.SeparationService/SeparateTensor",
    "/sonichaos.separation.v1.SeparationService/ReplaceStem",
    "/sonichaos.handoff.v1.HandoffService/SendTensor",
    "/sonichaos.handoff.v1.HandoffService/WithdrawTensor",
)
_SCOPES = "operate, read, render, separate"
_SHOWN_CHARACTERS = 128

Context = aio.ServicerContext[Any, Any] if hasattr(aio.ServicerContext, "__class_getitem__") else aio.ServicerContext
Handler = grpc.RpcMethodHandler


@dataclass(frozen=True)
class _Undecodable:
    """Bytes that are no message of the method's type."""

    size_bytes: int


class Boundary(aio.ServerInterceptor):  # type: ignore[type-arg]  # not subscriptable when run
    """Wraps every handler of one service.

    ``api_keys``: calls need one of them; none: no call needs a credential. ``is_down`` says whether the service is down.
    ``gated`` are full method names that are refused while the service drains.
    """

    def __init__(self, *, api_keys: Collection[str], is_down: Callable[[], bool], gated: Collection[str]) -> None:
        self._api_keys = tuple(api_keys)
        self._is_down = is_down
        self._gated = frozenset(gated)
        self._running: set[asyncio.Task[Any]] = set()
        self._cut: set[asyncio.Task[Any]] = set()
        self.draining = False

    def cut_calls(self) -> None:
        """End every running call as a broken connection does."""
        for task in self._running:
            self._cut.add(task)
            task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401  a handler
        """Wrap the handler of one call; an unknown method gets one that refuses it by name."""
        method = handler_call_details.method
        if method.startswith(_OPEN[0]):
            return await continuation(handler_call_details)
        handler = None if method in _PEER else await continuation(handler_call_details)
        if handler is None:
            return grpc.stream_stream_rpc_method_handler(self._stream(method, _refused(method)))
        kind = "stream" if handler.request_streaming else "unary"
        answer = "stream" if handler.response_streaming else "unary"
        behaviour = getattr(handler, f"{kind}_{answer}")
        build = getattr(grpc, f"{kind}_{answer}_rpc_method_handler")
        wrap = self._stream if handler.response_streaming else self._unary
        return build(
            wrap(method, behaviour),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def call(request: object, context: Any) -> object:  # noqa: ANN401  grpc's context
            with self._tracked(method) as task:
                try:
                    self._admit(method, context)
                    found = behaviour(_well_formed(request), context)
                    return await found if inspect.isawaitable(found) else found
                except (Refusal, asyncio.CancelledError) as error:
                    await self._end(error, task, context)

        return call

    def _stream(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., AsyncIterator[Any]]:
        async def call(request: object, context: Any) -> AsyncIterator[Any]:  # noqa: ANN401  grpc's context
            with self._tracked(method) as task:
                try:
                    self._admit(method, context)
                    async for answer in behaviour(_well_formed(request), context):
                        yield answer
                except (Refusal, asyncio.CancelledError) as error:
                    await self._end(error, task, context)

        return call

    @contextmanager
    def _tracked(self, method: str) -> Iterator[asyncio.Task[Any] | None]:
        """The call's task is among those that a crash ends."""
        task = asyncio.current_task()
        if task is not None and not method.startswith(_OPEN):
            self._running.add(task)
        try:
            yield task
        finally:
            if task is not None:
                self._running.discard(task)
                self._cut.discard(task)

    def _admit(self, method: str, context: Any) -> None:  # noqa: ANN401  grpc's context
        if method.startswith(_OPEN):
            return
        if self._is_down():
            raise lost_connection()
        if self._api_keys:
            self._check_credential([value for key, value in context.invocation_metadata() or () if key == "authorization"])
        if method in _PEER:
            raise Refusal(
                StatusCode.PERMISSION_DENIED,
                "SCOPE_MISSING",
                f"{method.rpartition('/')[2]} needs the scope peer, and the caller's credential has {_SCOPES}",
                metadata={"scope": "peer"},
            )
        if self.draining and method in self._gated:
            raise draining()

    def _check_credential(self, given: list[str]) -> None:
        if not given:
            raise Refusal(
                StatusCode.UNAUTHENTICATED,
                "CREDENTIALS_MISSING",
                "callers must identify themselves here: send an API key or a JWT as 'authorization: Bearer ...', or present a "
                "client certificate at an address that asks for one",
            )
        if len(given) > 1:
            raise _invalid_credential(
                f"a call must have one authorization entry in its metadata at most, got {len(given)}"
            )
        accepted = [hmac.compare_digest(given[0].encode(), f"Bearer {key}".encode()) for key in self._api_keys]
        if not any(accepted):
            raise _invalid_credential("the API key is not valid: it is unknown or was revoked; ask for a new one")

    async def _end(self, error: Refusal | asyncio.CancelledError, task: asyncio.Task[Any] | None, context: Any) -> NoReturn:  # noqa: ANN401  grpc's context
        """End a call with the status of its refusal, or as the crash of the service does."""
        if isinstance(error, asyncio.CancelledError):
            if task is None or task not in self._cut:
                raise error
            task.uncancel()
            error = lost_connection()
        status = error.status()
        details = (("grpc-status-details-bin", status.SerializeToString()),) if error.reason else ()
        await context.abort(error.code, status.message, trailing_metadata=details)
        raise error  # never: abort raises


def _invalid_credential(text: str) -> Refusal:
    return Refusal(StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID", text)


def _well_formed(request: Any) -> Any:  # noqa: ANN401  a message, or a stream of messages
    """The request itself; a stream is checked while it is read. Raises INVALID_FIELD naming every malformed field."""
    if isinstance(request, _Undecodable):
        raise invalid("request", f"must be a message of the method's type, got {request.size_bytes} other bytes")
    if hasattr(request, "__aiter__"):
        return checked(request)
    check_form(request)
    return request


def _lenient(deserialize: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A deserializer that gives :class:`_Undecodable` where ``deserialize`` fails."""

    def read(data: bytes) -> Any:  # noqa: ANN401  a message
        try:
            return deserialize(data)
        except DecodeError:
            return _Undecodable(len(data))

    return read


def _refused(method: str) -> Callable[..., AsyncIterator[Any]]:
    """A handler for a method that the server does not have."""

    async def call(_requests: object, _context: object) -> AsyncIterator[Any]:  # noqa: RUF029  a handler
        raise Refusal(
            StatusCode.UNIMPLEMENTED,
            "NOT_IMPLEMENTED",
            f"this build has no method {method[:_SHOWN_CHARACTERS]}; run client and services in the same release",
            metadata={"method": method[:_SHOWN_CHARACTERS]},
        )
        yield  # makes it a generator

    return call
