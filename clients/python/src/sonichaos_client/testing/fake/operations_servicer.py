"""OperationsService of the fake."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from sonichaos.jobs.v1 import erasure_pb2
from sonichaos.operations.v1 import operations_pb2, operations_pb2_grpc
from sonichaos_client.testing.fake.boundary import Context
from sonichaos_client.testing.fake.changes import Counts, JobChanges, erasure_report
from sonichaos_client.testing.fake.faults import seconds_of
from sonichaos_client.testing.fake.records import TENANT
from sonichaos_client.testing.fake.refusals import invalid
from sonichaos_client.testing.fake.webhooks import Webhooks

_TENANT = re.compile(r"[a-z][a-z0-9-]{0,62}")
_MAX_DRAIN_S = 3600.0
_DRAIN_S = 30


@dataclass(frozen=True, kw_only=True)
class OperationsServicer(operations_pb2_grpc.OperationsServiceServicer):
    """Operations on one service. ``drain`` makes it refuse new work."""

    changes: JobChanges
    webhooks: Webhooks
    drain: Callable[[], None]

    async def EraseTenant(
        self, request: operations_pb2.EraseTenantRequest, context: Context
    ) -> operations_pb2.EraseTenantResponse:
        """Running versions are cancelled: repeat the call until they have ended."""
        if not _TENANT.fullmatch(request.tenant):
            text = "must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter"
            raise invalid("tenant", f"{text}, got {request.tenant[:80]!r}")
        if request.confirm_tenant != request.tenant:
            text = f"must be the tenant once more, {request.tenant!r}, got {request.confirm_tenant[:80]!r}"
            raise invalid("confirm_tenant", text)
        if request.tenant != TENANT:
            return operations_pb2.EraseTenantResponse(finished=True, report=erasure_report({}, {}))
        hooks, deliveries = self.webhooks.clear()
        counts: Counts = {erasure_pb2.DATA_KIND_WEBHOOKS: hooks, erasure_pb2.DATA_KIND_WEBHOOK_DELIVERIES: deliveries}
        left = 0
        for job in self.changes.studio.records.jobs():
            if job.owner != self.changes.workers.owner:
                continue
            for version in job.versions:
                self.changes.workers.cancel(job, version)
            if not all(version.ended for version in job.versions):
                left += 1
                continue
            for erased in self.changes.erase(job.job_id).erased:
                counts[erased.kind] = counts.get(erased.kind, 0) + erased.count
        if not left:
            counts[erasure_pb2.DATA_KIND_PERSONAS] = self.changes.studio.personas.clear()
        return operations_pb2.EraseTenantResponse(finished=not left, report=erasure_report(counts, {}), jobs_left=left)

    async def Drain(self, request: operations_pb2.DrainRequest, context: Context) -> operations_pb2.DrainResponse:
        """The service refuses new work until it is reset; the process goes on."""
        timeout = Duration(seconds=_DRAIN_S)
        if request.HasField("timeout"):
            wanted_s = seconds_of(request.timeout)
            if not 0.0 <= wanted_s <= _MAX_DRAIN_S:
                raise invalid("timeout", f"must be 0 to {_MAX_DRAIN_S:.0f} seconds, got {wanted_s:g}")
            timeout = request.timeout
        self.drain()
        return operations_pb2.DrainResponse(timeout=timeout)
