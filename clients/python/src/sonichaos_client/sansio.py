"""Operations without I/O, shared by the blocking and the asyncio client.

An operation is a generator that yields I/O requests (a call, a read, a sleep) and receives their results or exceptions.
`client.py` performs the requests by blocking, `aio.py` by awaiting. Operations call the typed functions here:
``job = yield from call_unary(...)``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from sonichaos_client.call_report import CallReport
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import SonichaosError
from sonichaos_client.options import CallOptions
from sonichaos_client.rpcs import Request, Response, Rpc

T = TypeVar("T")
_log = logging.getLogger("sonichaos_client")


@dataclass(frozen=True)
class UnaryCall:
    """One request, one response."""

    service: OwningService
    rpc: Rpc[Any, Any]
    request: Message
    timeout_s: float


@dataclass(frozen=True)
class ClientStreamingCall:
    """Many requests, one response."""

    service: OwningService
    rpc: Rpc[Any, Any]
    requests: Iterable[Message]
    timeout_s: float


@dataclass(frozen=True)
class ServerStreamingCall:
    """One request, many responses; the result is a `StreamHandle`.

    The client that performs the operation cancels the call when the operation ends.
    """

    service: OwningService
    rpc: Rpc[Any, Any]
    request: Message
    timeout_s: float | None


@dataclass(frozen=True)
class StreamHandle(Generic[Response]):
    """An open stream of responses. ``call`` belongs to the client that opened it."""

    service: OwningService
    call: Any


@dataclass(frozen=True)
class ReadMessage:
    """The next response, or None when the stream ended with OK."""

    handle: StreamHandle[Any]

    @property
    def service(self) -> OwningService:
        """The service that sends the stream."""
        return self.handle.service


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds_s: float


@dataclass(frozen=True)
class RunBlocking:
    """Run a function that blocks on files or HTTP."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Item(Generic[T]):
    """The next value of a `StreamOperation`, for its caller."""

    value: T


@dataclass(frozen=True)
class Returned(Generic[T]):
    """The operation ended and returned ``value``."""

    value: T


GrpcRequest = UnaryCall | ClientStreamingCall | ServerStreamingCall | ReadMessage
IoRequest = GrpcRequest | Sleep | RunBlocking
Operation = Generator[IoRequest, Any, T]
StreamOperation = Generator[IoRequest | Item[T], Any, None]


def advance(operation: Generator[Any, Any, T], result: object) -> Any:  # noqa: ANN401 - a request, or Returned of type T
    """Pass the result of the last request to an operation, raising it if it is an error, and return its next request."""
    try:
        return operation.throw(result) if isinstance(result, SonichaosError) else operation.send(result)
    except StopIteration as end:
        return Returned(end.value)


@contextmanager
def reporting(
    options: CallOptions,
    service: OwningService,
    rpc: Rpc[Request, Response],
    *,
    attempt: int = 1,
    request_id: str = "",
) -> Iterator[None]:
    """Report the call that the block makes. An exception of ``on_call`` is logged: it cannot end the call."""
    started_s, code, reason = options.clock(), grpc.StatusCode.OK, ""
    try:
        yield
    except SonichaosError as error:
        code, reason = error.code, error.reason
        raise
    except GeneratorExit:
        code = grpc.StatusCode.CANCELLED
        raise
    finally:
        if options.on_call is not None:
            method = f"{rpc.service}/{rpc.method}"
            report = CallReport(
                service=service,
                method=method,
                code=code,
                reason=reason,
                seconds=options.clock() - started_s,
                attempt=attempt,
                request_id=request_id,
            )
            try:
                options.on_call(report)
            except Exception:  # noqa: BLE001 - whatever a caller's hook raises
                _log.exception("on_call failed for %s", method)


def call_unary(
    service: OwningService,
    rpc: Rpc[Request, Response],
    request: Request,
    options: CallOptions,
    timeout_s: float | None = None,
) -> Operation[Response]:
    """Call a unary method; without a timeout, with that of the options."""
    with reporting(options, service, rpc, request_id=getattr(request, "request_id", "")):
        response: Response = yield UnaryCall(
            service, rpc, request, options.timeout_s if timeout_s is None else timeout_s
        )
        return response


def call_client_streaming(
    service: OwningService, rpc: Rpc[Request, Response], requests: Iterable[Request], timeout_s: float
) -> Operation[Response]:
    """Call a client streaming method."""
    response: Response = yield ClientStreamingCall(service, rpc, requests, timeout_s)
    return response


def open_stream(
    service: OwningService, rpc: Rpc[Request, Response], request: Request, timeout_s: float | None = None
) -> Operation[StreamHandle[Response]]:
    """Call a server streaming method."""
    handle: StreamHandle[Response] = yield ServerStreamingCall(service, rpc, request, timeout_s)
    return handle


def read_message(handle: StreamHandle[Response]) -> Operation[Response | None]:
    """The stream's next response; None when it ended with OK."""
    response: Response | None = yield ReadMessage(handle)
    return response


def run_blocking(function: Callable[[], T]) -> Operation[T]:
    """Run a blocking function."""
    result: T = yield RunBlocking(function)
    return result


def consume(stream: StreamOperation[T], on_item: Callable[[T], object]) -> Operation[None]:
    """Run a stream to its end and call ``on_item`` with each value."""
    step = advance(stream, None)
    while not isinstance(step, Returned):
        result: object = None
        if isinstance(step, Item):
            on_item(step.value)
        else:
            try:
                result = yield step
            except SonichaosError as error:
                result = error
        step = advance(stream, result)
