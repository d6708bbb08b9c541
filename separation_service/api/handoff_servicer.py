"""HandoffService: receives a tensor in chunks, where the renderer is on another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from separation_service.api.handoff_codec import header_from_proto
from servicekit.access.gatekeeper import host_of
from servicekit.errors import InvalidTensor
from servicekit.loans import Borrowings, ChunkInbox
from servicekit.loans.messages import MalformedMessage, TensorHeader
from servicekit.rpc.receive import ReceiveLimits, ReceiveStream
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc

LIMITS = ReceiveLimits(window_s=30.0, max_s=120.0)
"""Of a tensor, which is sent within one data centre and while a lease runs."""
_EXPIRY_SLACK_S = 0.05


class HandoffServicer(handoff_pb2_grpc.HandoffServiceServicer):
    """Adds tensors to ``borrowings``, which SeparateTensor reads. Nothing stays of a stream that breaks or stalls."""

    def __init__(self, borrowings: Borrowings, *, receive_limits: ReceiveLimits = LIMITS) -> None:
        self._borrowings = borrowings
        self._inbox = ChunkInbox(borrowings)
        self._receive_limits = receive_limits

    async def SendTensor(
        self,
        request_iterator: AsyncIterator[handoff_pb2.SendTensorRequest],
        context: aio.ServicerContext[Any, Any],
    ) -> handoff_pb2.SendTensorResponse:
        """Header first, then chunks. Raises InvalidTensor, StreamTooSlow, ResourceExhausted, FailedPrecondition LEASE_LOST."""
        stream = ReceiveStream(request_iterator, self._receive_limits, size_of=lambda request: len(request.data))
        header = await _header(stream)
        lease_s = self._borrowings.lease_remaining_s(header)
        with self._inbox.open(header, sender=host_of(context.peer())) as receipt:
            while (request := await stream.next()) is not None:
                if request.WhichOneof("part") != "data":
                    raise InvalidTensor("the stream must be one header, then data only")
                receipt.write(request.data)
            lease_id = receipt.finish()
        asyncio.get_running_loop().call_later(lease_s + _EXPIRY_SLACK_S, self._borrowings.discard_expired)
        return handoff_pb2.SendTensorResponse(lease_id=lease_id)

    async def WithdrawTensor(
        self, request: handoff_pb2.WithdrawTensorRequest, context: aio.ServicerContext[Any, Any]
    ) -> handoff_pb2.WithdrawTensorResponse:
        """Free a tensor that no call uses. Nothing happens to one in use, nor for an unknown id."""
        self._borrowings.discard(request.lease_id)
        return handoff_pb2.WithdrawTensorResponse()


async def _header(stream: ReceiveStream[handoff_pb2.SendTensorRequest]) -> TensorHeader:
    request = await stream.next()
    if request is None:
        raise InvalidTensor("the stream ended before its header")
    if request.WhichOneof("part") != "header":
        raise InvalidTensor("the first message of the stream must be a header, got data")
    try:
        return header_from_proto(request.header)
    except MalformedMessage as error:
        raise InvalidTensor(str(error)) from error
