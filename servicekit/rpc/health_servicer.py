"""The standard health service. It is open to callers without an identity, so what one of them can hold is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from servicekit.errors import FieldViolation, InvalidFields, ResourceExhausted

MAX_WATCHES = 10_000
_MAX_NAME_CHARACTERS = 256
_RETRY_AFTER_S = 30.0

Context = aio.ServicerContext[Any, Any]


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no types
    """The statuses that were `set`. At most ``max_watches`` watches are open at once, and a name has at most 256 characters."""

    def __init__(self, *, max_watches: int = MAX_WATCHES) -> None:
        self._max_watches = max_watches
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Condition()
        self._watches = 0

    async def set(self, service: str, status: int) -> None:
        """Set the status of a service."""
        async with self._changed:
            self._statuses[service] = status
            self._changed.notify_all()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        """The status of a service."""
        status = self._statuses.get(_name(request))
        if status is None:  # as the protocol of health checks says
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status of a service, and each change of it. Does not end by itself, also where there is no such service."""
        name, sent = _name(request), -1
        if self._watches >= self._max_watches:
            raise ResourceExhausted(
                f"at most {self._max_watches} watches of health can be open at once; check it instead, or retry later",
                metadata={"limit": str(self._max_watches)},
                retry_after_s=_RETRY_AFTER_S,
            )
        self._watches += 1
        try:
            while True:
                async with self._changed:
                    while self._status(name) == sent:
                        await self._changed.wait()
                    sent = self._status(name)
                yield health_pb2.HealthCheckResponse(status=sent)
        finally:
            self._watches -= 1

    async def List(self, request: health_pb2.HealthListRequest, context: Context) -> health_pb2.HealthListResponse:
        """The status of every service."""
        statuses = {name: health_pb2.HealthCheckResponse(status=status) for name, status in self._statuses.items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    def _status(self, name: str) -> int:
        return self._statuses.get(name, int(health_pb2.HealthCheckResponse.SERVICE_UNKNOWN))


def _name(request: health_pb2.HealthCheckRequest) -> str:
    name: str = request.service
    if len(name) > _MAX_NAME_CHARACTERS:
        text = f"must have at most {_MAX_NAME_CHARACTERS} characters, got {len(name)}"
        raise InvalidFields([FieldViolation("service", text)])
    return name
