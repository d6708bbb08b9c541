"""Performs operations with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import closing
from typing import Any, TypeVar

import grpc
from grpc.aio import EOF  # type: ignore[attr-defined]  # missing in grpc-stubs

from sonichaos_client.connection import Connections
from sonichaos_client.credentials import CallMetadata
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import CallCancelledError, SonichaosError
from sonichaos_client.sansio import (
    ClientStreamingCall,
    IoRequest,
    Item,
    Operation,
    ReadMessage,
    Returned,
    RunBlocking,
    ServerStreamingCall,
    Sleep,
    StreamHandle,
    StreamOperation,
    UnaryCall,
    advance,
)

T = TypeVar("T")


class AsyncCalls:
    """Performs operations over one channel to each service, in one event loop."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._channels: dict[OwningService, grpc.aio.Channel] = {}

    async def close(self) -> None:
        """Close the connections; running calls end."""
        for channel in self._channels.values():
            await channel.close(grace=None)

    async def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return its result. Raises SonichaosError."""
        with closing(operation):
            step = advance(operation, None)
            while not isinstance(step, Returned):
                step = advance(operation, await self._perform(step, []))
            value: T = step.value
            return value

    async def stream(self, operation: StreamOperation[T]) -> AsyncGenerator[T, None]:
        """Perform an operation during iteration over its values. Raises SonichaosError."""
        opened: list[Any] = []
        try:
            with closing(operation):
                step = advance(operation, None)
                while not isinstance(step, Returned):
                    result = None
                    if isinstance(step, Item):
                        yield step.value
                    else:
                        result = await self._perform(step, opened)
                    step = advance(operation, result)
        finally:
            for call in opened:
                call.cancel()

    async def _perform(self, request: IoRequest, opened: list[Any]) -> object:
        """Perform one I/O request. Errors are returned, for the operation to handle."""
        try:
            return await self._perform_io(request, opened)
        except SonichaosError as error:
            return error
        except grpc.aio.AioRpcError as error:
            service = OwningService.RENDER if isinstance(request, Sleep | RunBlocking) else request.service
            return self._connections.error_of(error, service)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Not this task was cancelled but the call, because a file to upload could not be read.
            return CallCancelledError("The call was cancelled because its request stream failed.")

    async def _perform_io(self, request: IoRequest, opened: list[Any]) -> object:
        match request:
            case UnaryCall(service, rpc, message, timeout_s):
                unary = self._channel(service).unary_unary(*rpc.signature)
                return await unary(message, timeout=timeout_s, metadata=await self._metadata(service))
            case ClientStreamingCall(service, rpc, messages, timeout_s):
                upload_call = self._channel(service).stream_unary(*rpc.signature)
                return await upload_call(iter(messages), timeout=timeout_s, metadata=await self._metadata(service))
            case ServerStreamingCall(service, rpc, message, timeout_s):
                stream = self._channel(service).unary_stream(*rpc.signature)
                call = stream(message, timeout=timeout_s, metadata=await self._metadata(service))
                opened[:] = [call]  # an operation resumes a stream only after the one before has ended
                return StreamHandle(service, call)
            case ReadMessage(handle):
                response = await handle.call.read()
                return None if response is EOF else response
            case Sleep(seconds_s):
                await asyncio.sleep(seconds_s)
                return None
            case RunBlocking(function):
                return await asyncio.to_thread(function)

    async def _metadata(self, service: OwningService) -> CallMetadata:
        """The caller's key or token. A function that returns tokens may block, so it runs in a thread."""
        if self._connections.metadata_may_block:
            return await asyncio.to_thread(self._connections.call_metadata, service)
        return self._connections.call_metadata(service)

    def _channel(self, service: OwningService) -> grpc.aio.Channel:
        """Created at the first call, inside the event loop that uses it."""
        if service not in self._channels:
            self._channels[service] = self._connections.open_aio(service)
        return self._channels[service]
