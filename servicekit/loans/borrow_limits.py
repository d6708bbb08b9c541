"""What a borrower accepts: the ranges of a tensor header, and how many bytes at a time, in all and from each peer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from servicekit.errors import InvalidTensor, ResourceExhausted
from servicekit.loans.messages import TensorHeader, is_lease_id

_MIB = 1 << 20
_RETRY_AFTER_S = 2.0


class Pool(Enum):
    """Loans by how they arrive. Each pool has its own limits: a sender of chunks takes nothing from the renderer on this host."""

    SHARED_MEMORY = "shared memory"
    CHUNKS = "chunks"


@dataclass(frozen=True)
class Peer:
    """Who lends: a process on this host, or the address of another host."""

    pool: Pool
    name: str


@dataclass(frozen=True, kw_only=True)
class PoolLimits:
    """Bytes that all peers together, and that one peer, may have lent at a time."""

    max_bytes: int
    max_bytes_per_peer: int


@dataclass(frozen=True, kw_only=True)
class BorrowLimits:
    """Limits of a borrower. A loan counts from its registration until its memory is freed, with at least 1 MiB.

    Memory that is shared belongs to the lender; chunks are copied into this process.
    """

    shared_memory: PoolLimits = PoolLimits(max_bytes=1024 * _MIB, max_bytes_per_peer=512 * _MIB)
    chunks: PoolLimits = PoolLimits(max_bytes=512 * _MIB, max_bytes_per_peer=256 * _MIB)
    max_tensor_bytes: int = 64 * _MIB
    """180 s of stereo float32 at 44.1 kHz are 60.6 MiB."""
    min_sample_rate_hz: int = 8_000
    max_sample_rate_hz: int = 192_000
    max_lease_s: float = 300.0
    """A loan is used by a call that follows at once."""

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

    def check_room(self, header: TensorHeader, peer: Peer, held: Mapping[Peer, int]) -> None:
        """Raise ResourceExhausted LOANS_EXHAUSTED where one more loan of ``peer`` would exceed a limit.

        ``held`` are the bytes that each peer has lent, as `charged_bytes` counts them.
        """
        limits = self.shared_memory if peer.pool is Pool.SHARED_MEMORY else self.chunks
        in_pool = sum(nbytes for other, nbytes in held.items() if other.pool is peer.pool)
        for whose, held_bytes, max_bytes in (
            ("by this lender", held.get(peer, 0), limits.max_bytes_per_peer),
            (f"in all by {peer.pool.value}", in_pool, limits.max_bytes),
        ):
            if held_bytes + charged_bytes(header) > max_bytes:
                raise ResourceExhausted(
                    f"at most {max_bytes} bytes may be lent at a time {whose}, a loan counting as 1 MiB or more; {held_bytes} are, "
                    f"and this one has {header.nbytes}",
                    reason="LOANS_EXHAUSTED",
                    metadata={"limit": str(max_bytes)},
                    retry_after_s=_RETRY_AFTER_S,
                )


def charged_bytes(header: TensorHeader) -> int:
    """What a loan counts for: its bytes, at least 1 MiB, which bounds the number of loans too."""
    return max(header.nbytes, _MIB)
