"""What a borrower accepts: the ranges of a tensor header, and how many loans and bytes at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from servicekit.errors import InvalidTensor, ResourceExhausted
from servicekit.loans.messages import TensorHeader, is_lease_id

_MIB = 1 << 20
_RETRY_AFTER_S = 2.0


@dataclass(frozen=True, kw_only=True)
class BorrowLimits:
    """Limits of a borrower. A loan counts from its registration until its memory is freed."""

    max_loans: int = 8
    max_bytes: int = 512 * _MIB
    max_loans_per_lender: int = 8
    max_bytes_per_lender: int = 512 * _MIB
    max_tensor_bytes: int = 64 * _MIB
    """180 s of stereo float32 at 44.1 kHz are 60.6 MiB."""
    min_sample_rate_hz: int = 8_000
    max_sample_rate_hz: int = 192_000
    max_lease_s: float = 3600.0

    def check_header(self, header: TensorHeader) -> None:
        """Raise InvalidTensor where a field of the header is out of range."""
        problem = (
            f"lease_id must be 32 lower-case hex digits, got {header.lease_id[:64]!r}"
            if not is_lease_id(header.lease_id)
            else f"channels must be 1 or 2, got {header.channels}"
            if header.channels not in (1, 2)
            else f"frames must be at least 1, got {header.frames}"
            if header.frames < 1
            else f"a tensor may have at most {self.max_tensor_bytes} bytes, got {header.nbytes}"
            if header.nbytes > self.max_tensor_bytes
            else f"sample_rate_hz must be between {self.min_sample_rate_hz} and {self.max_sample_rate_hz}, "
            f"got {header.sample_rate_hz}"
            if not self.min_sample_rate_hz <= header.sample_rate_hz <= self.max_sample_rate_hz
            else f"xxh3_128 must be 32 lower-case hex digits, got {header.xxh3_128[:64]!r}"
            if not is_lease_id(header.xxh3_128)
            else None
        )
        if problem:
            raise InvalidTensor(problem)

    def check_room(
        self, header: TensorHeader, held: Iterable[TensorHeader], held_from_lender: Iterable[TensorHeader]
    ) -> None:
        """Raise ResourceExhausted LOANS_EXHAUSTED where one more loan would exceed a limit."""
        _check(header, held, self.max_loans, self.max_bytes, "in all")
        _check(header, held_from_lender, self.max_loans_per_lender, self.max_bytes_per_lender, "from this lender")


def _check(header: TensorHeader, held: Iterable[TensorHeader], max_loans: int, max_bytes: int, whose: str) -> None:
    sizes = [one.nbytes for one in held]
    if len(sizes) >= max_loans or sum(sizes) + header.nbytes > max_bytes:
        raise ResourceExhausted(
            f"at most {max_loans} loans with {max_bytes} bytes may be held {whose}; {len(sizes)} with {sum(sizes)} bytes are, "
            f"and this one has {header.nbytes}",
            reason="LOANS_EXHAUSTED",
            retry_after_s=_RETRY_AFTER_S,
        )
