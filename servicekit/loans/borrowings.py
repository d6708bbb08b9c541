"""What this process has borrowed: tensors that came by either road, kept until taken, bounded and leased.

The memory behind a tensor lives as long as anything refers to it; its end is seen by a finalizer on the buffer, not declared.
So a view that escapes from the ``with`` can never read unmapped memory, and the lender hears "released" only when none is left.
"""

from __future__ import annotations

import itertools
import mmap
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
import xxhash

from servicekit.errors import FailedPrecondition, InvalidTensor, ResourceExhausted
from servicekit.loans.checksum import copy_and_hash
from servicekit.loans.messages import TensorHeader, is_lease_id
from servicekit.logs import logger

_MIB = 1 << 20
_log = logger(__name__)


@dataclass(frozen=True, kw_only=True)
class BorrowLimits:
    """What a borrower takes in. A loan counts from its acceptance until its memory is gone, taken or not."""

    max_loans: int = 8
    max_bytes: int = 512 * _MIB
    max_loans_per_lender: int = 8
    max_bytes_per_lender: int = 512 * _MIB
    max_tensor_bytes: int = 64 * _MIB
    """180 s of stereo float32 at 44.1 kHz are 60.6 MiB."""
    min_sample_rate_hz: int = 8_000
    max_sample_rate_hz: int = 192_000
    max_lease_s: float = 3600.0


class LoanSource(Protocol):
    """Whoever lent a tensor: one connection, or one call."""

    def released(self, lease_id: str) -> None:
        """The loan's memory is gone from this process. Called with a lock held: only notes it down."""


Buffer = mmap.mmap | npt.NDArray[np.uint8]
"""What holds a tensor's bytes and can be watched for its end."""


@dataclass
class _Loan:
    header: TensorHeader
    owner: LoanSource
    expires_at_s: float  # monotonic
    serial: int
    """Tells this loan from an earlier one under the same lease id."""
    verified: bool = False
    samples: npt.NDArray[np.float32] | None = None
    taken: bool = False
    dropped: bool = False


class BorrowedTensor:
    """A tensor taken out of :class:`Borrowings`: ``with borrowings.take(lease_id) as tensor: tensor.array``."""

    def __init__(self, header: TensorHeader, samples: npt.NDArray[np.float32], gone: Callable[[], bool]) -> None:
        self.header = header
        self._samples: npt.NDArray[np.float32] | None = samples
        self._gone = gone

    @property
    def array(self) -> npt.NDArray[np.float32]:
        """The lent memory itself, read-only float32 (C, T); let go of every view of it before the ``with`` ends."""
        if self._samples is None:
            raise ValueError(f"loan {self.header.lease_id} was given back; take views inside the with")
        return self._samples

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._samples = None
        if not self._gone() and kind is None:
            _log.warning(
                "a view of a loan outlives its with; released when the last one goes",
                lease_id=self.header.lease_id,
                job_id=self.header.job_id,
            )


class Borrowings:
    """Bounded store of lent tensors, by lease id; safe to use from any thread."""

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
        self._ended: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self._serials = itertools.count()
        self._wakers: tuple[Callable[[], None], ...] = ()

    def on_end(self, wake: Callable[[], None]) -> None:
        """Have ``wake`` called when a loan's memory has gone, so that somebody calls :meth:`settle`.

        It may run inside a finalizer, in any thread: it takes no lock.
        """
        self._wakers = (*self._wakers, wake)

    def off_end(self, wake: Callable[[], None]) -> None:
        """Undo :meth:`on_end`."""
        self._wakers = tuple(known for known in self._wakers if known is not wake)

    def check(self, header: TensorHeader) -> None:
        """Raise InvalidTensor, or FailedPrecondition LEASE_LOST, where the header is out of range for this borrower."""
        limits = self.limits
        rates = f"{limits.min_sample_rate_hz}..{limits.max_sample_rate_hz} Hz"
        problem = (
            "lease id: 32 lower-case hex digits are wanted"
            if not is_lease_id(header.lease_id)
            else f"channels: 1 or 2 are wanted, {header.channels} came"
            if header.channels not in (1, 2)
            else f"frames: at least 1 is wanted, {header.frames} came"
            if header.frames < 1
            else f"samples: at most {limits.max_tensor_bytes} bytes are taken, {header.nbytes} came"
            if header.nbytes > limits.max_tensor_bytes
            else f"sample rate: {rates} is wanted, {header.sample_rate_hz} Hz came"
            if not limits.min_sample_rate_hz <= header.sample_rate_hz <= limits.max_sample_rate_hz
            else "xxh3_128: 32 lower-case hex digits are wanted"
            if not is_lease_id(header.xxh3_128)
            else None
        )
        if problem:
            raise InvalidTensor(problem)
        self.lease_left_s(header)

    def lease_left_s(self, header: TensorHeader) -> float:
        """Seconds that the lease of ``header`` still lasts here. Raises FailedPrecondition LEASE_LOST where it has passed."""
        left_s = header.lease_expires_at_s - self._wall_clock_s()
        if not left_s > 0:
            raise FailedPrecondition(
                f"the lease ended {-left_s:.1f} s ago; lend again, and compare the two hosts' clocks",
                reason="LEASE_LOST",
            )
        return min(left_s, self.limits.max_lease_s)

    def admit(self, header: TensorHeader, owner: LoanSource) -> None:
        """Book a checked loan against the bounds, before its memory is taken in.

        Raises ResourceExhausted LOANS_EXHAUSTED, InvalidTensor for a lease id in use, FailedPrecondition LEASE_LOST.
        """
        self.check(header)
        self.expire()
        expires_at_s = self._monotonic_s() + self.lease_left_s(header)
        with self._lock:
            if header.lease_id in self._loans:
                raise InvalidTensor(f"lease id {header.lease_id} is in use; draw a new one for each loan")
            self._check_bounds(self._loans.values(), header, self.limits.max_loans, self.limits.max_bytes, "in all")
            own = [loan for loan in self._loans.values() if loan.owner is owner]
            self._check_bounds(
                own, header, self.limits.max_loans_per_lender, self.limits.max_bytes_per_lender, "for one lender"
            )
            self._loans[header.lease_id] = _Loan(header, owner, expires_at_s, next(self._serials))

    def keep(self, lease_id: str, buffer: Buffer, *, verified: bool) -> None:
        """Keep an admitted loan's memory, which must hold at least its bytes, until it is taken or its lease expires.

        ``buffer`` itself may be kept for other loans: this one has ended when no view made here is left.
        Raises FailedPrecondition LEASE_LOST where the lease has ended since.
        """
        with self._lock:
            loan = self._loans.get(lease_id)
            if loan is None or loan.dropped:
                raise FailedPrecondition(f"the lease of {lease_id} ended while its tensor came in", reason="LEASE_LOST")
            header = loan.header
            flat = np.frombuffer(buffer, dtype=np.float32, count=header.channels * header.frames)
            flat.flags.writeable = False
            # Every view, numpy's or torch's, keeps this memoryview alive, and nothing else does.
            weakref.finalize(flat.base, self._views_gone, lease_id, loan.serial).atexit = False
            loan.samples = flat.reshape(header.channels, header.frames)
            loan.verified = verified

    def take(self, lease_id: str) -> BorrowedTensor:
        """Take a loan; it is given back at the end of the ``with``.

        Raises FailedPrecondition LEASE_LOST where it never came, expired, was withdrawn or taken; InvalidTensor where the bytes
        do not match their checksum.
        """
        loan, samples = self._claim(lease_id)
        if not loan.verified:
            found = xxhash.xxh3_128_hexdigest(samples.data)
            if found != loan.header.xxh3_128:
                del samples  # the traceback would keep the loan
                raise _wrong_checksum(loan.header, found)
        return BorrowedTensor(loan.header, samples, lambda: not self._is_held(lease_id))

    def copy_out(self, lease_id: str, out: npt.NDArray[np.float32]) -> TensorHeader:
        """Take a loan, copy it into ``out`` (C, T), C-contiguous, of its shape, and give it back at once.

        The checksum is that of the copy. Raises as :meth:`take`, and InvalidTensor where ``out`` has another shape.
        """
        loan, samples = self._claim(lease_id)
        try:
            if out.shape != samples.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
                raise InvalidTensor(
                    f"C-contiguous float32 {samples.shape} is wanted to copy to, {out.dtype} {out.shape} came"
                )
            found = copy_and_hash(out, samples)
        finally:
            del samples
            self.settle()
        if found != loan.header.xxh3_128:
            raise _wrong_checksum(loan.header, found)
        return loan.header

    def drop(self, lease_id: str) -> None:
        """Forget a loan that was not taken; a taken one goes on."""
        self._drop(lambda loan: loan.header.lease_id == lease_id)

    def strike(self, lease_id: str) -> None:
        """Take an admitted loan off the books whose memory was never kept; its owner is not told."""
        with self._lock:
            self._loans.pop(lease_id, None)

    def owns(self, owner: LoanSource, lease_id: str) -> bool:
        """Whether ``lease_id`` was lent by ``owner``."""
        loan = self._loans.get(lease_id)
        return loan is not None and loan.owner is owner

    def drop_all_of(self, owner: LoanSource) -> None:
        """Forget every loan of ``owner`` that was not taken."""
        self._drop(lambda loan: loan.owner is owner)

    def expire(self) -> None:
        """Forget the loans whose lease has passed and that were not taken."""
        now_s = self._monotonic_s()
        for loan in self._drop(lambda loan: loan.expires_at_s <= now_s):
            _log.warning("a loan expired before it was taken", lease_id=loan.header.lease_id, job_id=loan.header.job_id)

    def next_expiry_s(self) -> float | None:
        """Seconds until the next lease of a loan that was not taken expires."""
        with self._lock:
            waiting = [loan.expires_at_s for loan in self._loans.values() if not (loan.taken or loan.dropped)]
        return max(0.0, min(waiting) - self._monotonic_s()) if waiting else None

    def settle(self) -> None:
        """Strike out the loans whose memory has gone and tell their owners."""
        with self._lock:
            while True:
                try:
                    lease_id, serial = self._ended.get_nowait()
                except queue.Empty:
                    return
                loan = self._loans.get(lease_id)
                if loan is not None and loan.serial == serial:
                    del self._loans[lease_id]
                    loan.owner.released(lease_id)

    @property
    def loans(self) -> int:
        """Loans whose memory this process holds, taken or not."""
        self.settle()
        return len(self._loans)

    def _claim(self, lease_id: str) -> tuple[_Loan, npt.NDArray[np.float32]]:
        self.expire()
        with self._lock:
            loan = self._loans.get(lease_id)
            if loan is None or loan.samples is None:
                state = (
                    "was taken already"
                    if loan and loan.taken
                    else "is not here: it never came, expired or was withdrawn"
                )
                raise FailedPrecondition(f"loan {lease_id!r} {state}; lend the tensor again", reason="LEASE_LOST")
            loan.taken = True
            samples, loan.samples = loan.samples, None
        return loan, samples

    def _drop(self, chosen: Callable[[_Loan], bool]) -> list[_Loan]:
        with self._lock:
            dropped = [loan for loan in self._loans.values() if chosen(loan) and not (loan.taken or loan.dropped)]
            for loan in dropped:
                loan.dropped = True
                if loan.samples is None:  # admitted, its memory still on the way: nothing will end it but this
                    self._ended.put((loan.header.lease_id, loan.serial))
                loan.samples = None
        self.settle()
        return dropped

    def _is_held(self, lease_id: str) -> bool:
        self.settle()
        return lease_id in self._loans

    def _views_gone(self, lease_id: str, serial: int) -> None:
        # May run inside any thread's garbage collection, so no lock is taken here; SimpleQueue.put is reentrant.
        self._ended.put((lease_id, serial))
        for wake in self._wakers:
            wake()

    @staticmethod
    def _check_bounds(loans: Iterable[_Loan], header: TensorHeader, max_loans: int, max_bytes: int, whose: str) -> None:
        sizes = [loan.header.nbytes for loan in loans]
        if len(sizes) >= max_loans or sum(sizes) + header.nbytes > max_bytes:
            raise ResourceExhausted(
                f"{len(sizes)} loans with {sum(sizes)} bytes are held {whose}; at most {max_loans} with {max_bytes} bytes, "
                f"and {header.nbytes} more came",
                reason="LOANS_EXHAUSTED",
                retry_after_s=2.0,
            )


def _wrong_checksum(header: TensorHeader, found: str) -> InvalidTensor:
    return InvalidTensor(f"the lent samples have xxh3-128 {found}, the header says {header.xxh3_128}")
