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
import xxhash

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
from servicekit.loans.socket_path import allowed_uids_or_own, check_socket_path, peer_uid
from servicekit.logs import logger

_log = logger(__name__)


@dataclass(frozen=True)
class Loan:
    """A tensor that the borrower has accepted; pass ``lease_id`` in the call that uses it."""

    lease_id: str


class Lender(Protocol):
    """Either road to the borrower: :class:`LoanClient`, or chunks over gRPC."""

    def lend(
        self, samples: npt.NDArray[np.float32], *, sample_rate_hz: int, job_id: str, wait_s: float = 0.0
    ) -> AbstractContextManager[Loan]:
        """LendRequest float32 samples (C, T), C-contiguous, for the length of the ``with``."""


@dataclass(frozen=True, kw_only=True)
class LoanTimes:
    """How long a lender waits, in seconds."""

    lease_s: float = 900.0
    """From the offer: the borrower forgets a loan that was not taken by then."""
    accept_timeout_s: float = 5.0
    release_timeout_s: float = 5.0
    """After a ``with`` that ended well, before the loan is withdrawn and its region given up."""
    withdraw_timeout_s: float = 1.0
    """For the answer to a withdrawal."""
    retry_after_s: float = 2.0


def check_samples(samples: npt.NDArray[np.float32]) -> None:
    """Raise InvalidTensor unless ``samples`` are C-contiguous float32 (C, T), C 1 or 2, T at least 1."""
    if samples.dtype != np.float32 or samples.ndim != 2 or not samples.flags.c_contiguous or not samples.size:
        raise InvalidTensor(
            f"C-contiguous float32 of shape (channels, frames) is wanted, {samples.dtype} {samples.shape} came"
            + ("" if samples.flags.c_contiguous else ", not contiguous")
        )
    if samples.shape[0] > 2:
        raise InvalidTensor(f"1 or 2 channels are wanted, {samples.shape[0]} came; is the shape (channels, frames)?")


class LoanClient:
    """Lends regions of ``pool`` to whoever listens on ``socket_path``; safe to use from many threads.

    Connects when first needed and again after the borrower has gone away. The borrower must run as one of ``allowed_uids``
    (default: this process's own user).
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
        draw_lease_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        check_socket_path(socket_path)
        self._path = socket_path
        self._codec = codec
        self._pool = pool
        self._times = times or LoanTimes()
        self._allowed_uids = allowed_uids_or_own(allowed_uids)
        self._wall_clock_s = wall_clock_s
        self._draw_lease_id = draw_lease_id
        self._lock = threading.Lock()
        self._link: Link | None = None

    @contextmanager
    def lend(
        self, samples: npt.NDArray[np.float32], *, sample_rate_hz: int, job_id: str, wait_s: float = 0.0
    ) -> Iterator[Loan]:
        """Copy ``samples`` (C, T) into a region and lend it for the length of the ``with``.

        Waits up to ``wait_s`` for a region. At the end it waits for the borrower to let go; where it does not, the loan is
        withdrawn and the region never used again. Raises InvalidTensor, ResourceExhausted (LOANS_EXHAUSTED, TOO_LARGE,
        OUT_OF_MEMORY), Unavailable SEPARATION_UNAVAILABLE.
        """
        check_samples(samples)
        with self._pool.region(samples.nbytes, wait_s=wait_s) as region:
            digest = region.write(samples)
            shape = (samples.shape[0], samples.shape[1])
            with self._lend_filled(region, shape, digest, sample_rate_hz, job_id) as loan:
                yield loan

    @contextmanager
    def lend_region(
        self, region: Region, shape: tuple[int, int], *, sample_rate_hz: int, job_id: str
    ) -> Iterator[Loan]:
        """LendRequest what was written straight into ``region.array(shape)``: no copy at all. Otherwise as :meth:`lend`.

        Nobody writes to the region between this call and the end of the pool's ``with`` that holds it.
        """
        digest = xxhash.xxh3_128_hexdigest(region.array(shape).data)
        with self._lend_filled(region, shape, digest, sample_rate_hz, job_id) as loan:
            yield loan

    def close(self) -> None:
        """Close the connection; the borrower drops what it has not taken. The pool is its owner's to close."""
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
            lease_id=self._draw_lease_id(),
            channels=shape[0],
            frames=shape[1],
            sample_rate_hz=sample_rate_hz,
            xxh3_128=digest,
            lease_expires_at_s=self._wall_clock_s() + self._times.lease_s,
            job_id=job_id,
        )
        patience_s = 0.0
        link = self._offer(region, header)
        try:
            yield Loan(header.lease_id)
            patience_s = self._times.release_timeout_s
        finally:
            self._get_back(link, region, header, patience_s)

    def _offer(self, region: Region, header: TensorHeader) -> Link:
        link, is_new = self._connected()
        region.loans_out += 1
        try:
            answer = link.offer(header, region.fd, self._times.accept_timeout_s)
        except ConnectionLost as lost:
            if is_new:
                raise self._unavailable(f"was lost before it accepted the loan: {lost.detail}") from lost
            # The borrower was restarted since the last loan. Offering the same bytes once more is safe; using the region for
            # others is not, as the old process may still hold it.
            return self._offer(region, header)
        if isinstance(answer, LoanAccepted | LoanReleased):
            return link
        if isinstance(answer, LoanRefused):
            region.loans_out -= 1
            raise self._refusal(answer)
        link.say(WithdrawRequest(header.lease_id))
        raise self._unavailable(f"did not answer within {self._times.accept_timeout_s} s")

    def _get_back(self, link: Link, region: Region, header: TensorHeader, patience_s: float) -> None:
        try:
            ended = link.wait_for_end(header.lease_id, patience_s)
            if not ended:
                link.say(WithdrawRequest(header.lease_id))
                ended = link.wait_for_end(header.lease_id, self._times.withdraw_timeout_s)
        finally:
            link.forget(header.lease_id)
        if ended:
            region.loans_out -= 1
            return
        _log.warning(
            "a loan was not given back; its region is given up",
            lease_id=header.lease_id,
            job_id=header.job_id,
            why=link.broken or "the borrower still uses it",
        )

    def _connected(self) -> tuple[Link, bool]:
        with self._lock:
            if self._link is not None and self._link.is_whole():
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
            uid = peer_uid(sock)
        except OSError as error:
            sock.close()
            raise self._unavailable(f"cannot be reached: {error}") from error
        if uid not in self._allowed_uids:
            sock.close()
            raise Unavailable(
                f"the process that listens on {self._path} runs as user {uid}, wanted {sorted(self._allowed_uids)}; nothing was "
                "lent to it",
                reason="SEPARATION_UNAVAILABLE",
                metadata={"address": str(self._path)},
            )
        return sock

    def _unavailable(self, what: str) -> Unavailable:
        return Unavailable(
            f"the borrower at {self._path} {what}; see that the separation service runs, as the same user; the bounce is stored, "
            "ask for the stems again when it is up",
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
