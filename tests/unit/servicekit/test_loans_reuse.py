"""Regions are used again, and only then when nobody reads them any more."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from servicekit.errors import InvalidTensor, ResourceExhausted, Unavailable
from servicekit.loans import BorrowedTensor, LoanPool, Region
from servicekit.loans.regions import size_class_bytes
from tests.support.loan_pair import Pair

MIB = 1 << 20


class Reuse(RuleBasedStateMachine):
    """Whatever the order of lending, taking, letting go and giving up: what is being read never changes."""

    lent, taken = Bundle("lent"), Bundle("taken")

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.pair = Pair(folder, regions=3)
        for part in (self.pair.server, self.pair.pool, self.pair.client):
            self.stack.enter_context(part)
        self.read: list[tuple[BorrowedTensor, float]] = []
        self.lendings: list[contextlib.AbstractContextManager] = []
        self.value = 0.0

    @rule(target=lent, frames=st.integers(1, 600_000))
    def lend(self, frames: int) -> object:
        """LendRequest samples that all have a value of their own."""
        self.value += 1.0
        lending = self.pair.lend(np.full((2, frames), self.value, dtype=np.float32))
        try:
            loan = lending.__enter__()
        except ResourceExhausted:
            return None
        self.lendings.append(lending)
        return lending, loan, self.value

    @rule(target=taken, lent=consumes(lent))
    def take(self, lent: object) -> object:
        """Begin to read."""
        if lent is None:
            return None
        lending, loan, value = lent
        tensor = self.pair.borrowings.take(loan.lease_id)
        self.read.append((tensor, value))
        return lending, tensor, value

    @rule(taken=consumes(taken))
    def let_go(self, taken: object) -> None:
        """Stop reading, and take back."""
        if taken is not None:
            lending, tensor, value = taken
            self.read.remove((tensor, value))
            tensor.__exit__(None, None, None)
            self.end(lending)

    @rule(taken=consumes(taken))
    def lender_gives_up_while_it_is_read(self, taken: object) -> None:
        """Leave the lender's ``with`` while the borrower reads."""
        if taken is not None:
            self.end(taken[0])

    @rule(lent=consumes(lent))
    def nobody_takes_it(self, lent: object) -> None:
        """Leave it untaken."""
        if lent is not None:
            self.end(lent[0])

    @invariant()
    def what_is_read_does_not_change(self) -> None:
        """Every sample still has its value."""
        for tensor, value in self.read:
            assert tensor.array.min() == tensor.array.max() == value

    def end(self, lending: contextlib.AbstractContextManager) -> None:
        """Leave the lender's ``with``."""
        self.lendings.remove(lending)
        lending.__exit__(None, None, None)

    def teardown(self) -> None:
        """Leave everything."""
        for tensor, _ in self.read:
            tensor.__exit__(None, None, None)
        for lending in list(self.lendings):
            self.end(lending)
        self.stack.close()


Reuse.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
test_regions_are_used_again_only_after_they_were_given_back = Reuse.TestCase


@pytest.mark.parametrize("nbytes", [1, MIB, MIB + 1, 5 * MIB, 31_752_000, 63_504_000, 1_000_000_007])
def test_a_size_class_holds_what_was_asked_and_a_quarter_more_at_most(nbytes: int) -> None:
    """So that takes of nearly one length share a region."""
    assert nbytes <= size_class_bytes(nbytes) <= max(MIB, nbytes * 5 // 4)


def test_the_pool_is_bounded_and_makes_room_for_larger_loans() -> None:
    """Too large for any region is TOO_LARGE without a retry; an idle region that is too small gives way."""
    with LoanPool(max_regions=1, max_region_bytes=4 * MIB) as pool:
        with pytest.raises(ResourceExhausted) as refused, pool.region(4 * MIB + 1):
            pass
        assert (refused.value.reason, refused.value.retry_after_s) == ("TOO_LARGE", None)
        seen: list[Region] = []
        for nbytes in (10, 3 * MIB, 2 * MIB):
            with pool.region(nbytes) as region:
                seen.append(region)
        assert [region.capacity_bytes for region in seen] == [MIB, 3 * MIB, 3 * MIB]
        with pool.region(8) as region, pytest.raises(InvalidTensor, match="asked for 8"):
            region.array((2, 2))
    with pytest.raises(Unavailable), pool.region(8):
        pass
