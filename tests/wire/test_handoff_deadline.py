"""The deadline of a call to separation_service: the brief's expiry, if it has one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from render_service.separation.chunks import ChunkLender
from render_service.separation.client import SeparationClient
from servicekit.errors import FailedPrecondition, expiry_too_soon
from servicekit.work.cancellation import CancellationToken
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from tests.support.manual_clock import ManualClock
from tests.support.scripted_service import abort_with
from tests.support.scripted_services import serving

NEEDED_S = 600.0
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class _Slow(separation_pb2_grpc.SeparationServiceServicer):
    """Refuses a deadline of less than ten minutes."""

    def SeparateTensor(
        self, request: separation_pb2.SeparateTensorRequest, context: grpc.ServicerContext
    ) -> Iterator[separation_pb2.SeparateTensorResponse]:
        left_s = context.time_remaining()
        if left_s is not None and left_s < NEEDED_S:
            abort_with(expiry_too_soon(needed_s=NEEDED_S, left_s=left_s, queued=0), context)
        yield separation_pb2.SeparateTensorResponse(result=separation_pb2.SeparationResult(separator="slow"))


@pytest.mark.parametrize(("expires_in_s", "refused"), [(60.0, True), (3600.0, False), (None, False)])
def test_the_briefs_expiry_is_the_deadline(expires_in_s: float | None, *, refused: bool) -> None:
    """A call that cannot meet it is refused at once; without an expiry there is no deadline."""
    expire_time = None if expires_in_s is None else NOW + timedelta(seconds=expires_in_s)
    add = separation_pb2_grpc.add_SeparationServiceServicer_to_server
    with serving((add, _Slow())) as address, grpc.insecure_channel(address) as channel:
        client = SeparationClient(address=address, channel=channel, lender=ChunkLender(channel, address=address))
        token = CancellationToken(expire_time=expire_time, clock=ManualClock(NOW))
        request = separation_pb2.SeparateTensorRequest(lease_id="any")
        call = client.separate_tensor(request, expires_in_s=token.expires_in_s())
        if not refused:
            result = client.read_result(call, work=token, on_progress=lambda _update: None)
            assert result.result.separator == "slow"
            return
        with pytest.raises(FailedPrecondition) as caught:
            client.read_result(call, work=token, on_progress=lambda _update: None)
        assert caught.value.reason == "EXPIRY_TOO_SOON"
        assert float(caught.value.metadata["left_seconds"]) < NEEDED_S
