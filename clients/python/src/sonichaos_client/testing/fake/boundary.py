"""The boundary of a fake server: credentials, form of requests, refusals as statuses, and calls that a crash ends."""

from __future__ import annotations

import asyncio
import hmac
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import StatusCode, aio

from sonichaos_client.testing.fake.checks import check_form, checked
from sonichaos_client.testing.fake.refusals import Refusal, draining, invalid, lost_connection

_OPEN = ("/grpc.health.v1.Health/", "/sonichaos.testing.v1.")
"""Methods that need no credential, and that a service answers that is down."""
_SHOWN_CHARACTERS = 128
_WAIT_SHARE = 0.9

Context = aio.ServicerContext[Any, Any]


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
        self._lost = asyncio.Event()
        self._draining = False

    def cut_calls(self) -> None:
        """End every running call as a broken connection does."""
        self._lost.set()
        self._lost = asyncio.Event()

    def drain(self) -> None:
        """Refuse calls that create work from now on."""
        self._draining = True

    def reset(self) -> None:
        """Accept them again, and end every running call."""
        self._draining = False
        self.cut_calls()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # noqa: ANN401  a handler
        """Wrap the handler of one call; an unknown method gets one that refuses it by name."""
        method = handler_call_details.method
        if method.startswith(_OPEN[0]):
            return await continuation(handler_call_details)
        handler = await continuation(handler_call_details)
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
        async def call(request: object, context: Context) -> object:
            lost = self._lost
            try:
                self._admit(method, context)
                found = behaviour(_well_formed(request), context)
                answer = await found if inspect.isawaitable(found) else found
                self._check_connection(lost, method)
            except Refusal as refusal:
                await _abort(refusal, context)
            return answer

        return call

    def _stream(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., AsyncIterator[Any]]:
        async def call(request: object, context: Context) -> AsyncIterator[Any]:
            lost = self._lost
            try:
                self._admit(method, context)
                async with aclosing(_until(lost, behaviour(_well_formed(request), context))) as answers:
                    async for answer in answers:
                        yield answer
            except Refusal as refusal:
                await _abort(refusal, context)

        return call

    @staticmethod
    def _check_connection(lost: asyncio.Event, method: str) -> None:
        """A crash loses the answers of the calls that it interrupts, whatever they have done."""
        if lost.is_set() and not method.startswith(_OPEN):
            raise lost_connection()

    def _admit(self, method: str, context: Context) -> None:
        if method.startswith(_OPEN):
            return
        if self._is_down():
            raise lost_connection()
        given = [value for key, value in context.invocation_metadata() or () if key == "authorization"]
        self._check_credential([value if isinstance(value, str) else value.decode("latin-1") for value in given])
        if self._draining and method in self._gated:
            raise draining()

    def _check_credential(self, given: list[str]) -> None:
        """One valid key where keys are needed; a credential that is not valid is refused where none is needed too."""
        if not given and not self._api_keys:
            return
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
            raise _invalid_credential(
                "the authorization must be 'Bearer' and an API key or a JWT of an issuer that this service accepts, got neither"
            )


async def _until(lost: asyncio.Event, answers: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """The answers, up to where the connection is lost.

    The call's own task is not cancelled: while gRPC sends an answer, it would end without a status, and its caller wait for ever.
    """
    losing = asyncio.ensure_future(lost.wait())
    coming: asyncio.Future[Any] = losing
    try:
        while True:
            coming = asyncio.ensure_future(anext(answers, None))
            await asyncio.wait({losing, coming}, return_when=asyncio.FIRST_COMPLETED)
            if losing.done():
                raise lost_connection()
            answer = coming.result()
            if answer is None:
                return
            yield answer
    finally:
        losing.cancel()
        coming.cancel()


async def _abort(refusal: Refusal, context: Context) -> NoReturn:
    """End a call with the status of its refusal."""
    status = refusal.status()
    trailers = (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("grpc-retry-pushback-ms", _retry_pushback(refusal, context.time_remaining())),
    )
    await context.abort(refusal.code, status.message, trailing_metadata=trailers if refusal.reason else ())
    raise refusal  # never: abort raises


def _retry_pushback(refusal: Refusal, time_left_s: float | None) -> str:
    """What gRPC's own retries obey: milliseconds to wait, or -1 for no retry, as when the wait uses up nine tenths of the time."""
    wait_s = refusal.retry_after_s
    if wait_s is None or (time_left_s is not None and wait_s >= _WAIT_SHARE * time_left_s):
        return "-1"
    return str(round(1000 * wait_s))


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


def _refused(method: str) -> Callable[..., NoReturn]:
    """A handler for a method that the server does not have."""

    def call(_requests: object, _context: object) -> NoReturn:
        raise Refusal(
            StatusCode.UNIMPLEMENTED,
            "NOT_IMPLEMENTED",
            f"this build has no method {method[:_SHOWN_CHARACTERS]}; run client and services in the same release",
            metadata={"method": method[:_SHOWN_CHARACTERS]},
        )

    return call
