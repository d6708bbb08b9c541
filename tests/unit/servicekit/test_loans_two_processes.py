"""Lender and borrower as two processes, each killed alone at each point of a loan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.loan_processes import SHAPE, Actor, run_borrower, run_lender

LAST_TEN = 2 * 10
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  looked at, not used


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """A place for the socket, in a directory still to be made."""
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


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether ``holds`` becomes true while the kernel and the survivor notice a death."""
    deadline_s = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def pass_one_loan(lender: Actor, borrower: Actor, value: float) -> None:
    """LendRequest, take, give back, take back."""
    lease_id = lender.ask(("lend", value))
    assert borrower.ask(("take", lease_id)) == value * LAST_TEN
    assert borrower.ask("give back") is None
    assert lender.ask("take back") is None


def test_a_lent_region_is_mapped_in_both_processes_while_it_is_taken(lender: Actor, borrower: Actor) -> None:
    """The samples are the same memory: both memory maps show the region, and /dev/shm shows nothing."""
    in_shm = set(SHARED_MEMORY.iterdir())
    lease_id = lender.ask(("lend", 0.25))
    assert borrower.ask(("take", lease_id)) == 0.25 * LAST_TEN
    assert lender.regions_mapped() == 1
    assert borrower.regions_mapped() == 1
    assert set(SHARED_MEMORY.iterdir()) == in_shm
    assert borrower.ask("give back") is None
    assert lender.ask("take back") is None


def test_a_region_is_used_again_once_it_was_given_back(lender: Actor, borrower: Actor) -> None:
    """Twenty loans in turn need one region, mapped once on either side, and no more descriptors than the first."""
    pass_one_loan(lender, borrower, 1.0)
    descriptors = lender.descriptors(), borrower.descriptors()
    for turn in range(20):
        pass_one_loan(lender, borrower, float(turn))
    assert (lender.descriptors(), borrower.descriptors()) == descriptors
    assert lender.regions_mapped() == borrower.regions_mapped() == 1


def nothing_left_of_a_lender(borrower: Actor, descriptors: list[str]) -> bool:
    """Whether the borrower is as it was before it met the lender."""
    return borrower.ask("loans") == 0 and borrower.regions_mapped() == 0 and borrower.descriptors() == descriptors


@pytest.mark.parametrize(
    "die_at", ["encode LendRequest", "decode LoanAccepted", "encode WithdrawRequest", "decode LoanReleased"]
)
def test_a_lender_that_dies_at_a_message_leaves_nothing(socket_path: Path, borrower: Actor, die_at: str) -> None:
    """Before sending, after sending but before it heard the answer, before it withdraws, as it hears of the end."""
    before = borrower.descriptors()
    with Actor(run_lender, socket_path, die_at) as doomed:
        if doomed.ask(("lend", 1.0)) != "died":
            assert doomed.ask("take back") == "died"
    assert eventually(lambda: nothing_left_of_a_lender(borrower, before))
    with Actor(run_lender, socket_path) as successor:
        pass_one_loan(successor, borrower, 2.0)


def test_a_lender_killed_after_its_loan_was_accepted_leaves_nothing(socket_path: Path, borrower: Actor) -> None:
    """A loan that nobody has taken goes with its lender."""
    before = borrower.descriptors()
    with Actor(run_lender, socket_path) as doomed:
        lease_id = doomed.ask(("lend", 1.0))
    assert eventually(lambda: nothing_left_of_a_lender(borrower, before))
    assert borrower.ask(("take", lease_id)) == "LEASE_LOST"
    with Actor(run_lender, socket_path) as successor:
        pass_one_loan(successor, borrower, 2.0)


def test_a_taken_loan_outlives_its_killed_lender_and_then_leaves_nothing(socket_path: Path, borrower: Actor) -> None:
    """The borrower reads on from the region of a dead process; it goes when the borrower lets go."""
    before = borrower.descriptors()
    with Actor(run_lender, socket_path) as doomed:
        lease_id = doomed.ask(("lend", 1.0))
        assert borrower.ask(("take", lease_id)) == LAST_TEN
    assert eventually(
        lambda: sum("socket" in name for name in borrower.descriptors()) == sum("socket" in n for n in before)
    )
    assert (borrower.ask("loans"), borrower.regions_mapped()) == (1, 1)
    assert borrower.ask("give back") is None
    assert eventually(lambda: nothing_left_of_a_lender(borrower, before))
    with Actor(run_lender, socket_path) as successor:
        pass_one_loan(successor, borrower, 2.0)


@pytest.mark.parametrize("die_at", ["decode LendRequest", "encode LoanAccepted"])
def test_a_borrower_that_dies_before_it_accepts_is_an_error_and_leaves_nothing(
    socket_path: Path, lender: Actor, die_at: str
) -> None:
    """The lender hears SEPARATION_UNAVAILABLE, gives the region up, and lends to the next borrower."""
    before = lender.descriptors()
    with Actor(run_borrower, socket_path, die_at):
        assert lender.ask(("lend", 1.0)) == "SEPARATION_UNAVAILABLE"
    assert lender.regions_mapped() == 0
    assert [name for name in lender.descriptors() if "socket" not in name] == [n for n in before if "socket" not in n]
    with Actor(run_borrower, socket_path) as successor:
        pass_one_loan(lender, successor, 2.0)


@pytest.mark.parametrize("moment", ["accepted", "taken", "encode LoanReleased"])
def test_a_borrower_that_dies_with_a_loan_leaves_nothing(socket_path: Path, lender: Actor, moment: str) -> None:
    """What was not given back is given up by the lender and never lent again; the next loan goes to the next borrower."""
    with Actor(run_borrower, socket_path, moment) as doomed:
        lease_id = lender.ask(("lend", 1.0))
        if moment != "accepted":
            assert doomed.ask(("take", lease_id)) == LAST_TEN
        if moment == "encode LoanReleased":
            doomed.tell("give back")
            doomed.hear()
    assert lender.ask("take back") is None
    assert lender.regions_mapped() == 0
    with Actor(run_borrower, socket_path) as successor:
        pass_one_loan(lender, successor, 2.0)
        assert lender.regions_mapped() == 1


def test_a_borrower_that_ends_well_removes_its_socket(socket_path: Path, borrower: Actor) -> None:
    """Nothing is left in the directory."""
    assert borrower.ask("end") == "ended"
    assert list(socket_path.parent.iterdir()) == []


def test_every_sample_crosses(lender: Actor, borrower: Actor) -> None:
    """The size of the tests' tensor is not a multiple of a page or a block, so its last samples count."""
    assert np.prod(SHAPE) * 4 % (1 << 20) != 0
    pass_one_loan(lender, borrower, -0.75)
