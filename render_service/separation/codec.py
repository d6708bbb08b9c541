"""The lender's side of sonichaos.handoff.v1 on the loan socket: its messages as protobuf."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from servicekit.loans.messages import (
    BorrowerMessage,
    LenderMessage,
    LendRequest,
    LoanAccepted,
    LoanRefused,
    LoanReleased,
    MalformedMessage,
    TensorHeader,
)
from sonichaos.handoff.v1 import handoff_pb2


def header_to_proto(header: TensorHeader) -> handoff_pb2.TensorHeader:
    """The message of a tensor's header, for the loan socket and for chunks."""
    message = handoff_pb2.TensorHeader(
        lease_id=header.lease_id,
        sample_type=handoff_pb2.SAMPLE_TYPE_FLOAT32,
        channels=header.channels,
        frames=header.frames,
        sample_rate_hz=header.sample_rate_hz,
        xxh3_128=header.xxh3_128,
        job_id=header.job_id,
    )
    message.lease_expire_time.FromNanoseconds(round(header.lease_expires_at_s * 1e9))
    return message


class HandoffCodec:
    """Encodes what a lender sends and decodes what a borrower sends."""

    def encode(self, message: LenderMessage, /) -> bytes:
        """A serialized LenderMessage."""
        if isinstance(message, LendRequest):
            return handoff_pb2.LenderMessage(lend=header_to_proto(message.header)).SerializeToString()
        return handoff_pb2.LenderMessage(withdraw=handoff_pb2.LeaseId(lease_id=message.lease_id)).SerializeToString()

    def decode(self, data: bytes, /) -> BorrowerMessage:
        """Parse a BorrowerMessage. Raises MalformedMessage."""
        try:
            message = handoff_pb2.BorrowerMessage.FromString(data)
        except DecodeError as error:
            raise MalformedMessage(
                f"expected a BorrowerMessage, got {len(data)} bytes that cannot be parsed"
            ) from error
        match message.WhichOneof("message"):
            case "accepted":
                return LoanAccepted(message.accepted.lease_id)
            case "released":
                return LoanReleased(message.released.lease_id)
            case "refused":
                return LoanRefused(message.refused.lease_id, message.refused.reason, message.refused.detail)
            case _:
                raise MalformedMessage(
                    "a BorrowerMessage must be accepted, released or refused, got none of them; run both services at one version"
                )
