"""The standard health service of gRPC, without its package: Check and Watch answer SERVING."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

_SERVING = b"\x08\x01"
"""HealthCheckResponse with status 1."""


def health_handler() -> grpc.GenericRpcHandler:  # type: ignore[type-arg]  # not subscriptable when run
    """Handlers of ``grpc.health.v1.Health`` for a server."""
    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health",
        {
            "Check": grpc.unary_unary_rpc_method_handler(_check),
            "Watch": grpc.unary_stream_rpc_method_handler(_watch),
        },
    )


async def _check(_request: bytes, _context: Any) -> bytes:  # noqa: ANN401  a handler
    return _SERVING


async def _watch(_request: bytes, _context: Any) -> AsyncIterator[bytes]:  # noqa: ANN401  grpc's context
    yield _SERVING
    await asyncio.Event().wait()
