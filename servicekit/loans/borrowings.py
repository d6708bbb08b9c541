"""The tensors that were lent to this process, from shared memory or in chunks, until they are borrowed or their lease expires.

The memory behind a tensor lives as long as any reference to it. A finalizer on the buffer detects when it is freed, so a view that
outlives its ``with`` block never reads unmapped memory, and the lender gets "released" only when no view is left.
"""

from __future__ import annotations

import itertools
import mmap
import queue
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import xxhash

from servicekit.errors import FailedPrecondition, InvalidTensor
from servicekit.loans.borrow_limits import BorrowLimits, Peer, charged_bytes
from servicekit.loans.checksum import copy_and_hash
from servicekit.loans.messages import TensorHeader
from servicekit.logs import logger

_log = logger(__name__)


class LoanSource(Protocol):
    """The origin of a loan: one lender's connection, or one call."""

    @property
    def peer(self) -> Peer:
        """Whose limit the loan counts for."""
        ...

    def released(self, lease_id: str) -> None:
        """This process has freed the loan's memory. Called with a lock held, so it must only record that."""


Buffer = mmap.mmap | npt.NDArray[np.uint8]
"""Memory that holds a tensor's bytes."""


@dataclass
class _Loan:
    header: TensorHeader
    source: LoanSource
    expires_at_s: float  # monotonic
    serial: int
    """Distinguishes loans that had the same lease id."""
    verified: bool = False
    samples: npt.NDArray[np.float32] | None = None
    borrowed: bool = False
    discarded: bool = False


class BorrowedTensor:
    """A borrowed tensor: ``with borrowings.borrow(lease_id) as tensor: tensor.array``."""

    def __init__(self, header: TensorHeader, samples: npt.NDArray[np.float32], is_freed: Callable[[], bool]) -> None:
        self.header = header
        self._samples: npt.NDArray[np.float32] | None = samples
        self._is_freed = is_freed

    @property
    def array(self) -> npt.NDArray[np.float32]:
        """The lent memory, read-only float32 (C, T). Drop every view of it before the ``with`` block ends."""
        if self._samples is None:
            raise ValueError(f"loan {self.header.lease_id} was released; use its array inside the with block")
        return self._samples

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._samples = None
        if not self._is_freed() and kind is None:
            _log.warning(
                "view of a loan outlives its with block",
                lease_id=self.header.lease_id,
                job_id=self.header.job_id,
            )


class Borrowings:
    """The lent tensors of this process by lease id, within ``limits``. Safe to use from any thread."""

    def __init__(
        self,
        limits: BorrowLimits | None = None,
        *,
        wall_clock_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or BorrowLimits()
        self._wall_clock_s = wall_clock_s
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._loans: dict[str, _Loan] = {}
        self._freed: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._serials = itertools.count()
        self._wakers: tuple[Callable[[], None], ...] = ()

    def add_waker(self, wake: Callable[[], None]) -> None:
        """Call ``wake`` whenever a loan's memory was freed; it should cause a call of :meth:`release_freed`.

        ``wake`` may run in a finalizer, in any thread, so it must not take a lock.
        """
        self._wakers = (*self._wakers, wake)

    def remove_waker(self, wake: Callable[[], None]) -> None:
        """Undo :meth:`add_waker`."""
        self._wakers = tuple(other for other in self._wakers if other is not wake)

    def check(self, header: TensorHeader) -> None:
        """Raise InvalidTensor where the header is out of range, FailedPrecondition LEASE_LOST where its lease has expired."""
        self.limits.check_header(header)
        self.lease_remaining_s(header)

    def lease_remaining_s(self, header: TensorHeader) -> float:
        """Seconds until the lease of ``header`` expires. Raises FailedPrecondition LEASE_LOST where it has expired."""
        remaining_s = header.lease_expires_at_s - self._wall_clock_s()
        if not remaining_s > 0:
            raise _lease_lost(
                header.lease_id,
                f"the lease expired {-remaining_s:.1f} s ago; lend the tensor again, and compare the clocks of both hosts",
            )
        return min(remaining_s, self.limits.max_lease_s)

    def register(self, header: TensorHeader, source: LoanSource) -> None:
        """Register a loan, before its memory is attached.

        Raises as :meth:`check`, InvalidTensor for a lease id in use, ResourceExhausted LOANS_EXHAUSTED above the limits.
        """
        self.check(header)
        self.discard_expired()
        expires_at_s = self._monotonic_s() + self.lease_remaining_s(header)
        with self._lock:
            if header.lease_id in self._loans:
                raise InvalidTensor(f"lease id {header.lease_id} is in use; use a new one for each loan")
            held: Counter[Peer] = Counter()
            for loan in self._loans.values():
                held[loan.source.peer] += charged_bytes(loan.header)
            self.limits.check_room(header, source.peer, held)
            self._loans[header.lease_id] = _Loan(header, source, expires_at_s, next(self._serials))

    def attach(self, lease_id: str, buffer: Buffer, *, verified: bool) -> None:
        """Attach the memory of a registered loan; ``buffer`` must hold at least the tensor's bytes.

        ``verified``: the checksum was checked. The buffer may be reused for other loans: this loan's memory counts as freed when
        no view made here is left. Raises FailedPrecondition LEASE_LOST where the lease has expired since.
        """
        with self._lock:
            loan = self._loans.get(lease_id)
            if loan is None or loan.discarded:
                raise _lease_lost(lease_id, f"the lease of {lease_id} expired while its tensor was received")
            header = loan.header
            flat = np.frombuffer(buffer, dtype=np.float32, count=header.channels * header.frames)
            flat.flags.writeable = False
            # Every view, NumPy's or torch's, keeps this memoryview alive, and nothing else does.
            weakref.finalize(flat.base, self._on_freed, lease_id, loan.serial).atexit = False
            loan.samples = flat.reshape(header.channels, header.frames)
            loan.verified = verified

    def borrow(self, lease_id: str) -> BorrowedTensor:
        """Borrow a tensor until the end of the ``with`` block.

        Raises FailedPrecondition LEASE_LOST for an unknown, expired, withdrawn or borrowed loan; InvalidTensor where the bytes do
        not match their checksum.
        """
        loan, samples = self._claim(lease_id)
        if not loan.verified:
            found = xxhash.xxh3_128_hexdigest(samples.data)
            if found != loan.header.xxh3_128:
                del samples  # the traceback would keep the memory alive
                raise _wrong_checksum(loan.header, found)
        return BorrowedTensor(loan.header, samples, lambda: not self._is_held(lease_id))

    def copy_out(self, lease_id: str, out: npt.NDArray[np.float32]) -> TensorHeader:
        """Copy a tensor into ``out``, C-contiguous float32 of the same shape (C, T), and release the loan.

        The checksum is checked on the copy. Raises as :meth:`borrow`, and InvalidTensor where ``out`` does not fit.
        """
        loan, samples = self._claim(lease_id)
        try:
            if out.shape != samples.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
                raise InvalidTensor(
                    f"the target must be C-contiguous float32 of shape {samples.shape}, got {out.dtype} {out.shape}"
                )
            found = copy_and_hash(out, samples)
        finally:
            del samples
            self.release_freed()
        if found != loan.header.xxh3_128:
            raise _wrong_checksum(loan.header, found)
        return loan.header

    def discard(self, lease_id: str) -> None:
        """Discard a loan unless it is borrowed."""
        self._discard(lambda loan: loan.header.lease_id == lease_id)

    def unregister(self, lease_id: str) -> None:
        """Undo :meth:`register` for a loan without memory; its source is not notified."""
        with self._lock:
            self._loans.pop(lease_id, None)

    def is_from(self, source: LoanSource, lease_id: str) -> bool:
        """Whether ``source`` lent ``lease_id``."""
        loan = self._loans.get(lease_id)
        return loan is not None and loan.source is source

    def discard_all_from(self, source: LoanSource) -> None:
        """Discard every loan of ``source`` that is not borrowed."""
        self._discard(lambda loan: loan.source is source)

    def discard_expired(self) -> None:
        """Discard the loans whose lease has expired and that are not borrowed."""
        now_s = self._monotonic_s()
        for loan in self._discard(lambda loan: loan.expires_at_s <= now_s):
            _log.warning("loan expired", lease_id=loan.header.lease_id, job_id=loan.header.job_id)

    def next_expiry_s(self) -> float | None:
        """Seconds until the next lease of a loan that is not borrowed expires; None where there is none."""
        with self._lock:
            waiting = [loan.expires_at_s for loan in self._loans.values() if not (loan.borrowed or loan.discarded)]
        return max(0.0, min(waiting) - self._monotonic_s()) if waiting else None

    def release_freed(self) -> None:
        """Remove the loans whose memory was freed, and notify their sources."""
        with self._lock:
            while True:
                try:
                    lease_id, serial = self._freed.get_nowait()
                except queue.Empty:
                    return
                loan = self._loans.get(lease_id)
                if loan is not None and loan.serial == serial:
                    del self._loans[lease_id]
                    loan.source.released(lease_id)

    @property
    def active_loans(self) -> int:
        """Number of registered loans whose memory was not freed yet."""
        self.release_freed()
        return len(self._loans)

    def _claim(self, lease_id: str) -> tuple[_Loan, npt.NDArray[np.float32]]:
        self.discard_expired()
        with self._lock:
            loan = self._loans.get(lease_id)
            if loan is None or loan.samples is None:
                state = (
                    "was already borrowed"
                    if loan and loan.borrowed
                    else "is unknown: it was never received, has expired or was withdrawn"
                )
                raise _lease_lost(lease_id, f"loan {lease_id!r} {state}; lend the tensor again")
            loan.borrowed = True
            samples, loan.samples = loan.samples, None
        return loan, samples

    def _discard(self, chosen: Callable[[_Loan], bool]) -> list[_Loan]:
        with self._lock:
            discarded = [
                loan for loan in self._loans.values() if chosen(loan) and not (loan.borrowed or loan.discarded)
            ]
            for loan in discarded:
                loan.discarded = True
                if loan.samples is None:  # registered without memory yet, so no finalizer will run
                    self._freed.put((loan.header.lease_id, loan.serial))
                loan.samples = None
        self.release_freed()
        return discarded

    def _is_held(self, lease_id: str) -> bool:
        self.release_freed()
        return lease_id in self._loans

    def _on_freed(self, lease_id: str, serial: int) -> None:
        # May run in any thread's garbage collection, so it must not take a lock; SimpleQueue.put is reentrant.
        self._freed.put((lease_id, serial))
        for wake in self._wakers:
            wake()


_MAX_SHOWN_ID = 80  # of an unknown loan, whose id may be any text


def _lease_lost(lease_id: str, message: str) -> FailedPrecondition:
    return FailedPrecondition(message, reason="LEASE_LOST", metadata={"lease_id": lease_id[:_MAX_SHOWN_ID]})


def _wrong_checksum(header: TensorHeader, found: str) -> InvalidTensor:
    return InvalidTensor(f"the xxh3-128 of the lent samples must be {header.xxh3_128}, as in the header, got {found}")
