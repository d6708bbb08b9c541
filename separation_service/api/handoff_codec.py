"""The borrower's side of sonichaos.handoff.v1 on the loan socket."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from jobs_service.value_messages import read_time
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
    """The header's values, whose ranges the borrower checks. Raises MalformedMessage unless the samples are float32."""
    if message.sample_type != handoff_pb2.SAMPLE_TYPE_FLOAT32:
        raise MalformedMessage(f"sample_type must be SAMPLE_TYPE_FLOAT32, got {message.sample_type}")
    expires_at = read_time(message.lease_expire_time)
    if expires_at is None:
        raise MalformedMessage("lease_expire_time must be a time between the years 1 and 9999")
    return TensorHeader(
        lease_id=message.lease_id,
        channels=message.channels,
        frames=message.frames,
        sample_rate_hz=message.sample_rate_hz,
        xxh3_128=message.xxh3_128,
        lease_expires_at_s=expires_at.timestamp(),
        job_id=message.job_id,
    )


class ReceiveCodec:
    """Writes BorrowerMessage, reads LenderMessage."""

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
            raise MalformedMessage(f"expected a LenderMessage, got {len(data)} other bytes") from error
        match message.WhichOneof("message"):
            case "lend":
                return LendRequest(header_from_proto(message.lend))
            case "withdraw":
                return WithdrawRequest(message.withdraw.lease_id)
            case _:
                raise MalformedMessage("unknown kind of LenderMessage; run both services in the same version")
