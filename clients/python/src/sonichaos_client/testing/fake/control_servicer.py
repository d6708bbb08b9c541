"""FakeControlService: skipped time, faults, reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sonichaos.jobs.v1 import job_pb2
from sonichaos.testing.v1 import fake_pb2, fake_pb2_grpc
from sonichaos_client.testing.fake.clock import MAX_SKIP_S
from sonichaos_client.testing.fake.faults import check_fault, seconds_of
from sonichaos_client.testing.fake.records import timestamp
from sonichaos_client.testing.fake.refusals import invalid
from sonichaos_client.testing.fake.work import Studio
from sonichaos_client.testing.fake.workers import Workers

Context = Any


@dataclass(frozen=True, kw_only=True)
class ControlServicer(fake_pb2_grpc.FakeControlServiceServicer):
    """The same for both services. ``reset`` removes everything."""

    studio: Studio
    workers: tuple[Workers, ...]
    reset: Callable[[], None]

    async def SkipTime(self, request: fake_pb2.SkipTimeRequest, context: Context) -> fake_pb2.SkipTimeResponse:
        seconds = seconds_of(request.duration)
        if not 0.0 <= seconds <= MAX_SKIP_S:
            raise invalid("duration", f"must be 0 to {MAX_SKIP_S:.0f} seconds, got {seconds:g}")
        return fake_pb2.SkipTimeResponse(now_time=timestamp(await self.studio.clock.skip(seconds)))

    async def AddFault(self, request: fake_pb2.AddFaultRequest, context: Context) -> fake_pb2.AddFaultResponse:
        check_fault(request.fault)
        self.apply(request.fault)
        return fake_pb2.AddFaultResponse()

    async def ClearFaults(
        self, request: fake_pb2.ClearFaultsRequest, context: Context
    ) -> fake_pb2.ClearFaultsResponse:
        self.studio.faults.clear()
        for workers in self.workers:
            workers.resume_parked()
        await self.studio.clock.skip(0.0)
        return fake_pb2.ClearFaultsResponse()

    async def Reset(self, request: fake_pb2.ResetRequest, context: Context) -> fake_pb2.ResetResponse:
        self.reset()
        return fake_pb2.ResetResponse()

    def apply(self, fault: fake_pb2.Fault) -> None:
        """Add a fault; a crash without a stage occurs now."""
        if fault.WhichOneof("kind") != "crash" or fault.crash.stage != job_pb2.STAGE_UNSPECIFIED:
            self.studio.faults.add(fault)
            return
        for workers in self.workers:
            if fault.service in {job_pb2.OWNING_SERVICE_UNSPECIFIED, workers.owner}:
                workers.crash(seconds_of(fault.crash.down_time))
