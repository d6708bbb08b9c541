"""The messages between lender and borrower as plain values, and the protocols of their codecs.

servicekit does not know protobuf; each service passes its codec.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

BYTES_PER_SAMPLE = 4
_LEASE_ID = re.compile(r"[0-9a-f]{32}")


class MalformedMessage(ValueError):
    """The received bytes are not a message; the connection is closed."""


def is_lease_id(text: str) -> bool:
    """Whether ``text`` has the form of a lease id: 32 lower-case hex digits."""
    return _LEASE_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class TensorHeader:
    """Describes a lent tensor: float32, little endian, C-contiguous, shape (C channels, T frames)."""

    lease_id: str
    """32 lower-case hex digits, chosen by the lender."""
    channels: int
    frames: int
    sample_rate_hz: int
    xxh3_128: str
    """xxh3-128 of the bytes, 32 lower-case hex digits."""
    lease_expires_at_s: float
    """Seconds since the Unix epoch. The borrower discards the loan then unless it is borrowed."""
    job_id: str
    """For logs."""

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return self.channels * self.frames * BYTES_PER_SAMPLE


@dataclass(frozen=True)
class LendRequest:
    """Lends a region; sent with one descriptor."""

    header: TensorHeader


@dataclass(frozen=True)
class WithdrawRequest:
    """The lender withdraws a loan."""

    lease_id: str


@dataclass(frozen=True)
class LoanAccepted:
    """The borrower has mapped the region, and it fits its header."""

    lease_id: str


@dataclass(frozen=True)
class LoanRefused:
    """The borrower refuses the loan. ``reason`` is an ErrorReason without prefix."""

    lease_id: str
    reason: str
    detail: str


@dataclass(frozen=True)
class LoanReleased:
    """The borrower has no view of the region left and will not read it again."""

    lease_id: str


LenderMessage = LendRequest | WithdrawRequest
BorrowerMessage = LoanAccepted | LoanRefused | LoanReleased


class LenderCodec(Protocol):
    """Encoding on the lender's side."""

    def encode(self, message: LenderMessage, /) -> bytes:
        """Bytes of ``message``."""

    def decode(self, data: bytes, /) -> BorrowerMessage:
        """Message in ``data``; raises :class:`MalformedMessage`."""


class BorrowerCodec(Protocol):
    """Encoding on the borrower's side."""

    def encode(self, message: BorrowerMessage, /) -> bytes:
        """Bytes of ``message``."""

    def decode(self, data: bytes, /) -> LenderMessage:
        """Message in ``data``; raises :class:`MalformedMessage`."""
