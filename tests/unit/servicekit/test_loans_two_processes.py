"""Lender and borrower as two processes, each killed at each point of a loan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.loan_processes import SHAPE, Actor, run_borrower, run_lender

LAST_TEN = 2 * 10
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  only listed


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Path of the socket, in a directory that does not exist yet."""
    return tmp_path / "private" / "loans.sock"


@pytest.fixture
def borrower(socket_path: Path) -> Iterator[Actor]:
    """A running borrower."""
    with Actor(run_borrower, socket_path) as actor:
        yield actor


@pytest.fixture
def lender(socket_path: Path) -> Iterator[Actor]:
    """A running lender."""
    with Actor(run_lender, socket_path) as actor:
        yield actor


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether ``condition`` becomes true within ten seconds, in which the other process notices a death."""
    deadline_s = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def pass_one_loan(lender: Actor, borrower: Actor, value: float) -> None:
    """Lend, borrow, release, end."""
    lease_id = lender.ask(("lend", value))
    assert borrower.ask(("borrow", lease_id)) == value * LAST_TEN
    assert borrower.ask("release") is None
    assert lender.ask("end loans") is None


def test_a_borrowed_region_is_mapped_in_both_processes(lender: Actor, borrower: Actor) -> None:
    """The memory is shared: both memory maps show the region, and nothing appears in /dev/shm."""
    in_shm = set(SHARED_MEMORY.iterdir())
    lease_id = lender.ask(("lend", 0.25))
    assert borrower.ask(("borrow", lease_id)) == 0.25 * LAST_TEN
    assert lender.regions_mapped() == 1
    assert borrower.regions_mapped() == 1
    assert set(SHARED_MEMORY.iterdir()) == in_shm
    assert borrower.ask("release") is None
    assert lender.ask("end loans") is None


def test_a_released_region_is_reused(lender: Actor, borrower: Actor) -> None:
    """Twenty loans one after another need one region, mapped once per process, and no further descriptors."""
    pass_one_loan(lender, borrower, 1.0)
    descriptors = lender.descriptors(), borrower.descriptors()
    for number in range(20):
        pass_one_loan(lender, borrower, float(number))
    assert (lender.descriptors(), borrower.descriptors()) == descriptors
    assert lender.regions_mapped() == borrower.regions_mapped() == 1


def nothing_left_of_a_lender(borrower: Actor, descriptors: list[str]) -> bool:
    """Whether the borrower has what it had before the lender connected."""
    return borrower.ask("loans") == 0 and borrower.regions_mapped() == 0 and borrower.descriptors() == descriptors


@pytest.mark.parametrize(
    "die_at", ["encode LendRequest", "decode LoanAccepted", "encode WithdrawRequest", "decode LoanReleased"]
)
def test_a_lender_that_dies_at_a_message_leaves_nothing(socket_path: Path, borrower: Actor, die_at: str) -> None:
    """Before it sends, before it reads the answer, before it withdraws, and as it reads the release."""
    before = borrower.descriptors()
    with Actor(run_lender, socket_path, die_at) as doomed:
        if doomed.ask(("lend", 1.0)) != "died":
            assert doomed.ask("end loans") == "died"
    assert eventually(lambda: nothing_left_of_a_lender(borrower, before))
    with Actor(run_lender, socket_path) as successor:
        pass_one_loan(successor, borrower, 2.0)


def test_a_lender_killed_after_its_loan_was_accepted_leaves_nothing(socket_path: Path, borrower: Actor) -> None:
    """A loan that is not borrowed ends with its lender."""
    before = borrower.descriptors()
    with Actor(run_lender, socket_path) as doomed:
        lease_id = doomed.ask(("lend", 1.0))
    assert eventually(lambda: nothing_left_of_a_lender(borrower, before))
    assert borrower.ask(("borrow", lease_id)) == "LEASE_LOST"
    with Actor(run_lender, socket_path) as successor:
        pass_one_loan(successor, borrower, 2.0)


def test_a_borrowed_loan_outlives_its_killed_lender(socket_path: Path, borrower: Actor) -> None:
    """The borrower still reads the region of the dead process, which is freed when the borrower releases it."""
    before = borrower.descriptors()
    with Actor(run_lender, socket_path) as doomed:
        lease_id = doomed.ask(("lend", 1.0))
        assert borrower.ask(("borrow", lease_id)) == LAST_TEN
    assert eventually(
        lambda: sum("socket" in name for name in borrower.descriptors()) == sum("socket" in n for n in before)
    )
    assert (borrower.ask("loans"), borrower.regions_mapped()) == (1, 1)
    assert borrower.ask("release") is None
    assert eventually(lambda: nothing_left_of_a_lender(borrower, before))
    with Actor(run_lender, socket_path) as successor:
        pass_one_loan(successor, borrower, 2.0)


@pytest.mark.parametrize("die_at", ["decode LendRequest", "encode LoanAccepted"])
def test_a_borrower_that_dies_before_it_accepts_leaves_nothing(socket_path: Path, lender: Actor, die_at: str) -> None:
    """The lender raises SEPARATION_UNAVAILABLE, discards the region and lends to the next borrower."""
    before = lender.descriptors()
    with Actor(run_borrower, socket_path, die_at):
        assert lender.ask(("lend", 1.0)) == "SEPARATION_UNAVAILABLE"
    assert lender.regions_mapped() == 0
    assert [name for name in lender.descriptors() if "socket" not in name] == [n for n in before if "socket" not in n]
    with Actor(run_borrower, socket_path) as successor:
        pass_one_loan(lender, successor, 2.0)


@pytest.mark.parametrize("moment", ["accepted", "borrowed", "encode LoanReleased"])
def test_a_borrower_that_dies_with_a_loan_leaves_nothing(socket_path: Path, lender: Actor, moment: str) -> None:
    """The lender discards the region that was not released; the next loan goes to the next borrower."""
    with Actor(run_borrower, socket_path, moment) as doomed:
        lease_id = lender.ask(("lend", 1.0))
        if moment != "accepted":
            assert doomed.ask(("borrow", lease_id)) == LAST_TEN
        if moment == "encode LoanReleased":
            doomed.send("release")
            doomed.receive()
    assert lender.ask("end loans") is None
    assert lender.regions_mapped() == 0
    with Actor(run_borrower, socket_path) as successor:
        pass_one_loan(lender, successor, 2.0)
        assert lender.regions_mapped() == 1


def test_a_borrower_removes_its_socket_when_it_ends(socket_path: Path, borrower: Actor) -> None:
    """The directory is empty."""
    assert borrower.ask("end") == "ended"
    assert list(socket_path.parent.iterdir()) == []


def test_every_sample_crosses(lender: Actor, borrower: Actor) -> None:
    """Also the last samples: the tensor's size is not a multiple of a page or a block."""
    assert np.prod(SHAPE) * 4 % (1 << 20) != 0
    pass_one_loan(lender, borrower, -0.75)
