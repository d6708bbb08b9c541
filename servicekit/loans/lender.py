"""The lender's end of the loan socket."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from servicekit.errors import FailedPrecondition, InvalidTensor, ResourceExhausted, ServiceError, Unavailable
from servicekit.loans.framing import ConnectionLost
from servicekit.loans.link import Link
from servicekit.loans.messages import (
    LenderCodec,
    LoanAccepted,
    LoanRefused,
    LoanReleased,
    TensorHeader,
    WithdrawRequest,
)
from servicekit.loans.regions import LoanPool, Region
from servicekit.logs import logger
from servicekit.socket_path import allowed_uids_or_own, check_socket_path, peer_process

_log = logger(__name__)


@dataclass(frozen=True)
class Loan:
    """A tensor that the borrower has accepted. Pass ``lease_id`` in the call that uses it."""

    lease_id: str


class Lender(Protocol):
    """Lends tensors to the borrower: :class:`LoanClient` in shared memory, or in chunks over gRPC."""

    def lend(
        self, samples: npt.NDArray[np.float32], *, sample_rate_hz: int, job_id: str, wait_s: float = 0.0
    ) -> AbstractContextManager[Loan]:
        """Lend float32 samples (C, T), C-contiguous, until the end of the ``with`` block."""


@dataclass(frozen=True, kw_only=True)
class LoanTimes:
    """How long a lender waits, in seconds."""

    lease_s: float = 300.0
    """After this the borrower discards a loan that is not borrowed."""
    accept_timeout_s: float = 5.0
    release_timeout_s: float = 5.0
    """After a ``with`` block without an error, before the loan is withdrawn."""
    withdraw_timeout_s: float = 1.0
    """After a withdrawal, before the region is discarded."""
    retry_after_s: float = 2.0


def check_samples(samples: npt.NDArray[np.float32]) -> None:
    """Raise InvalidTensor unless ``samples`` are C-contiguous float32 (C, T), C 1 or 2, T at least 1."""
    if samples.dtype != np.float32 or samples.ndim != 2 or not samples.flags.c_contiguous or not samples.size:
        raise InvalidTensor(
            f"samples must be C-contiguous float32 of shape (channels, frames), got {samples.dtype} {samples.shape}"
            + ("" if samples.flags.c_contiguous else ", not contiguous")
        )
    if samples.shape[0] > 2:
        raise InvalidTensor(
            f"samples must have 1 or 2 channels, got {samples.shape[0]}; is the shape (channels, frames)?"
        )


class LoanClient:
    """Lends regions of ``pool`` to the borrower on ``socket_path``. Safe to use from many threads.

    Connects on first use and reconnects after the borrower has restarted. The borrower must run as one of ``allowed_uids``
    (default: this process's user).
    """

    def __init__(
        self,
        socket_path: Path,
        codec: LenderCodec,
        pool: LoanPool,
        *,
        times: LoanTimes | None = None,
        allowed_uids: Collection[int] | None = None,
        wall_clock_s: Callable[[], float] = time.time,
        new_lease_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        check_socket_path(socket_path)
        self._path = socket_path
        self._codec = codec
        self._pool = pool
        self._times = times or LoanTimes()
        self._allowed_uids = allowed_uids_or_own(allowed_uids)
        self._wall_clock_s = wall_clock_s
        self._new_lease_id = new_lease_id
        self._lock = threading.Lock()
        self._link: Link | None = None

    @contextmanager
    def lend(
        self, samples: npt.NDArray[np.float32], *, sample_rate_hz: int, job_id: str, wait_s: float = 0.0
    ) -> Iterator[Loan]:
        """Copy ``samples`` (C, T) into a region and lend it until the end of the ``with`` block.

        Waits up to ``wait_s`` for a region. At the end it waits until the borrower releases the loan, withdraws the loan if that
        takes too long, and discards the region if that does not help either. Raises InvalidTensor, ResourceExhausted
        (LOANS_EXHAUSTED, TOO_LARGE, OUT_OF_MEMORY), Unavailable SEPARATION_UNAVAILABLE.
        """
        check_samples(samples)
        with self._pool.region(samples.nbytes, wait_s=wait_s) as region:
            digest = region.write(samples)
            shape = (samples.shape[0], samples.shape[1])
            with self._lend_filled(region, shape, digest, sample_rate_hz, job_id) as loan:
                yield loan

    def close(self) -> None:
        """Close the connection; the borrower discards loans that are not borrowed. Does not close the pool."""
        with self._lock:
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @contextmanager
    def _lend_filled(
        self, region: Region, shape: tuple[int, int], digest: str, sample_rate_hz: int, job_id: str
    ) -> Iterator[Loan]:
        header = TensorHeader(
            lease_id=self._new_lease_id(),
            channels=shape[0],
            frames=shape[1],
            sample_rate_hz=sample_rate_hz,
            xxh3_128=digest,
            lease_expires_at_s=self._wall_clock_s() + self._times.lease_s,
            job_id=job_id,
        )
        timeout_s = 0.0
        link = self._send_loan(region, header)
        try:
            yield Loan(header.lease_id)
            timeout_s = self._times.release_timeout_s
        finally:
            self._wait_released(link, region, header, timeout_s)

    def _send_loan(self, region: Region, header: TensorHeader) -> Link:
        link, is_new = self._connected()
        region.open_loans += 1
        try:
            answer = link.lend(header, region.fd, self._times.accept_timeout_s)
        except ConnectionLost as lost:
            if is_new:
                raise self._unavailable(f"disconnected before it accepted the loan: {lost.detail}") from lost
            # The borrower was restarted since the last loan. Lending the same bytes again is safe. Reusing the region for other
            # bytes is not, because the old process may still use it.
            return self._send_loan(region, header)
        if isinstance(answer, LoanAccepted | LoanReleased):
            return link
        if isinstance(answer, LoanRefused):
            region.open_loans -= 1
            raise self._refusal(answer)
        link.send(WithdrawRequest(header.lease_id))
        raise self._unavailable(f"did not answer within {self._times.accept_timeout_s} s")

    def _wait_released(self, link: Link, region: Region, header: TensorHeader, timeout_s: float) -> None:
        try:
            released = link.wait_released(header.lease_id, timeout_s)
            if not released:
                link.send(WithdrawRequest(header.lease_id))
                released = link.wait_released(header.lease_id, self._times.withdraw_timeout_s)
        finally:
            link.unregister(header.lease_id)
        if released:
            region.open_loans -= 1
            return
        _log.warning(
            "loan not released; region discarded",
            lease_id=header.lease_id,
            job_id=header.job_id,
            reason=link.broken or "the borrower still uses it",
        )

    def _connected(self) -> tuple[Link, bool]:
        with self._lock:
            if self._link is not None and self._link.is_connected():
                return self._link, False
            if self._link is not None:
                self._link.close()
            self._link = Link(self._connect(), self._codec, self._times.accept_timeout_s)
            return self._link, True

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(self._times.accept_timeout_s)
            sock.connect(os.fspath(self._path))
            _, uid = peer_process(sock)
        except OSError as error:
            sock.close()
            raise self._unavailable(f"cannot be reached: {error}") from error
        if uid not in self._allowed_uids:
            sock.close()
            raise Unavailable(
                f"the process that listens on {self._path} must run as one of the users {sorted(self._allowed_uids)}, got {uid}; "
                "nothing was lent to it",
                reason="SEPARATION_UNAVAILABLE",
                metadata={"address": str(self._path)},
            )
        return sock

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(
            f"the borrower at {self._path} {what}; check that separation_service runs as the same user. The bounce is stored: "
            "request its stems again once separation_service runs",
            reason="SEPARATION_UNAVAILABLE",
            metadata={"address": str(self._path)},
            retry_after_s=self._times.retry_after_s,
        )

    def _refusal(self, refused: LoanRefused) -> ServiceError:
        message = f"the borrower refused the loan: {refused.detail}"
        if refused.reason in ("LOANS_EXHAUSTED", "OUT_OF_MEMORY"):
            return ResourceExhausted(message, reason=refused.reason, retry_after_s=self._times.retry_after_s)
        if refused.reason == "LEASE_LOST":
            return FailedPrecondition(message, reason=refused.reason)
        return InvalidTensor(message)
