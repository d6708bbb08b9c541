"""Operations of OperationsService: erase a tenant, drain a service. They need the scope ``operate``."""

from __future__ import annotations

from datetime import timedelta

from sonichaos.operations.v1 import operations_pb2 as pb
from sonichaos_client import rpcs
from sonichaos_client.enums import OwningService
from sonichaos_client.options import CallOptions
from sonichaos_client.sansio import Operation, call_unary


def erase_tenant(tenant: str, service: OwningService, options: CallOptions) -> Operation[pb.EraseTenantResponse]:
    """Erase a tenant's data of one service; the call is repeated until nothing is left to erase."""
    request = pb.EraseTenantRequest(tenant=tenant, confirm_tenant=tenant)
    while True:
        response = yield from call_unary(service, rpcs.ERASE_TENANT, request, options)
        if response.finished:
            return response


def drain(service: OwningService, limit: timedelta | None, options: CallOptions) -> Operation[pb.DrainResponse]:
    """Stop a service."""
    request = pb.DrainRequest()
    if limit is not None:
        request.timeout.FromTimedelta(limit)
    return (yield from call_unary(service, rpcs.DRAIN, request, options))
