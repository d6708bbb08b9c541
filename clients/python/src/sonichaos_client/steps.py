"""How the blocking and the asyncio client share every line that decides something.

An operation is a `Flow`: a generator that yields what is to be done next (a call, a read, a wait) and receives the
outcome, or the exception. `client.py` carries steps out by blocking, `aio.py` by awaiting; neither knows any operation.
The typed functions here are the vocabulary; a flow says ``job = yield from ask(...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from sonichaos_client.errors import SonichaosError
from sonichaos_client.rpcs import Request, Response, Rpc, Target

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """One request, one response."""

    target: Target
    rpc: Rpc[Any, Any]
    request: Message
    deadline_s: float


@dataclass(frozen=True)
class Send:
    """Many requests, one response."""

    target: Target
    rpc: Rpc[Any, Any]
    requests: Iterable[Message]
    deadline_s: float


@dataclass(frozen=True)
class Open:
    """One request, many responses; the outcome is a handle to read from.

    Whoever carries the flow out cancels the call when the flow ends, however it ends.
    """

    target: Target
    rpc: Rpc[Any, Any]
    request: Message


@dataclass(frozen=True)
class Handle(Generic[Response]):
    """An open stream of responses. ``call`` belongs to the client that opened it."""

    target: Target
    call: Any


@dataclass(frozen=True)
class Read:
    """The next response, or None at the stream's proper end."""

    handle: Handle[Any]

    @property
    def target(self) -> Target:
        """The service that is read from."""
        return self.handle.target


@dataclass(frozen=True)
class Sleep:
    """Wait."""

    seconds_s: float


@dataclass(frozen=True)
class Block:
    """Run a function that blocks: files, HTTP."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Give the caller of a stream its next value."""

    value: T


@dataclass(frozen=True)
class Done(Generic[T]):
    """A flow has ended; ``value`` is what it returned."""

    value: T


Call = Ask | Send | Open | Read
Step = Call | Sleep | Block
Flow = Generator[Step, Any, T]
Stream = Generator[Step | Emit[T], Any, None]


def advance(flow: Generator[Any, Any, T], outcome: object) -> Any:  # noqa: ANN401 - a step, or Done of the flow's type
    """Hand a flow the outcome of its last step, an error as an exception, and take its next step."""
    try:
        return flow.throw(outcome) if isinstance(outcome, SonichaosError) else flow.send(outcome)
    except StopIteration as end:
        return Done(end.value)


def ask(target: Target, rpc: Rpc[Request, Response], request: Request, deadline_s: float) -> Flow[Response]:
    """Call a unary method."""
    response: Response = yield Ask(target, rpc, request, deadline_s)
    return response


def send(target: Target, rpc: Rpc[Request, Response], requests: Iterable[Request], deadline_s: float) -> Flow[Response]:
    """Call a method that takes a stream of requests."""
    response: Response = yield Send(target, rpc, requests, deadline_s)
    return response


def open_stream(target: Target, rpc: Rpc[Request, Response], request: Request) -> Flow[Handle[Response]]:
    """Call a method that answers with a stream."""
    handle: Handle[Response] = yield Open(target, rpc, request)
    return handle


def read(handle: Handle[Response]) -> Flow[Response | None]:
    """The stream's next response; None at its proper end."""
    response: Response | None = yield Read(handle)
    return response


def block(function: Callable[[], T]) -> Flow[T]:
    """Run a blocking function."""
    result: T = yield Block(function)
    return result


def drain(stream: Stream[T], hear: Callable[[T], object]) -> Flow[None]:
    """Carry a stream out to its end; ``hear`` is called with each value."""
    step = advance(stream, None)
    while not isinstance(step, Done):
        outcome: object = None
        if isinstance(step, Emit):
            hear(step.value)
        else:
            try:
                outcome = yield step
            except SonichaosError as error:
                outcome = error
        step = advance(stream, outcome)
