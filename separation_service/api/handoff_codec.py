"""The borrower's half of sonichaos.handoff.v1 on the loan socket."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from servicekit.loans.messages import (
    BorrowerMessage,
    LenderMessage,
    LendRequest,
    LoanAccepted,
    LoanRefused,
    MalformedMessage,
    TensorHeader,
    WithdrawRequest,
)
from sonichaos.handoff.v1 import handoff_pb2


def header_from_proto(message: handoff_pb2.TensorHeader) -> TensorHeader:
    """The header as it came; raises MalformedMessage unless its samples are float32. Ranges are the borrower's to check."""
    if message.sample_type != handoff_pb2.SAMPLE_TYPE_FLOAT32:
        raise MalformedMessage(f"sample type {message.sample_type}; SAMPLE_TYPE_FLOAT32 is wanted")
    return TensorHeader(
        lease_id=message.lease_id,
        channels=message.channels,
        frames=message.frames,
        sample_rate_hz=message.sample_rate_hz,
        xxh3_128=message.xxh3_128,
        lease_expires_at_s=message.lease_expire_time.ToNanoseconds() / 1e9,
        job_id=message.job_id,
    )


class ReceiveCodec:
    """Speaks BorrowerMessage, understands LenderMessage."""

    def encode(self, message: BorrowerMessage, /) -> bytes:
        """Serialized BorrowerMessage."""
        lease = handoff_pb2.LeaseId(lease_id=message.lease_id)
        if isinstance(message, LoanAccepted):
            return handoff_pb2.BorrowerMessage(accepted=lease).SerializeToString()
        if isinstance(message, LoanRefused):
            refusal = handoff_pb2.LeaseRefusal(lease_id=message.lease_id, detail=message.detail, reason=message.reason)
            return handoff_pb2.BorrowerMessage(refused=refusal).SerializeToString()
        return handoff_pb2.BorrowerMessage(released=lease).SerializeToString()

    def decode(self, data: bytes, /) -> LenderMessage:
        """Parsed LenderMessage; raises MalformedMessage."""
        try:
            message = handoff_pb2.LenderMessage.FromString(data)
        except DecodeError as error:
            raise MalformedMessage(f"{len(data)} bytes that are no LenderMessage") from error
        match message.WhichOneof("message"):
            case "lend":
                return LendRequest(header_from_proto(message.lend))
            case "withdraw":
                return WithdrawRequest(message.withdraw.lease_id)
            case _:
                raise MalformedMessage("a LenderMessage that says nothing known; are both services of one version?")
