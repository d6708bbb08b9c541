"""Faulty lenders, by mistake or on purpose: refused by name, nothing leaks, and the next lender is served."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import fcntl
import gc
import mmap
import os
import secrets
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xxhash

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.errors import FailedPrecondition, InvalidTensor, Unavailable
from servicekit.loans import Borrowings, BorrowLimits, LoanClient, LoanPool, LoanServer, PoolLimits, TensorHeader
from servicekit.loans.framing import pack_frame
from servicekit.loans.messages import (
    BorrowerMessage,
    LenderMessage,
    LendRequest,
    LoanAccepted,
    LoanRefused,
    LoanReleased,
    WithdrawRequest,
)
from tests.support.open_files import open_files

FRAMES = 1000
SAMPLES = np.linspace(-1, 1, 2 * FRAMES, dtype=np.float32).reshape(2, FRAMES)
RIGHT_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@pytest.fixture
def borrowings() -> Borrowings:
    """Small limits."""
    return Borrowings(
        BorrowLimits(shared_memory=PoolLimits(max_bytes=8 << 20, max_bytes_per_peer=3 << 20), max_tensor_bytes=1 << 20)
    )


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Path of the socket."""
    return tmp_path / "private" / "loans.sock"


@pytest.fixture(autouse=True)
def server(socket_path: Path, borrowings: Borrowings) -> Iterator[LoanServer]:
    """A borrower. After the test it must have leaked no descriptor and must serve a correct lender."""
    gc.collect()  # descriptors of earlier tests are closed now, not during this one
    before = open_files()
    with LoanServer(socket_path, ReceiveCodec(), borrowings, frame_timeout_s=0.2) as started:
        yield started
        with LoanPool() as pool, LoanClient(socket_path, HandoffCodec(), pool) as client:
            with (
                client.lend(SAMPLES, sample_rate_hz=44_100, job_id="next") as loan,
                borrowings.borrow(loan.lease_id) as tensor,
            ):
                assert np.array_equal(tensor.array, SAMPLES)
            assert borrowings.active_loans == 0
    del started
    assert open_files() - before == Counter()


@pytest.fixture
def raw(socket_path: Path) -> Iterator[RawLender]:
    """A connected lender that sends anything."""
    with contextlib.closing(RawLender(socket_path)) as lender:
        yield lender


class RawLender:
    """Sends any message, correct or not."""

    def __init__(self, socket_path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(socket_path))
        self._codec = HandoffCodec()

    def send(self, message: LenderMessage, *fds: int) -> None:
        """Send one message with ``fds``."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([pack_frame(self._codec.encode(message))], ancillary)

    def receive(self) -> BorrowerMessage | None:
        """The next answer; None where the borrower has disconnected."""
        try:
            prefix = self.sock.recv(4, socket.MSG_WAITALL)
        except ConnectionResetError:
            return None
        if not prefix:
            return None
        return self._codec.decode(self.sock.recv(struct.unpack("!I", prefix)[0], socket.MSG_WAITALL))

    def is_refused(self, message: LenderMessage, *fds: int) -> LoanRefused:
        """The refusal of ``message``."""
        self.send(message, *fds)
        answer = self.receive()
        assert isinstance(answer, LoanRefused)
        return answer

    def close(self) -> None:
        """Disconnect."""
        self.sock.close()


def header(**changes: object) -> TensorHeader:
    """A correct header, with ``changes``."""
    right = TensorHeader(
        lease_id=secrets.token_hex(16),
        channels=2,
        frames=FRAMES,
        sample_rate_hz=44_100,
        xxh3_128=xxhash.xxh3_128_hexdigest(SAMPLES.data),
        lease_expires_at_s=time.time() + 60,
        job_id="job",
    )
    return dataclasses.replace(right, **changes)


@contextlib.contextmanager
def region(*, nbytes: int = SAMPLES.nbytes, seals: int = RIGHT_SEALS) -> Iterator[int]:
    """A memfd with the samples."""
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, nbytes)
        os.pwrite(fd, SAMPLES.tobytes()[:nbytes], 0)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        yield fd
    finally:
        os.close(fd)


def test_a_correct_loan_is_accepted_borrowed_and_released(raw: RawLender, borrowings: Borrowings) -> None:
    """The raw lender speaks the protocol, so the other tests see refusals of the content."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
    assert raw.receive() == LoanAccepted(lend.lease_id)
    with borrowings.borrow(lend.lease_id) as tensor:
        assert np.array_equal(tensor.array, SAMPLES)
    assert raw.receive() == LoanReleased(lend.lease_id)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": FRAMES + 1}, "got 8000"),
        ({"frames": 1 << 60}, "at most 1048576 bytes"),
        ({"frames": 0}, "at least 1"),
        ({"channels": 0}, "1 or 2"),
        ({"channels": 3}, "1 or 2"),
        ({"sample_rate_hz": 0}, "sample_rate_hz"),
        ({"sample_rate_hz": 4_000_000}, "sample_rate_hz"),
        ({"xxh3_128": "ABC"}, "xxh3_128"),
        ({"lease_id": "../../etc/passwd"}, "lease_id"),
        ({"lease_id": ""}, "lease_id"),
    ],
)
def test_a_header_out_of_range_is_refused(raw: RawLender, changes: dict[str, object], words: str) -> None:
    """The refusal names the allowed range."""
    with region() as fd:
        refused = raw.is_refused(LendRequest(header(**changes)), fd)
    assert refused.reason == "INVALID_TENSOR"
    assert words in refused.detail


def test_an_expired_lease_is_refused(raw: RawLender) -> None:
    """The reason is LEASE_LOST."""
    with region() as fd:
        refused = raw.is_refused(LendRequest(header(lease_expires_at_s=time.time() - 5)), fd)
    assert refused.reason == "LEASE_LOST"


@pytest.mark.parametrize("missing", [fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SEAL])
def test_a_region_without_a_seal_is_refused(raw: RawLender, missing: int) -> None:
    """It could be resized while the borrower reads."""
    with region(seals=RIGHT_SEALS & ~missing) as fd:
        refused = raw.is_refused(LendRequest(header()), fd)
    assert (refused.reason, "seals" in refused.detail) == ("INVALID_TENSOR", True)


def test_descriptors_of_other_files_are_refused(raw: RawLender, tmp_path: Path) -> None:
    """A file on disk and a pipe are not memfds."""
    on_disk = tmp_path / "samples"
    on_disk.write_bytes(SAMPLES.tobytes())
    with on_disk.open("rb") as file:
        assert raw.is_refused(LendRequest(header()), file.fileno()).reason == "INVALID_TENSOR"
    reader, writer = os.pipe()
    assert "regular file" in raw.is_refused(LendRequest(header()), reader).detail
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("count", [0, 2, 8])
def test_a_loan_needs_exactly_one_descriptor(raw: RawLender, count: int) -> None:
    """None or several are refused, and all received descriptors are closed."""
    with region() as fd:
        assert f"got {count}" in raw.is_refused(LendRequest(header()), *[fd] * count).detail


@pytest.mark.parametrize("count", [9, 200])
def test_too_many_descriptors_end_the_connection(raw: RawLender, count: int) -> None:
    """They do not fit into one receive; none stays open."""
    with region() as fd:
        raw.send(LendRequest(header()), *[fd] * count)
    assert raw.receive() is None


@pytest.mark.parametrize(
    "data",
    [
        pack_frame(b"\xff\xfe garbage"),
        pack_frame(b""),
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!I", 64 * 1024 + 1) + b"x" * 100,
        struct.pack("!I", 0xFFFFFFFF),
        pack_frame(HandoffCodec().encode(LendRequest(header())))[:-5],
        b"\0",
    ],
    ids=["garbage", "empty", "http", "oversized", "huge", "half a message", "half a prefix"],
)
def test_invalid_bytes_end_the_connection(raw: RawLender, data: bytes) -> None:
    """The borrower disconnects and closes the descriptor."""
    with region() as fd:
        raw.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    assert raw.receive() is None


def test_a_withdrawal_with_a_descriptor_ends_the_connection(raw: RawLender) -> None:
    """Only a loan has one."""
    with region() as fd:
        raw.send(WithdrawRequest(secrets.token_hex(16)), fd)
    assert raw.receive() is None


def test_a_lease_id_is_used_once_at_a_time(raw: RawLender, borrowings: Borrowings) -> None:
    """The second loan is refused; the first is not affected."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
        assert raw.receive() == LoanAccepted(lend.lease_id)
        assert "in use" in raw.is_refused(LendRequest(lend), fd).detail
    with borrowings.borrow(lend.lease_id) as tensor:
        assert np.array_equal(tensor.array, SAMPLES)


def test_the_loans_of_another_connection_cannot_be_withdrawn(
    raw: RawLender, socket_path: Path, borrowings: Borrowings
) -> None:
    """A withdrawal of another connection's or an unknown loan is ignored."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
        assert raw.receive() == LoanAccepted(lend.lease_id)
        with contextlib.closing(RawLender(socket_path)) as other:
            other.send(WithdrawRequest(lend.lease_id))
            other.send(WithdrawRequest("no id at all"))
            other.send(LendRequest(probe := header()), fd)
            assert other.receive() == LoanAccepted(probe.lease_id)
    with borrowings.borrow(lend.lease_id) as tensor:
        assert np.array_equal(tensor.array, SAMPLES)


def test_a_withdrawn_loan_is_released(raw: RawLender, borrowings: Borrowings) -> None:
    """It can no longer be borrowed, and the lender is notified at once."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
    assert raw.receive() == LoanAccepted(lend.lease_id)
    raw.send(WithdrawRequest(lend.lease_id))
    assert raw.receive() == LoanReleased(lend.lease_id)
    with pytest.raises(FailedPrecondition, match="withdrawn") as lost:
        borrowings.borrow(lend.lease_id)
    assert lost.value.reason == "LEASE_LOST"


def test_a_loan_that_is_not_borrowed_expires(raw: RawLender, borrowings: Borrowings) -> None:
    """The lender is notified without sending anything."""
    lend = header(lease_expires_at_s=time.time() + 0.3)
    with region() as fd:
        raw.send(LendRequest(lend), fd)
    assert raw.receive() == LoanAccepted(lend.lease_id)
    assert raw.receive() == LoanReleased(lend.lease_id)
    with pytest.raises(FailedPrecondition):
        borrowings.borrow(lend.lease_id)


def test_a_wrong_checksum_is_found_when_the_loan_is_borrowed(raw: RawLender, borrowings: Borrowings) -> None:
    """Borrowing and copying raise InvalidTensor and release the loan."""
    for read in (borrowings.borrow, lambda lease_id: borrowings.copy_out(lease_id, np.empty_like(SAMPLES))):
        lend = header(xxh3_128="0" * 32)
        with region() as fd:
            raw.send(LendRequest(lend), fd)
        assert raw.receive() == LoanAccepted(lend.lease_id)
        with pytest.raises(InvalidTensor, match="xxh3-128"):
            read(lend.lease_id)
        assert raw.receive() == LoanReleased(lend.lease_id)


def test_the_borrower_refuses_loans_above_its_limit(raw: RawLender) -> None:
    """With three MiB for each lender its fourth small loan is refused as LOANS_EXHAUSTED: a loan counts as 1 MiB or more."""
    with region() as fd:
        for _ in range(3):
            raw.send(LendRequest(header()), fd)
            assert isinstance(raw.receive(), LoanAccepted)
        assert raw.is_refused(LendRequest(header()), fd).reason == "LOANS_EXHAUSTED"


def test_a_lender_that_never_reads_is_disconnected(raw: RawLender) -> None:
    """Unread answers do not accumulate without limit."""
    message = pack_frame(HandoffCodec().encode(LendRequest(header(channels=7))))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        for _ in range(100_000):
            raw.sock.sendall(message)
    poll = select.poll()
    poll.register(raw.sock, select.POLLHUP)
    assert poll.poll(10_000)


def test_a_lender_of_another_user_is_refused(tmp_path: Path) -> None:
    """By SO_PEERCRED; the error says what to check."""
    path = tmp_path / "other" / "loans.sock"
    nobody = os.geteuid() + 1
    with (
        LoanServer(path, ReceiveCodec(), Borrowings(), allowed_uids={nobody}),
        LoanPool() as pool,
        LoanClient(path, HandoffCodec(), pool) as client,
        pytest.raises(Unavailable, match="same user"),
        client.lend(SAMPLES, sample_rate_hz=44_100, job_id="job"),
    ):
        pass


def test_nothing_is_lent_to_a_borrower_of_another_user(socket_path: Path) -> None:
    """The lender checks SO_PEERCRED before it sends anything."""
    with (
        LoanPool() as pool,
        LoanClient(socket_path, HandoffCodec(), pool, allowed_uids={os.geteuid() + 1}) as client,
        pytest.raises(Unavailable, match="must run as one of the users"),
        client.lend(SAMPLES, sample_rate_hz=44_100, job_id="job"),
    ):
        pass


def test_a_lent_region_cannot_be_written_by_others() -> None:
    """The seals leave only the pool's own mapping writable."""
    with LoanPool() as pool, pool.region(100) as lent:
        with pytest.raises(PermissionError):
            mmap.mmap(lent.fd, 100, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        with pytest.raises(PermissionError):
            os.pwrite(lent.fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(lent.fd, 0)
        lent.array((1, 25))[:] = 1.0
