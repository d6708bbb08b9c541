"""HandoffService: takes in a tensor by chunks, where the renderer is on another host."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from grpc import aio

from separation_service.receive_codec import header_from_proto
from servicekit.errors import InvalidTensor
from servicekit.loans import Borrowings, ChunkInbox
from servicekit.loans.messages import MalformedMessage, TensorHeader
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc

_EXPIRY_SLACK_S = 0.05


class HandoffServicer(handoff_pb2_grpc.HandoffServiceServicer):
    """Fills ``borrowings``; SeparateTensor takes from there. A broken stream leaves nothing."""

    def __init__(self, borrowings: Borrowings) -> None:
        self._borrowings = borrowings
        self._inbox = ChunkInbox(borrowings)

    async def SendTensor(  # noqa: N802  the rpc's name
        self,
        request_iterator: AsyncIterator[handoff_pb2.SendTensorRequest],
        context: aio.ServicerContext[Any, Any],  # noqa: ARG002  the signature of a servicer
    ) -> handoff_pb2.SendTensorResponse:
        """Header first, then chunks. Raises InvalidTensor, ResourceExhausted, FailedPrecondition LEASE_LOST."""
        header = await _header(request_iterator)
        with self._inbox.open(header) as receipt:
            async for request in request_iterator:
                if request.WhichOneof("part") != "data":
                    raise InvalidTensor("one header, first, then data; something else came in between")
                receipt.write(request.data)
            lease_id = receipt.finish()
        lease_s = min(header.lease_expires_at_s - time.time(), self._borrowings.limits.max_lease_s)
        asyncio.get_running_loop().call_later(max(0.0, lease_s) + _EXPIRY_SLACK_S, self._borrowings.expire)
        return handoff_pb2.SendTensorResponse(lease_id=lease_id)


async def _header(requests: AsyncIterator[handoff_pb2.SendTensorRequest]) -> TensorHeader:
    async for request in requests:
        if request.WhichOneof("part") != "header":
            raise InvalidTensor("the header comes first; data came")
        try:
            return header_from_proto(request.header)
        except MalformedMessage as error:
            raise InvalidTensor(str(error)) from error
    raise InvalidTensor("the stream ended before its header")
