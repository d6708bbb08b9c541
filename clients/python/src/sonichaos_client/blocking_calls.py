"""Performs operations with blocking calls."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from typing import Any, TypeVar

import grpc

from sonichaos_client.connection import SERVICES, Connections
from sonichaos_client.enums import OwningService
from sonichaos_client.errors import SonichaosError
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


class BlockingCalls:
    """Performs operations over one channel to each service. It may be shared between threads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._channels = {service: connections.open(service) for service in SERVICES}

    def close(self) -> None:
        """Close the connections; running calls end."""
        for channel in self._channels.values():
            channel.close()

    def run(self, operation: Operation[T]) -> T:
        """Perform an operation and return its result. Raises SonichaosError."""
        with closing(operation):
            step = advance(operation, None)
            while not isinstance(step, Returned):
                step = advance(operation, self._perform(step, []))
            value: T = step.value
            return value

    def stream(self, operation: StreamOperation[T]) -> Generator[T, None, None]:
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
                        result = self._perform(step, opened)
                    step = advance(operation, result)
        finally:
            for call in opened:
                call.cancel()

    def _perform(self, request: IoRequest, opened: list[Any]) -> object:
        """Perform one I/O request. Errors are returned, for the operation to handle."""
        try:
            return self._perform_io(request, opened)
        except SonichaosError as error:
            return error
        except grpc.RpcError as error:
            service = OwningService.RENDER if isinstance(request, Sleep | RunBlocking) else request.service
            return self._connections.error_of(error, service)

    def _perform_io(self, request: IoRequest, opened: list[Any]) -> object:
        match request:
            case UnaryCall(service, rpc, message, timeout_s):
                unary = self._channels[service].unary_unary(*rpc.signature)
                return unary(message, timeout=timeout_s, metadata=self._connections.call_metadata(service))
            case ClientStreamingCall(service, rpc, messages, timeout_s):
                upload_call = self._channels[service].stream_unary(*rpc.signature)
                return upload_call(iter(messages), timeout=timeout_s, metadata=self._connections.call_metadata(service))
            case ServerStreamingCall(service, rpc, message, timeout_s):
                stream = self._channels[service].unary_stream(*rpc.signature)
                call = stream(message, timeout=timeout_s, metadata=self._connections.call_metadata(service))
                opened[:] = [call]  # an operation resumes a stream only after the one before has ended
                return StreamHandle(service, call)
            case ReadMessage(handle):
                return next(handle.call, None)
            case Sleep(seconds_s):
                time.sleep(seconds_s)
                return None
            case RunBlocking(function):
                return function()
