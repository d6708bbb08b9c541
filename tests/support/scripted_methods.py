"""A gRPC server whose methods do what a test of the bridge needs. Messages are bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from servicekit.rpc.server import MAX_METADATA_BYTES

JOBS = "/sonichaos.jobs.v1.JobsService"
UNARY, STREAM, UPLOAD = f"{JOBS}/GetJob", f"{JOBS}/WatchJob", "/sonichaos.render.v1.RenderService/CreatePersona"
DETAILS = bytes(range(256))
MESSAGE = "no job ä\n100 % sure"


@dataclass
class ScriptedMethods(grpc.GenericRpcHandler):
    """What was called, and by whom.

    A unary call's message is a command: ``echo ...``, ``size N``, ``fail`` or ``wait``, which ends only if it is cancelled. A
    stream sends ``first`` and then does the same; with ``flood`` it sends without end.
    """

    calls: list[str] = field(default_factory=list)
    metadata: list[list[tuple[str, Any]]] = field(default_factory=list)
    running: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler of any method."""
        path = handler_call_details.method
        self.calls.append(path)
        self.metadata.append([(key, value) for key, value in handler_call_details.invocation_metadata])
        kinds: dict[str, Callable[..., Any]] = {
            "/WatchJob": lambda: grpc.unary_stream_rpc_method_handler(self._stream),
            "/CreatePersona": lambda: grpc.stream_unary_rpc_method_handler(self._upload),
        }
        make = next((make for end, make in kinds.items() if path.endswith(end)), None)
        return make() if make else grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        command, _, rest = request.decode().partition(" ")
        if command == "size":
            return bytes(int(rest))
        if command == "fail":
            context.set_trailing_metadata((("grpc-status-details-bin", DETAILS), ("retry-note", "later")))
            await context.abort(grpc.StatusCode.NOT_FOUND, MESSAGE)
        if command == "wait":
            await self._wait()
        return rest.encode()

    async def _stream(self, request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
        yield b"first"
        if request == b"flood":
            try:
                while True:
                    yield bytes(1 << 20)
            finally:
                self.cancelled.set()
        yield await self._answer(request, context)

    async def _upload(self, requests: AsyncIterator[bytes], _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return b"+".join([part async for part in requests])

    async def _wait(self) -> None:
        self.running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


@asynccontextmanager
async def serving_methods(*, healthy: bool = True) -> AsyncIterator[tuple[ScriptedMethods, str]]:
    """A server on a free port, with a health service; the methods and the address."""
    methods = ScriptedMethods()
    server = grpc.aio.server(options=(("grpc.max_metadata_size", MAX_METADATA_BYTES),))
    servicer = health.aio.HealthServicer()
    states = health_pb2.HealthCheckResponse
    await servicer.set("", states.SERVING if healthy else states.NOT_SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_generic_rpc_handlers((methods,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield methods, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
