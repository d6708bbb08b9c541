"""OperationsService: what an operator does to a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobs_service.tenant_erasure import TenantErasures
from servicekit.access.caller import current_caller, is_tenant_id
from servicekit.access.gatekeeper import check_operator
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.logs import logger
from servicekit.rpc.pools import CallPools
from sonichaos.operations.v1 import operations_pb2, operations_pb2_grpc

NAME = "sonichaos.operations.v1.OperationsService"
MAX_DRAIN_S = 3600.0
_MAX_WAIT_S = 30.0
_ANSWER_S = 2.0
_POLL_S = 0.2
_log = logger(__name__)

Context = aio.ServicerContext[Any, Any]


class OperationsServicer(operations_pb2_grpc.OperationsServiceServicer):
    """The operations of one service. ``stop`` ends the process as SIGTERM does; it gets, and returns, the seconds that work has."""

    def __init__(self, erasures: TenantErasures, *, pools: CallPools, stop: Callable[[float | None], float]) -> None:
        self._erasures = erasures
        self._pools = pools
        self._stop = stop

    async def EraseTenant(
        self, request: operations_pb2.EraseTenantRequest, context: Context
    ) -> operations_pb2.EraseTenantResponse:
        """Erase the caller's tenant or, for the operator, any. After 30 s of this call the service goes on by itself."""
        tenant = _checked_tenant(request)
        caller = current_caller()
        if tenant != caller.tenant:
            check_operator(caller, "erasing another tenant")
        until_s = asyncio.get_running_loop().time() + _wait_s(context)
        await self._pools.erasures.run(self._erasures.begin, tenant)
        while not await self._pools.erasures.run(self._erasures.step, tenant):
            if asyncio.get_running_loop().time() > until_s:
                break
            await asyncio.sleep(_POLL_S)
        return await self._pools.erasures.run(self._erasures.response, tenant)

    async def Drain(self, request: operations_pb2.DrainRequest, context: Context) -> operations_pb2.DrainResponse:
        """Stop the service; answered at once."""
        check_operator(current_caller(), "stopping the service")
        wanted_s = request.timeout.ToNanoseconds() / 1e9 if request.HasField("timeout") else None
        if wanted_s is not None and not 0 <= wanted_s <= MAX_DRAIN_S:
            text = f"must be 0 to {MAX_DRAIN_S:.0f} seconds, got {wanted_s:g}"
            raise InvalidFields([FieldViolation("timeout", text)])
        _log.info("a call asks the service to stop")
        timeout = Duration()
        timeout.FromNanoseconds(round(self._stop(wanted_s) * 1e9))
        return operations_pb2.DrainResponse(timeout=timeout)


def _checked_tenant(request: operations_pb2.EraseTenantRequest) -> str:
    if not is_tenant_id(request.tenant):
        text = "must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter"
        raise InvalidFields([FieldViolation("tenant", f"{text}, got {request.tenant[:80]!r}")])
    if request.confirm_tenant != request.tenant:
        text = f"must be the tenant once more, {request.tenant!r}, got {request.confirm_tenant[:80]!r}"
        raise InvalidFields([FieldViolation("confirm_tenant", text)])
    return request.tenant


def _wait_s(context: Context) -> float:
    """How long a call may wait, so that its answer arrives before the caller's deadline."""
    left_s = context.time_remaining()
    return _MAX_WAIT_S if left_s is None else max(min(left_s - _ANSWER_S, _MAX_WAIT_S), 0.0)
