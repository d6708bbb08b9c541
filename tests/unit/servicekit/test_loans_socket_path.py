"""The path of the loan socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.loans import Borrowings, LoanClient, LoanPool, LoanServer, SocketPathError
from tests.support.loan_pair import Pair, ramp


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A running pair."""
    pair = Pair(tmp_path)
    with pair.server, pair.pool, pair.client:
        yield pair


def test_a_socket_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """Both sides say how long it is and what to do."""
    path = tmp_path / ("x" * 100) / "loans.sock"
    with pytest.raises(SocketPathError, match="choose a shorter"), LoanServer(path, ReceiveCodec(), Borrowings()):
        pass
    with LoanPool() as pool, pytest.raises(SocketPathError, match="choose a shorter"):
        LoanClient(path, HandoffCodec(), pool)


def test_the_socket_and_its_directory_are_private(pair: Pair) -> None:
    """Modes 0600 and 0700; a directory that others can enter is refused."""
    assert pair.path.stat().st_mode & 0o777 == 0o600
    assert pair.path.parent.stat().st_mode & 0o777 == 0o700
    pair.server.close()
    pair.path.parent.chmod(0o755)
    with pytest.raises(SocketPathError, match="chmod 700"):
        pair.server.start()
    pair.path.parent.chmod(0o700)


def test_a_dead_socket_is_replaced_and_a_live_one_or_a_file_is_not(pair: Pair, tmp_path: Path) -> None:
    """A second borrower on the same path is refused and does not disturb the first."""
    with (
        pytest.raises(SocketPathError, match="another process listens"),
        LoanServer(pair.path, ReceiveCodec(), Borrowings()),
    ):
        pass
    with pair.lend(ramp(10)) as loan, pair.borrowings.borrow(loan.lease_id):
        pass
    pair.server.close()
    socket.socket(socket.AF_UNIX).bind(str(pair.path))
    pair.server.start()
    pair.server.close()
    pair.path.write_text("precious")
    with pytest.raises(SocketPathError, match="not a socket"):
        pair.server.start()
    assert pair.path.read_text() == "precious"
