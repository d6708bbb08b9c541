"""Takes a tensor in piece by piece, where lender and borrower share no memory."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import xxhash

from servicekit.errors import InvalidTensor
from servicekit.loans.borrowings import Borrowings
from servicekit.loans.messages import TensorHeader

MAX_CHUNK_BYTES = 1 << 20


class Receipt:
    """A tensor on its way in. Leaving its ``with`` before :meth:`finish` frees what came and forgets the loan."""

    def __init__(self, borrowings: Borrowings, header: TensorHeader) -> None:
        borrowings.admit(header, self)
        self._borrowings = borrowings
        self._header = header
        self._buffer: npt.NDArray[np.uint8] | None = np.empty(header.nbytes, dtype=np.uint8)
        self._received_bytes = 0
        self._digest = xxhash.xxh3_128()

    def write(self, data: bytes) -> None:
        """Take the next bytes, at most 1 MiB. Raises InvalidTensor where they are too many."""
        if self._buffer is None:
            raise InvalidTensor("bytes came after the tensor's end")
        end = self._received_bytes + len(data)
        if len(data) > MAX_CHUNK_BYTES or end > self._header.nbytes:
            raise InvalidTensor(
                f"a chunk of {len(data)} bytes came after {self._received_bytes} of {self._header.nbytes}; a chunk has at most "
                f"{MAX_CHUNK_BYTES} bytes, and the tensor no more than its header says"
            )
        self._buffer[self._received_bytes : end] = np.frombuffer(data, dtype=np.uint8)
        self._digest.update(data)
        self._received_bytes = end

    def finish(self) -> str:
        """Keep the tensor for :meth:`Borrowings.take`; its lease id. Raises InvalidTensor unless all bytes came as they left."""
        header = self._header
        if self._buffer is None or self._received_bytes != header.nbytes:
            raise InvalidTensor(f"{header.nbytes} bytes were announced, {self._received_bytes} came")
        found = self._digest.hexdigest()
        if found != header.xxh3_128:
            raise InvalidTensor(f"the bytes that came have xxh3-128 {found}, the header says {header.xxh3_128}")
        buffer, self._buffer = self._buffer, None
        self._borrowings.keep(header.lease_id, buffer, verified=True)
        return header.lease_id

    def released(self, lease_id: str) -> None:
        """Nobody waits to hear it: the sender's bytes are its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._buffer is not None:
            self._buffer = None
            self._borrowings.drop_all_of(self)


class ChunkInbox:
    """Receives tensors by chunks into ``borrowings``, within its bounds."""

    def __init__(self, borrowings: Borrowings) -> None:
        self._borrowings = borrowings

    def open(self, header: TensorHeader) -> Receipt:
        """Begin a tensor: ``with inbox.open(header) as receipt``. Raises what :meth:`Borrowings.admit` raises."""
        return Receipt(self._borrowings, header)
