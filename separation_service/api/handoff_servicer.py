"""HandoffService: receives a tensor in chunks, where the renderer is on another host."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from separation_service.api.handoff_codec import header_from_proto
from servicekit.errors import Expired, InvalidTensor
from servicekit.loans import Borrowings, ChunkInbox
from servicekit.loans.messages import MalformedMessage, TensorHeader
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc

_EXPIRY_SLACK_S = 0.05


class HandoffServicer(handoff_pb2_grpc.HandoffServiceServicer):
    """Adds tensors to ``borrowings``, which SeparateTensor reads. Nothing stays of a stream that breaks or stalls."""

    def __init__(self, borrowings: Borrowings, *, receive_timeout_s: float = 120.0) -> None:
        self._borrowings = borrowings
        self._inbox = ChunkInbox(borrowings)
        self._receive_timeout_s = receive_timeout_s

    async def SendTensor(
        self,
        request_iterator: AsyncIterator[handoff_pb2.SendTensorRequest],
        context: aio.ServicerContext[Any, Any],
    ) -> handoff_pb2.SendTensorResponse:
        """Header first, then chunks. Raises InvalidTensor, ResourceExhausted, FailedPrecondition LEASE_LOST."""
        try:
            async with asyncio.timeout(self._receive_timeout_s):
                return handoff_pb2.SendTensorResponse(
                    lease_id=await self._receive(request_iterator, host_of(context.peer()))
                )
        except TimeoutError:
            raise Expired(
                f"the tensor was not received within {self._receive_timeout_s:g} s; check the network between the hosts"
            ) from None

    async def WithdrawTensor(
        self, request: handoff_pb2.WithdrawTensorRequest, context: aio.ServicerContext[Any, Any]
    ) -> handoff_pb2.WithdrawTensorResponse:
        """Free a tensor that no call uses. Nothing happens to one in use, nor for an unknown id."""
        self._borrowings.discard(request.lease_id)
        return handoff_pb2.WithdrawTensorResponse()

    async def _receive(self, requests: AsyncIterator[handoff_pb2.SendTensorRequest], sender: str) -> str:
        header = await _header(requests)
        lease_s = self._borrowings.lease_remaining_s(header)
        with self._inbox.open(header, sender=sender) as receipt:
            async for request in requests:
                if request.WhichOneof("part") != "data":
                    raise InvalidTensor("the stream must be one header, then data only")
                receipt.write(request.data)
            lease_id = receipt.finish()
        asyncio.get_running_loop().call_later(lease_s + _EXPIRY_SLACK_S, self._borrowings.discard_expired)
        return lease_id


def host_of(peer: str) -> str:
    """The host in gRPC's name of a peer, such as "ipv4:10.0.0.7" of "ipv4:10.0.0.7:43122"."""
    return peer.rpartition(":")[0] if peer.startswith(("ipv4:", "ipv6:")) else peer


async def _header(requests: AsyncIterator[handoff_pb2.SendTensorRequest]) -> TensorHeader:
    async for request in requests:
        if request.WhichOneof("part") != "header":
            raise InvalidTensor("the first message of the stream must be a header, got data")
        try:
            return header_from_proto(request.header)
        except MalformedMessage as error:
            raise InvalidTensor(str(error)) from error
    raise InvalidTensor("the stream ended before its header")
