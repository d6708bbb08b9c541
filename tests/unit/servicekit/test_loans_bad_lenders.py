"""What a borrower does with lenders that are wrong, by mistake or on purpose: named, nothing kept, the next one served."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import fcntl
import mmap
import os
import secrets
import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xxhash

from render_service.separation.codec import HandoffCodec
from separation_service.api.handoff_codec import ReceiveCodec
from servicekit.errors import FailedPrecondition, InvalidTensor, Unavailable
from servicekit.loans import Borrowings, BorrowLimits, LoanClient, LoanPool, LoanServer, TensorHeader
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

OPEN_FILES = Path("/proc/self/fd")
FRAMES = 1000
SAMPLES = np.linspace(-1, 1, 2 * FRAMES, dtype=np.float32).reshape(2, FRAMES)
RIGHT_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@pytest.fixture
def borrowings() -> Borrowings:
    """Small bounds, soon reached."""
    return Borrowings(BorrowLimits(max_loans=3, max_tensor_bytes=1 << 20))


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """A place for the socket."""
    return tmp_path / "private" / "loans.sock"


@pytest.fixture(autouse=True)
def server(socket_path: Path, borrowings: Borrowings) -> Iterator[LoanServer]:
    """A borrower that, after the test, has lost no descriptor and still serves a right lender."""
    before = len(list(OPEN_FILES.iterdir()))
    with LoanServer(socket_path, ReceiveCodec(), borrowings, frame_timeout_s=0.2) as started:
        yield started
        with LoanPool() as pool, LoanClient(socket_path, HandoffCodec(), pool) as client:
            with (
                client.lend(SAMPLES, sample_rate_hz=44_100, job_id="next") as loan,
                borrowings.take(loan.lease_id) as tensor,
            ):
                assert np.array_equal(tensor.array, SAMPLES)
            assert borrowings.loans == 0
    del started
    assert len(list(OPEN_FILES.iterdir())) == before


@pytest.fixture
def raw(socket_path: Path) -> Iterator[RawLender]:
    """A connected lender without manners."""
    with contextlib.closing(RawLender(socket_path)) as lender:
        yield lender


class RawLender:
    """Says what it is told to, right or wrong."""

    def __init__(self, socket_path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(str(socket_path))
        self._codec = HandoffCodec()

    def send(self, message: LenderMessage, *fds: int) -> None:
        """Send one message with ``fds``."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([pack_frame(self._codec.encode(message))], ancillary)

    def hear(self) -> BorrowerMessage | None:
        """The next answer, or None where the borrower hung up."""
        try:
            prefix = self.sock.recv(4, socket.MSG_WAITALL)
        except ConnectionResetError:
            return None
        if not prefix:
            return None
        return self._codec.decode(self.sock.recv(struct.unpack("!I", prefix)[0], socket.MSG_WAITALL))

    def is_refused(self, message: LenderMessage, *fds: int) -> LoanRefused:
        """The refusal that ``message`` brings."""
        self.send(message, *fds)
        answer = self.hear()
        assert isinstance(answer, LoanRefused)
        return answer

    def close(self) -> None:
        """Hang up."""
        self.sock.close()


def header(**changes: object) -> TensorHeader:
    """A right header, with ``changes``."""
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


def test_a_right_loan_by_hand_is_accepted_taken_and_released(raw: RawLender, borrowings: Borrowings) -> None:
    """The raw lender of these tests speaks the protocol, so that what follows is refused for what it says."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
    assert raw.hear() == LoanAccepted(lend.lease_id)
    with borrowings.take(lend.lease_id) as tensor:
        assert np.array_equal(tensor.array, SAMPLES)
    assert raw.hear() == LoanReleased(lend.lease_id)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": FRAMES + 1}, "the region has 8000"),
        ({"frames": 1 << 60}, "at most 1048576 bytes"),
        ({"frames": 0}, "at least 1"),
        ({"channels": 0}, "1 or 2"),
        ({"channels": 3}, "1 or 2"),
        ({"sample_rate_hz": 0}, "sample rate"),
        ({"sample_rate_hz": 4_000_000}, "sample rate"),
        ({"xxh3_128": "ABC"}, "xxh3_128"),
        ({"lease_id": "../../etc/passwd"}, "lease id"),
        ({"lease_id": ""}, "lease id"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(raw: RawLender, changes: dict[str, object], words: str) -> None:
    """The refusal says what was wanted and what came."""
    with region() as fd:
        refused = raw.is_refused(LendRequest(header(**changes)), fd)
    assert refused.reason == "INVALID_TENSOR"
    assert words in refused.detail


def test_an_expired_lease_is_refused(raw: RawLender) -> None:
    """LEASE_LOST, naming the clocks."""
    with region() as fd:
        refused = raw.is_refused(LendRequest(header(lease_expires_at_s=time.time() - 5)), fd)
    assert refused.reason == "LEASE_LOST"


@pytest.mark.parametrize("missing", [fcntl.F_SEAL_SHRINK, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SEAL])
def test_a_region_without_a_seal_is_refused(raw: RawLender, missing: int) -> None:
    """It could be resized under the reader."""
    with region(seals=RIGHT_SEALS & ~missing) as fd:
        refused = raw.is_refused(LendRequest(header()), fd)
    assert (refused.reason, "seals" in refused.detail) == ("INVALID_TENSOR", True)


def test_what_is_no_memfd_is_refused(raw: RawLender, tmp_path: Path) -> None:
    """A file on disk and a pipe have no place here."""
    on_disk = tmp_path / "samples"
    on_disk.write_bytes(SAMPLES.tobytes())
    with on_disk.open("rb") as file:
        assert raw.is_refused(LendRequest(header()), file.fileno()).reason == "INVALID_TENSOR"
    reader, writer = os.pipe()
    assert "regular file" in raw.is_refused(LendRequest(header()), reader).detail
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("count", [0, 2, 8])
def test_one_descriptor_is_wanted(raw: RawLender, count: int) -> None:
    """None or several are refused, and those that came are closed."""
    with region() as fd:
        assert f"{count} came" in raw.is_refused(LendRequest(header()), *[fd] * count).detail


@pytest.mark.parametrize("count", [9, 200])
def test_a_heap_of_descriptors_ends_the_connection(raw: RawLender, count: int) -> None:
    """They do not even fit the receive; none stays open."""
    with region() as fd:
        raw.send(LendRequest(header()), *[fd] * count)
    assert raw.hear() is None


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
def test_what_is_no_message_ends_the_connection(raw: RawLender, data: bytes) -> None:
    """Whatever it was, and with a descriptor on it, it is closed."""
    with region() as fd:
        raw.sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    assert raw.hear() is None


def test_a_withdrawal_with_a_descriptor_ends_the_connection(raw: RawLender) -> None:
    """Only a loan carries one."""
    with region() as fd:
        raw.send(WithdrawRequest(secrets.token_hex(16)), fd)
    assert raw.hear() is None


def test_a_lease_id_is_used_once_at_a_time(raw: RawLender, borrowings: Borrowings) -> None:
    """The second is refused and the first stays as it was."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
        assert raw.hear() == LoanAccepted(lend.lease_id)
        assert "in use" in raw.is_refused(LendRequest(lend), fd).detail
    with borrowings.take(lend.lease_id) as tensor:
        assert np.array_equal(tensor.array, SAMPLES)


def test_the_loans_of_another_connection_cannot_be_withdrawn(
    raw: RawLender, socket_path: Path, borrowings: Borrowings
) -> None:
    """A withdrawal of a foreign or unknown loan is passed over."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
        assert raw.hear() == LoanAccepted(lend.lease_id)
        with contextlib.closing(RawLender(socket_path)) as other:
            other.send(WithdrawRequest(lend.lease_id))
            other.send(WithdrawRequest("no id at all"))
            other.send(LendRequest(probe := header()), fd)
            assert other.hear() == LoanAccepted(probe.lease_id)
    with borrowings.take(lend.lease_id) as tensor:
        assert np.array_equal(tensor.array, SAMPLES)


def test_a_withdrawn_loan_is_released_and_lost(raw: RawLender, borrowings: Borrowings) -> None:
    """The region can be used again at once."""
    lend = header()
    with region() as fd:
        raw.send(LendRequest(lend), fd)
    assert raw.hear() == LoanAccepted(lend.lease_id)
    raw.send(WithdrawRequest(lend.lease_id))
    assert raw.hear() == LoanReleased(lend.lease_id)
    with pytest.raises(FailedPrecondition, match="withdrawn") as lost:
        borrowings.take(lend.lease_id)
    assert lost.value.reason == "LEASE_LOST"


def test_a_loan_that_is_not_taken_expires_by_itself(raw: RawLender, borrowings: Borrowings) -> None:
    """The borrower says so without being asked anything."""
    lend = header(lease_expires_at_s=time.time() + 0.3)
    with region() as fd:
        raw.send(LendRequest(lend), fd)
    assert raw.hear() == LoanAccepted(lend.lease_id)
    assert raw.hear() == LoanReleased(lend.lease_id)
    with pytest.raises(FailedPrecondition):
        borrowings.take(lend.lease_id)


def test_a_wrong_checksum_is_found_when_the_loan_is_taken(raw: RawLender, borrowings: Borrowings) -> None:
    """Both ways of taking raise InvalidTensor, and the region is given back."""
    for take in (borrowings.take, lambda lease_id: borrowings.copy_out(lease_id, np.empty_like(SAMPLES))):
        lend = header(xxh3_128="0" * 32)
        with region() as fd:
            raw.send(LendRequest(lend), fd)
        assert raw.hear() == LoanAccepted(lend.lease_id)
        with pytest.raises(InvalidTensor, match="xxh3-128"):
            take(lend.lease_id)
        assert raw.hear() == LoanReleased(lend.lease_id)


def test_the_borrower_holds_no_more_loans_than_its_bound(raw: RawLender) -> None:
    """The fourth of three is refused as LOANS_EXHAUSTED."""
    with region() as fd:
        for _ in range(3):
            raw.send(LendRequest(header()), fd)
            assert isinstance(raw.hear(), LoanAccepted)
        assert raw.is_refused(LendRequest(header()), fd).reason == "LOANS_EXHAUSTED"


def test_a_lender_that_never_reads_is_cut_off(raw: RawLender) -> None:
    """The answers it does not read are not kept without bound."""
    message = pack_frame(HandoffCodec().encode(LendRequest(header(channels=7))))
    with contextlib.suppress(BrokenPipeError, ConnectionResetError, TimeoutError):
        for _ in range(100_000):
            raw.sock.sendall(message)
    poll = select.poll()
    poll.register(raw.sock, select.POLLHUP)
    assert poll.poll(10_000)


def test_another_user_is_turned_away(tmp_path: Path) -> None:
    """SO_PEERCRED decides, and the lender is told where to look."""
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
    """The lender looks at SO_PEERCRED too, before it sends anything."""
    with (
        LoanPool() as pool,
        LoanClient(socket_path, HandoffCodec(), pool, allowed_uids={os.geteuid() + 1}) as client,
        pytest.raises(Unavailable, match="runs as user"),
        client.lend(SAMPLES, sample_rate_hz=44_100, job_id="job"),
    ):
        pass


def test_a_lender_cannot_be_written_through_what_it_lent() -> None:
    """The pool's seals leave its own mapping writable and no other."""
    with LoanPool() as pool, pool.region(100) as lent:
        with pytest.raises(PermissionError):
            mmap.mmap(lent.fd, 100, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        with pytest.raises(PermissionError):
            os.pwrite(lent.fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(lent.fd, 0)
        lent.array((1, 25))[:] = 1.0
