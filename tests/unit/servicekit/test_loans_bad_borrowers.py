"""Faulty borrowers: no answer, or a wrong one."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.errors import Unavailable
from servicekit.loans import LoanClient, LoanPool, LoanTimes
from servicekit.loans.framing import pack_frame
from servicekit.loans.messages import LendRequest, LoanAccepted, LoanReleased

SAMPLES = np.ones((2, 1000), dtype=np.float32)
TIMES = LoanTimes(accept_timeout_s=0.3, release_timeout_s=0.1, withdraw_timeout_s=0.1)
Answer = Callable[[socket.socket, LendRequest], None]


@contextlib.contextmanager
def borrower_that(answers: Answer, path: Path) -> Iterator[None]:
    """A listener that passes each loan to ``answers``."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                while prefix := connection.recv(4, socket.MSG_WAITALL):
                    body = connection.recv(int.from_bytes(prefix), socket.MSG_WAITALL)
                    message = ReceiveCodec().decode(body)
                    if isinstance(message, LendRequest):
                        answers(connection, message)

    connections: list[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            for part in (listener, *connections):
                with contextlib.suppress(OSError):
                    part.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


def silence(connection: socket.socket, lend: LendRequest) -> None:
    """Never answer."""


def garbage(connection: socket.socket, lend: LendRequest) -> None:
    """Answer with invalid bytes."""
    connection.sendall(pack_frame(b"\xff garbage"))


def disconnect(connection: socket.socket, lend: LendRequest) -> None:
    """Close instead of answering."""
    connection.shutdown(socket.SHUT_RDWR)


def answer_another_loan(connection: socket.socket, lend: LendRequest) -> None:
    """Answer for an unknown loan."""
    connection.sendall(pack_frame(ReceiveCodec().encode(LoanAccepted("0" * 32))))


def accept_only(connection: socket.socket, lend: LendRequest) -> None:
    """Accept and never release."""
    connection.sendall(pack_frame(ReceiveCodec().encode(LoanAccepted(lend.header.lease_id))))


def accept_and_release(connection: socket.socket, lend: LendRequest) -> None:
    """Answer as a correct borrower."""
    accept_only(connection, lend)
    connection.sendall(pack_frame(ReceiveCodec().encode(LoanReleased(lend.header.lease_id))))


@pytest.mark.parametrize("answers", [silence, garbage, disconnect, answer_another_loan])
def test_a_borrower_that_does_not_accept_costs_one_region(tmp_path: Path, answers: Answer) -> None:
    """SEPARATION_UNAVAILABLE in bounded time. The region is not reused, because the borrower may still read it."""
    path = tmp_path / "loans.sock"
    with borrower_that(answers, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, pytest.raises(Unavailable, match="the borrower at")) == "discarded"


def test_a_region_that_is_never_released_is_discarded(tmp_path: Path) -> None:
    """The loan itself succeeded, so nothing is raised."""
    path = tmp_path / "loans.sock"
    with borrower_that(accept_only, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, contextlib.nullcontext()) == "discarded"


def test_a_released_region_is_reused(tmp_path: Path) -> None:
    """The counterpart of the tests above."""
    path = tmp_path / "loans.sock"
    with borrower_that(accept_and_release, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, contextlib.nullcontext()) == "reused"


def test_an_interrupted_wait_discards_the_region(tmp_path: Path) -> None:
    """Whatever ends the wait, a lent region is reused only after an answer."""
    path = tmp_path / "loans.sock"

    class Interrupted(BaseException):
        """Like KeyboardInterrupt."""

    class InterruptedCodec(HandoffCodec):
        """Interrupts the thread that reads the answer."""

        def decode(self, data: bytes, /) -> LoanAccepted:
            raise Interrupted

    with borrower_that(accept_only, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, pytest.raises(Interrupted), InterruptedCodec()) == "discarded"


def region_after_a_loan(
    pool: LoanPool, path: Path, expected: contextlib.AbstractContextManager, codec: HandoffCodec | None = None
) -> str:
    """Whether the region of one loan is reused for the next."""
    with pool.region(SAMPLES.nbytes) as first:
        pass
    with (
        LoanClient(path, codec or HandoffCodec(), pool, times=TIMES) as client,
        expected,
        client.lend(SAMPLES, sample_rate_hz=44_100, job_id="job"),
    ):
        pass
    with pool.region(SAMPLES.nbytes) as second:
        return "reused" if second is first else "discarded"
