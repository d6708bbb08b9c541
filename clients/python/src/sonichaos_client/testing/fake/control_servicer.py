"""Skipped time, faults and reset: for a test in this process, and as FakeControlService for any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sonichaos.jobs.v1 import job_pb2
from sonichaos.testing.v1 import fake_pb2, fake_pb2_grpc
from sonichaos_client.testing.fake.boundary import Context
from sonichaos_client.testing.fake.clock import MAX_SKIP_S
from sonichaos_client.testing.fake.faults import check_fault, seconds_of
from sonichaos_client.testing.fake.records import timestamp
from sonichaos_client.testing.fake.refusals import invalid
from sonichaos_client.testing.fake.studio import Studio
from sonichaos_client.testing.fake.workers import Workers


@dataclass(frozen=True, kw_only=True)
class FakeControl:
    """Controls both services. ``reset`` removes faults, jobs, files and created personas."""

    studio: Studio
    workers: tuple[Workers, ...]
    reset: Callable[[], None]

    async def skip(self, seconds: float) -> datetime:
        """Advance the clock, 0 to 365 days; returns its time. Raises INVALID_FIELD."""
        if not 0.0 <= seconds <= MAX_SKIP_S:
            raise invalid("duration", f"must be 0 to {MAX_SKIP_S:.0f} seconds, got {seconds:g}")
        return await self.studio.clock.skip(seconds)

    def add_fault(self, fault: fake_pb2.Fault) -> None:
        """Add a fault; a crash without a stage occurs now. Raises INVALID_FIELD."""
        check_fault(fault)
        if fault.WhichOneof("kind") != "crash" or fault.crash.stage != job_pb2.STAGE_UNSPECIFIED:
            self.studio.faults.add(fault)
            return
        for workers in self.workers:
            if fault.service in {job_pb2.OWNING_SERVICE_UNSPECIFIED, workers.owner}:
                workers.crash(seconds_of(fault.crash.down_time))

    async def clear_faults(self) -> None:
        """Remove all faults; what they stalled goes on."""
        self.studio.faults.clear()
        for workers in self.workers:
            workers.resume_parked()
        await self.studio.clock.skip(0.0)


class ControlServicer(fake_pb2_grpc.FakeControlServiceServicer):
    """FakeControlService."""

    def __init__(self, control: FakeControl) -> None:
        self._control = control

    async def SkipTime(self, request: fake_pb2.SkipTimeRequest, context: Context) -> fake_pb2.SkipTimeResponse:
        now = await self._control.skip(seconds_of(request.duration))
        return fake_pb2.SkipTimeResponse(now_time=timestamp(now))

    async def AddFault(self, request: fake_pb2.AddFaultRequest, context: Context) -> fake_pb2.AddFaultResponse:
        self._control.add_fault(request.fault)
        return fake_pb2.AddFaultResponse()

    async def ClearFaults(self, request: fake_pb2.ClearFaultsRequest, context: Context) -> fake_pb2.ClearFaultsResponse:
        await self._control.clear_faults()
        return fake_pb2.ClearFaultsResponse()

    async def Reset(self, request: fake_pb2.ResetRequest, context: Context) -> fake_pb2.ResetResponse:
        self._control.reset()
        return fake_pb2.ResetResponse()
