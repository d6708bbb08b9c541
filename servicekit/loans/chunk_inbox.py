"""Receives tensors in chunks, where lender and borrower share no memory."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import xxhash

from servicekit.errors import InvalidTensor
from servicekit.loans.borrow_limits import Peer, Pool
from servicekit.loans.borrowings import Borrowings
from servicekit.loans.messages import TensorHeader

MAX_CHUNK_BYTES = 1 << 20


class Receipt:
    """A tensor that is being received. Leaving its ``with`` block before :meth:`finish` discards it."""

    def __init__(self, borrowings: Borrowings, header: TensorHeader, peer: Peer) -> None:
        self.peer = peer
        borrowings.register(header, self)
        self._borrowings = borrowings
        self._header = header
        self._buffer: npt.NDArray[np.uint8] | None = np.empty(header.nbytes, dtype=np.uint8)
        self._received_bytes = 0
        self._digest = xxhash.xxh3_128()

    def write(self, data: bytes) -> None:
        """Append a chunk of at most 1 MiB. Raises InvalidTensor for more bytes than that or than the header announced."""
        if self._buffer is None:
            raise InvalidTensor("there must be no chunk after the end of the tensor")
        end = self._received_bytes + len(data)
        if len(data) > MAX_CHUNK_BYTES or end > self._header.nbytes:
            raise InvalidTensor(
                f"a chunk may have at most {MAX_CHUNK_BYTES} bytes and the tensor {self._header.nbytes}, "
                f"got {len(data)} after {self._received_bytes}"
            )
        self._buffer[self._received_bytes : end] = np.frombuffer(data, dtype=np.uint8)
        self._digest.update(data)
        self._received_bytes = end

    def finish(self) -> str:
        """Make the tensor available to `Borrowings`; returns its lease id. Raises InvalidTensor for missing or wrong bytes."""
        header = self._header
        if self._buffer is None or self._received_bytes != header.nbytes:
            raise InvalidTensor(f"the header announced {header.nbytes} bytes, got {self._received_bytes}")
        found = self._digest.hexdigest()
        if found != header.xxh3_128:
            raise InvalidTensor(f"the xxh3-128 of the bytes must be {header.xxh3_128}, as in the header, got {found}")
        buffer, self._buffer = self._buffer, None
        self._borrowings.attach(header.lease_id, buffer, verified=True)
        return header.lease_id

    def released(self, lease_id: str) -> None:
        """Do nothing: the sender keeps its own copy of the bytes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._buffer is not None:
            self._buffer = None
            self._borrowings.discard_all_from(self)


class ChunkInbox:
    """Receives tensors in chunks into ``borrowings``, within its limits."""

    def __init__(self, borrowings: Borrowings) -> None:
        self._borrowings = borrowings

    def open(self, header: TensorHeader, *, sender: str) -> Receipt:
        """Start a tensor: ``with inbox.open(header, sender=address) as receipt``. Raises as `Borrowings.register`."""
        return Receipt(self._borrowings, header, Peer(Pool.CHUNKS, sender))
