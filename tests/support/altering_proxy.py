"""A gRPC proxy that alters what a server answers, so that a server seems to break a rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

Alter = Callable[[str, bytes], list[bytes]]
"""What is sent in place of a message: by the method, such as ``WatchJob``, and the serialized message."""


def same(_method: str, message: bytes) -> list[bytes]:
    """Alters nothing."""
    return [message]


class _Forwarding(grpc.GenericRpcHandler):
    """Calls of every kind: on the wire a single message is a stream of one."""

    def __init__(self, channel: grpc.Channel, alter: Alter, *, with_details: bool) -> None:
        self._channel = channel
        self._alter = alter
        self._with_details = with_details

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        credential = [(key, value) for key, value in handler_call_details.invocation_metadata if key == "authorization"]

        def forward(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            call = self._channel.stream_stream(path, bytes, bytes)(requests, metadata=credential)
            context.add_callback(call.cancel)
            try:
                for message in call:
                    yield from self._alter(path.rpartition("/")[2], message)
            except grpc.RpcError as error:
                if self._with_details:
                    context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
                context.set_code(error.code())
                context.set_details(error.details() or "")

        return grpc.stream_stream_rpc_method_handler(forward, bytes, bytes)


@contextmanager
def altering_proxy(address: str, alter: Alter = same, *, with_details: bool = True) -> Iterator[str]:
    """A proxy in front of ``address``; yields its own. ``with_details`` False: errors lose their google.rpc.Status."""
    with grpc.insecure_channel(address) as channel:
        server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((_Forwarding(channel, alter, with_details=with_details),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()
