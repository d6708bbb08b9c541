"""The boundary of a gRPC server: admits callers, maps errors to statuses, logs and counts calls, checks gate and requests."""

from __future__ import annotations

import asyncio
import inspect
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol

import grpc
import structlog
from grpc import aio

from servicekit.access.call_limits import CallLimits
from servicekit.access.caller import Caller, IdentityMethod, set_caller
from servicekit.access.gatekeeper import Gatekeeper
from servicekit.errors import ServiceError, Unauthenticated, Unavailable, Unimplemented, cause_of
from servicekit.logs import logger
from servicekit.memory import clear_frames
from servicekit.metrics import Metrics
from servicekit.rpc.access_log import AccessLog
from servicekit.rpc.gate import Gate, draining
from servicekit.rpc.receive import OneRequest
from servicekit.rpc.status import as_service_error, retry_pushback, to_status
from servicekit.rpc.wellformed import check_request, lenient

_STATUS_KEY = "grpc-status-details-bin"
_PUSHBACK_KEY = "grpc-retry-pushback-ms"
_UNKNOWN = "unknown"
"""What metrics name a method that the server does not have: callers choose such names, so they must not become labels."""
_SHOWN_CHARACTERS = 128
_CHECKED_AT_ONCE = 32
_log = logger(__name__)


class Ended(Protocol):
    """What is called when a call has ended."""

    def __call__(self, code: str, reason: str = "", answer: object = None) -> None:
        """Record the status code by its name, of a refused call the reason, and of another the answer if there is one."""


async def _abort(context: aio.ServicerContext[Any, Any], error: BaseException) -> NoReturn:
    status = to_status(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    trailers = (
        (_STATUS_KEY, status.SerializeToString()),
        (_PUSHBACK_KEY, retry_pushback(error, context.time_remaining())),
    )
    await context.abort(code, status.message, trailing_metadata=trailers)


class Boundary(aio.ServerInterceptor):  # type: ignore[type-arg]  # not subscriptable when run
    """Wraps every handler. ``gated`` are full method names (``/package.Service/Method``) that create work."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        gate: Gate,
        gated: Collection[str],
        gatekeeper: Gatekeeper,
        call_limits: CallLimits,
        access_log: AccessLog,
    ) -> None:
        self._metrics = metrics
        self._gate = gate
        self._gated = frozenset(gated)
        self._gatekeeper = gatekeeper
        self._call_limits = call_limits
        self._access_log = access_log
        self._running: set[asyncio.Task[Any]] = set()
        self._callers: dict[asyncio.Task[Any], Caller] = {}
        self._counted: dict[asyncio.Task[Any], Callable[[], None]] = {}
        self._revoked: set[asyncio.Task[Any]] = set()
        self._ending = False

    def end_calls(self) -> None:
        """End every running call with DRAINING and a retry time; the framework would name neither."""
        self._ending = True
        for task in self._running:
            task.cancel()

    async def end_calls_of_invalid_callers(self) -> None:
        """End the running calls whose callers would not be admitted again: a revoked key, an expired token.

        API keys come last: where the journal hangs, answers about them do, and other callers must not wait for those.
        """
        callers = {_identity(caller): caller for caller in self._callers.values()}
        by_key = {identity for identity, caller in callers.items() if caller.method is IdentityMethod.API_KEY}
        for group in (list(callers.keys() - by_key), list(by_key)):
            for start in range(0, len(group), _CHECKED_AT_ONCE):
                asked = group[start : start + _CHECKED_AT_ONCE]
                answers = await asyncio.gather(*[self._is_valid(callers[identity]) for identity in asked])
                self._end_calls_of({identity for identity, valid in zip(asked, answers, strict=True) if not valid})

    async def _is_valid(self, caller: Caller) -> bool:
        """What the gatekeeper says. An unexpected error is about this caller alone, and ends none of its calls."""
        try:
            return await self._gatekeeper.is_valid(caller)
        except Exception as error:  # noqa: BLE001  the other callers must be checked, whatever this one meets
            _log.error("a caller could not be checked again", subject=caller.subject, exc_info=error)
            return True

    def _end_calls_of(self, invalid: AbstractSet[tuple[object, ...]]) -> None:
        for task, caller in list(self._callers.items()):
            if _identity(caller) in invalid and not task.done():
                self._revoked.add(task)
                task.cancel()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Wrap the handler of one call; an unknown method gets one that refuses it by name."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None:
            refuse = self._stream(_UNKNOWN, _refuses(method), one_request=False)
            return grpc.stream_stream_rpc_method_handler(refuse)
        # A call with one request is served as one with a stream of requests, which looks the same to its caller: gRPC would receive
        # up to 4 MiB before it calls the handler, without a time limit and whoever sends them.
        behaviour: Any = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream
        wrap, build = (
            (self._stream, grpc.stream_stream_rpc_method_handler)
            if handler.response_streaming
            else (self._unary, grpc.stream_unary_rpc_method_handler)
        )
        return build(
            wrap(method, behaviour, one_request=not handler.request_streaming),
            request_deserializer=lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Callable[..., Any], *, one_request: bool) -> Callable[..., Awaitable[Any]]:
        async def call(requests: object, context: aio.ServicerContext[Any, Any]) -> object:
            request = OneRequest(context) if one_request else requests

            async def answer() -> object:
                found = behaviour(await _received(request), context)
                return await found if inspect.isawaitable(found) else found

            with self._tracked() as task:
                ended = self._begin(method, context, request)
                try:
                    await self._admit(method, context, task, is_stream=not one_request)
                    self._check_gate(method)
                    answered = await answer()
                except BaseException as error:  # noqa: BLE001  the boundary
                    await self._fail(method, error, context, ended)
                ended("OK", answer=answered)
                return answered

        return call

    def _stream(
        self, method: str, behaviour: Callable[..., Any], *, one_request: bool
    ) -> Callable[..., AsyncIterator[Any]]:
        """A handler may be an async generator, or a coroutine that writes through the context."""

        async def call(requests: object, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            request = OneRequest(context) if one_request else requests
            with self._tracked() as task:
                ended = self._begin(method, context, request)
                try:
                    await self._admit(method, context, task, is_stream=True)
                    self._check_gate(method)
                    answers = behaviour(await _received(request), context)
                    if inspect.isawaitable(answers):
                        await answers
                    else:
                        async for answer in answers:
                            yield answer
                except GeneratorExit:
                    ended("CANCELLED")
                    raise
                except BaseException as error:  # noqa: BLE001  the boundary
                    await self._fail(method, error, context, ended)
                ended("OK")

        return call

    @contextmanager
    def _tracked(self) -> Iterator[asyncio.Task[Any]]:
        """The call's task is among those that `end_calls` ends."""
        task = asyncio.current_task()
        if task is None:  # never: a handler runs in a task
            raise RuntimeError("a handler must run in a task")
        self._running.add(task)
        try:
            yield task
        finally:
            self._running.discard(task)
            self._callers.pop(task, None)
            self._revoked.discard(task)
            if (uncount := self._counted.pop(task, None)) is not None:
                uncount()

    async def _admit(
        self, method: str, context: aio.ServicerContext[Any, Any], task: asyncio.Task[Any], *, is_stream: bool
    ) -> None:
        """Admit and count a call. From then on its caller is the current caller, and it ends when the caller's credential does."""
        if method == _UNKNOWN:  # the refusal that follows says only what the published protos say
            return
        caller = await self._gatekeeper.admit(method, context)
        self._callers[task] = caller
        set_caller(caller)
        self._counted[task] = self._call_limits.begin(method, caller, is_stream=is_stream)

    def _check_gate(self, method: str) -> None:
        if method in self._gated:
            self._gate.check()

    def _begin(self, method: str, context: aio.ServicerContext[Any, Any], request: object) -> Ended:
        started = time.monotonic()
        # Read now: a stream that is cancelled while it sends is closed after gRPC has freed its call, and peer() then crashes.
        peer = context.peer() or ""
        structlog.contextvars.bind_contextvars(call_id=uuid.uuid4().hex[:12])

        def ended(code: str, reason: str = "", answer: object = None) -> None:
            seconds = time.monotonic() - started
            self._metrics.rpcs.labels(method=method, code=code).inc()
            self._metrics.rpc_seconds.labels(method=method).observe(seconds)
            asked = request.message if isinstance(request, OneRequest) else request
            self._access_log.write(
                method=method, peer=peer, request=asked, answer=answer, code=code, reason=reason, seconds=seconds
            )

        return ended

    async def _fail(
        self,
        method: str,
        error: BaseException,
        context: aio.ServicerContext[Any, Any],
        ended: Ended,
    ) -> NoReturn:
        """End a call with the status of its error."""
        if isinstance(error, aio.AbortError):
            ended(_code_of(context))
            raise error
        if isinstance(error, asyncio.CancelledError) and self._ending and (task := asyncio.current_task()) is not None:
            task.uncancel()
            error = draining()
        elif isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) in self._revoked:
            task.uncancel()
            error = Unauthenticated("the credential of this call is no longer valid; get a new one, then call again")
        if isinstance(error, NotImplementedError) and _code_of(context) == grpc.StatusCode.UNIMPLEMENTED.name:
            error = _unimplemented(method)
        if not isinstance(error, Exception):
            ended("CANCELLED")
            raise error
        known = self._failed(method, error)
        ended(known.code.name, known.reason)
        # grpc.aio keeps an aborted call's error, often until the garbage collector runs, and with it all variables of its frames.
        clear_frames(error)
        await _abort(context, error)

    @staticmethod
    def _failed(method: str, error: Exception) -> ServiceError:
        known = as_service_error(error)
        if isinstance(error, ServiceError):
            cause = {"cause": cause_of(error)} if isinstance(error, Unavailable) and error.__cause__ else {}
            _log.info("rpc refused", method=method, reason=known.reason, message=known.message, **cause)
        else:
            _log.error("rpc failed", method=method, exc_info=error)
        return known


async def _received(request: object) -> object:
    """The request of a call, or the stream of its requests; either is checked."""
    return check_request(await request.read() if isinstance(request, OneRequest) else request)


def _identity(caller: Caller) -> tuple[object, ...]:
    """The same for callers of which all or none are valid: two tokens of one subject expire at their own times."""
    return caller.method, caller.tenant, caller.subject, caller.scopes, caller.expires_at


def _refuses(method: str) -> Callable[..., Awaitable[None]]:
    """A handler for a method that the server does not have."""

    async def call(_requests: object, _context: object) -> None:
        raise _unimplemented(method)

    return call


def _unimplemented(method: str) -> Unimplemented:
    return Unimplemented(
        f"this build has no method {method[:_SHOWN_CHARACTERS]}; run client and services in the same release",
        metadata={"method": method[:_SHOWN_CHARACTERS]},
    )


def _code_of(context: aio.ServicerContext[Any, Any]) -> str:
    code = context.code()
    return next((known.name for known in grpc.StatusCode if code in (known, known.value[0])), str(code))
