"""The boundary of a gRPC server: maps errors to statuses, logs and counts calls, checks the gate."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, NoReturn

import grpc
import structlog
from grpc import aio

from servicekit.errors import ServiceError
from servicekit.logs import logger
from servicekit.metrics import Metrics
from servicekit.rpc.gate import Gate
from servicekit.rpc.status import to_status

_STATUS_KEY = "grpc-status-details-bin"
_PROBES = ("/grpc.health.", "/grpc.reflection.")
_log = logger(__name__)


async def _abort(context: aio.ServicerContext[Any, Any], error: BaseException) -> NoReturn:
    status = to_status(error)
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    await context.abort(code, status.message, trailing_metadata=((_STATUS_KEY, status.SerializeToString()),))


class Boundary(aio.ServerInterceptor):  # type: ignore[type-arg]  # not subscriptable when run
    """Wraps every handler. ``gated`` are full method names (``/package.Service/Method``) that create work."""

    def __init__(self, *, metrics: Metrics, gate: Gate, gated: Collection[str]) -> None:
        self._metrics = metrics
        self._gate = gate
        self._gated = frozenset(gated)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Wrap the handler of one call; an unknown method is passed through."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler  # type: ignore[return-value]  # grpc answers UNIMPLEMENTED
        method = handler_call_details.method
        make: dict[tuple[bool, bool], tuple[Any, Any]] = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._unary),
            (True, False): (grpc.stream_unary_rpc_method_handler, self._unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream),
        }
        build, wrap = make[bool(handler.request_streaming), bool(handler.response_streaming)]
        behaviour = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream
        return build(  # type: ignore[no-any-return]
            wrap(method, behaviour),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(request: object, context: aio.ServicerContext[Any, Any]) -> object:
            ended = self._begin(method)
            try:
                self._check_gate(method)
                answer = await behaviour(request, context)
            except asyncio.CancelledError:
                ended("CANCELLED")
                raise
            except aio.AbortError:
                ended(_code_of(context))
                raise
            except Exception as error:  # noqa: BLE001  the boundary
                ended(self._failed(method, error))
                await _abort(context, error)
            ended("OK")
            return answer

        return call

    def _stream(self, method: str, behaviour: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
        async def call(request: object, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            ended = self._begin(method)
            try:
                self._check_gate(method)
                async for answer in behaviour(request, context):
                    yield answer
            except (asyncio.CancelledError, GeneratorExit):
                ended("CANCELLED")
                raise
            except aio.AbortError:
                ended(_code_of(context))
                raise
            except Exception as error:  # noqa: BLE001  the boundary
                ended(self._failed(method, error))
                await _abort(context, error)
            ended("OK")

        return call

    def _check_gate(self, method: str) -> None:
        if method in self._gated:
            self._gate.check()

    def _begin(self, method: str) -> Callable[[str], None]:
        started = time.monotonic()
        structlog.contextvars.bind_contextvars(call_id=uuid.uuid4().hex[:12])

        def ended(code: str) -> None:
            seconds = time.monotonic() - started
            self._metrics.rpcs.labels(method=method, code=code).inc()
            self._metrics.rpc_seconds.labels(method=method).observe(seconds)
            # Probes call several times per second; log them for debugging only.
            log = _log.debug if method.startswith(_PROBES) else _log.info
            log("rpc ended", method=method, code=code, seconds=round(seconds, 4))

        return ended

    @staticmethod
    def _failed(method: str, error: Exception) -> str:
        if not isinstance(error, ServiceError):
            _log.error("rpc failed", method=method, exc_info=error)
            return "INTERNAL"
        _log.info("rpc refused", method=method, reason=error.reason, message=error.message)
        return error.code.name


def _code_of(context: aio.ServicerContext[Any, Any]) -> str:
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else str(code)
