"""OperationsService on a server of a test."""

from __future__ import annotations

from jobs_service.deletion import JobDeletions
from jobs_service.erasure import JobErasures
from jobs_service.operations_servicer import OperationsServicer
from jobs_service.tenant_erasure import TenantErasures
from servicekit.journal import Journal, OwningService
from servicekit.rpc.server import RpcServer
from sonichaos.operations.v1 import operations_pb2_grpc

DRAIN_S = 7.0


def add_operations(server: RpcServer, journal: Journal, owner: OwningService, deletions: JobDeletions) -> None:
    """Mount it. A drain is answered and does not stop the server."""
    erasures = TenantErasures(journal, owner, JobErasures(journal, owner, deletions), lambda _tenant: {})
    servicer = OperationsServicer(
        erasures, pools=server.pools, stop=lambda seconds: DRAIN_S if seconds is None else seconds
    )
    operations_pb2_grpc.add_OperationsServiceServicer_to_server(servicer, server.grpc_server)
