"""What a lender does with borrowers that do not answer, or not as they should."""

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
    """A listener that reads each loan and answers it as told."""

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
    """Answer what is no message."""
    connection.sendall(pack_frame(b"\xff garbage"))


def hang_up(connection: socket.socket, lend: LendRequest) -> None:
    """Close instead of answering."""
    connection.shutdown(socket.SHUT_RDWR)


def talk_of_others(connection: socket.socket, lend: LendRequest) -> None:
    """Answer, about a loan that never was."""
    connection.sendall(pack_frame(ReceiveCodec().encode(LoanAccepted("0" * 32))))


def accept_and_keep(connection: socket.socket, lend: LendRequest) -> None:
    """Accept and never give back."""
    connection.sendall(pack_frame(ReceiveCodec().encode(LoanAccepted(lend.header.lease_id))))


def accept_and_give_back(connection: socket.socket, lend: LendRequest) -> None:
    """What a right borrower says."""
    accept_and_keep(connection, lend)
    connection.sendall(pack_frame(ReceiveCodec().encode(LoanReleased(lend.header.lease_id))))


@pytest.mark.parametrize("answers", [silence, garbage, hang_up, talk_of_others])
def test_a_borrower_that_does_not_accept_costs_one_region(tmp_path: Path, answers: Answer) -> None:
    """SEPARATION_UNAVAILABLE in bounded time; the region may be seen over there, so it is not used again."""
    path = tmp_path / "loans.sock"
    with borrower_that(answers, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, pytest.raises(Unavailable, match="the borrower at")) == "given up"


def test_a_region_that_is_never_given_back_is_given_up(tmp_path: Path) -> None:
    """The loan itself went well, so nothing is raised."""
    path = tmp_path / "loans.sock"
    with borrower_that(accept_and_keep, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, contextlib.nullcontext()) == "given up"


def test_a_region_that_was_given_back_is_kept(tmp_path: Path) -> None:
    """So that the tests above tell what they say."""
    path = tmp_path / "loans.sock"
    with borrower_that(accept_and_give_back, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, contextlib.nullcontext()) == "kept"


def test_an_interruption_while_the_lender_waits_gives_the_region_up(tmp_path: Path) -> None:
    """Whatever ends the wait, a region that was offered is only used again after an answer."""
    path = tmp_path / "loans.sock"

    class Interrupted(BaseException):
        """As KeyboardInterrupt."""

    class InterruptedCodec(HandoffCodec):
        """Interrupts the thread that hears the answer."""

        def decode(self, data: bytes, /) -> LoanAccepted:
            raise Interrupted

    with borrower_that(accept_and_keep, path), LoanPool() as pool:
        assert region_after_a_loan(pool, path, pytest.raises(Interrupted), InterruptedCodec()) == "given up"


def region_after_a_loan(
    pool: LoanPool, path: Path, expected: contextlib.AbstractContextManager, codec: HandoffCodec | None = None
) -> str:
    """Whether the region of one loan is used for the next."""
    with pool.region(SAMPLES.nbytes) as first:
        pass
    with (
        LoanClient(path, codec or HandoffCodec(), pool, times=TIMES) as client,
        expected,
        client.lend(SAMPLES, sample_rate_hz=44_100, job_id="job"),
    ):
        pass
    with pool.region(SAMPLES.nbytes) as second:
        return "kept" if second is first else "given up"
