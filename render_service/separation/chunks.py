"""Sends a tensor in chunks over gRPC, to a separation_service on another host."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import numpy as np
import numpy.typing as npt
import xxhash

from render_service.separation.codec import header_to_proto
from render_service.separation.errors import separation_error
from servicekit.loans import Loan, LoanTimes, TensorHeader
from servicekit.loans.lender import check_samples
from servicekit.logs import logger
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc

CHUNK_BYTES = 1 << 20
_log = logger(__name__)


class ChunkLender:
    """A `Lender` that copies tensors to the borrower, which holds each until a call uses it or its lease expires."""

    def __init__(
        self,
        channel: grpc.Channel,
        *,
        address: str,
        times: LoanTimes | None = None,
        send_timeout_s: float = 60.0,
        wall_clock_s: Callable[[], float] = time.time,
        new_lease_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._channel = channel
        self._address = address
        self._times = times or LoanTimes()
        self._send_timeout_s = send_timeout_s
        self._wall_clock_s = wall_clock_s
        self._new_lease_id = new_lease_id

    @contextmanager
    def lend(
        self, samples: npt.NDArray[np.float32], *, sample_rate_hz: int, job_id: str, wait_s: float = 0.0
    ) -> Iterator[Loan]:
        """Send float32 ``samples`` (C, T). Within the ``with`` block, the borrower has a copy; after it the loan is withdrawn.

        ``wait_s`` has no effect: only shared memory has regions to wait for. Raises the borrower's error under its own reason
        (LOANS_EXHAUSTED, LEASE_LOST, WARMING, DRAINING...), or Unavailable SEPARATION_UNAVAILABLE.
        """
        del wait_s
        check_samples(samples)
        data = samples.reshape(-1).view(np.uint8).data
        header = TensorHeader(
            lease_id=self._new_lease_id(),
            channels=samples.shape[0],
            frames=samples.shape[1],
            sample_rate_hz=sample_rate_hz,
            xxh3_128=xxhash.xxh3_128_hexdigest(data),
            lease_expires_at_s=self._wall_clock_s() + self._times.lease_s,
            job_id=job_id,
        )
        try:
            try:
                response = self._stub().SendTensor(_requests(header, data), timeout=self._send_timeout_s)
            except grpc.RpcError as error:
                raise separation_error(error, address=self._address, retry_after_s=self._times.retry_after_s) from error
            yield Loan(response.lease_id)
        finally:  # also where the answer to SendTensor was lost
            self._withdraw(header.lease_id)

    def _stub(self) -> handoff_pb2_grpc.HandoffServiceStub:
        """A stub for one call: the channel may have been connected anew since the last."""
        return handoff_pb2_grpc.HandoffServiceStub(self._channel)

    def _withdraw(self, lease_id: str) -> None:
        """Free the copy unless a call has used it. Where that fails it is freed when its lease expires."""
        request = handoff_pb2.WithdrawTensorRequest(lease_id=lease_id)
        try:
            self._stub().WithdrawTensor(request, timeout=self._times.withdraw_timeout_s)
        except grpc.RpcError as error:
            _log.warning("withdrawing a loan failed", lease_id=lease_id, message=str(error))


def _requests(header: TensorHeader, data: memoryview) -> Iterator[handoff_pb2.SendTensorRequest]:
    yield handoff_pb2.SendTensorRequest(header=header_to_proto(header))
    for start in range(0, data.nbytes, CHUNK_BYTES):
        yield handoff_pb2.SendTensorRequest(data=bytes(data[start : start + CHUNK_BYTES]))
