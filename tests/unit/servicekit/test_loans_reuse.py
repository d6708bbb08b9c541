"""Regions are reused, but only when nobody reads them any more."""

from __future__ import annotations

import contextlib
import os
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
from tests.support.loan_pair import Pair, ramp
from tests.support.pair import eventually, loan_maps

MIB = 1 << 20


class Reuse(RuleBasedStateMachine):
    """A borrowed tensor never changes, in whatever order tensors are lent, borrowed, released and withdrawn."""

    lent, borrowed = Bundle("lent"), Bundle("borrowed")

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
        """Lend samples with a new value."""
        self.value += 1.0
        lending = self.pair.lend(np.full((2, frames), self.value, dtype=np.float32))
        try:
            loan = lending.__enter__()
        except ResourceExhausted:
            return None
        self.lendings.append(lending)
        return lending, loan, self.value

    @rule(target=borrowed, lent=consumes(lent))
    def borrow(self, lent: object) -> object:
        """Borrow a lent tensor."""
        if lent is None:
            return None
        lending, loan, value = lent
        tensor = self.pair.borrowings.borrow(loan.lease_id)
        self.read.append((tensor, value))
        return lending, tensor, value

    @rule(borrowed=consumes(borrowed))
    def release(self, borrowed: object) -> None:
        """Release the tensor and end the loan."""
        if borrowed is not None:
            lending, tensor, value = borrowed
            self.read.remove((tensor, value))
            tensor.__exit__(None, None, None)
            self.end(lending)

    @rule(borrowed=consumes(borrowed))
    def end_while_borrowed(self, borrowed: object) -> None:
        """End the lender's block while the tensor is borrowed."""
        if borrowed is not None:
            self.end(borrowed[0])

    @rule(lent=consumes(lent))
    def end_unborrowed(self, lent: object) -> None:
        """End a loan that was not borrowed."""
        if lent is not None:
            self.end(lent[0])

    @invariant()
    def borrowed_tensors_do_not_change(self) -> None:
        """Every sample still has its value."""
        for tensor, value in self.read:
            assert tensor.array.min() == tensor.array.max() == value

    def end(self, lending: contextlib.AbstractContextManager) -> None:
        """End the lender's block."""
        self.lendings.remove(lending)
        lending.__exit__(None, None, None)

    def teardown(self) -> None:
        """End everything."""
        for tensor, _ in self.read:
            tensor.__exit__(None, None, None)
        for lending in list(self.lendings):
            self.end(lending)
        self.stack.close()


Reuse.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
test_regions_are_reused_only_after_their_release = Reuse.TestCase


@pytest.mark.parametrize("nbytes", [1, MIB, MIB + 1, 5 * MIB, 31_752_000, 63_504_000, 1_000_000_007])
def test_a_size_class_is_at_most_a_quarter_larger_than_requested(nbytes: int) -> None:
    """So takes of similar length share regions."""
    assert nbytes <= size_class_bytes(nbytes) <= max(MIB, nbytes * 5 // 4)


def test_the_pool_is_bounded_and_replaces_small_regions() -> None:
    """A loan too large for any region is TOO_LARGE without retry; an idle region that is too small is replaced."""
    with LoanPool(max_regions=1, max_region_bytes=4 * MIB) as pool:
        with pytest.raises(ResourceExhausted) as refused, pool.region(4 * MIB + 1):
            pass
        assert (refused.value.reason, refused.value.retry_after_s) == ("TOO_LARGE", None)
        seen: list[Region] = []
        for nbytes in (10, 3 * MIB, 2 * MIB):
            with pool.region(nbytes) as region:
                seen.append(region)
        assert [region.capacity_bytes for region in seen] == [MIB, 3 * MIB, 3 * MIB]
        with pool.region(8) as region, pytest.raises(InvalidTensor, match="requested for 8"):
            region.array((2, 2))
    with pytest.raises(Unavailable), pool.region(8):
        pass


def test_the_memory_of_a_region_that_its_lender_discarded_is_freed(tmp_path: Path) -> None:
    """The borrower released it too late to be used again, so nobody has it mapped afterwards."""
    pair = Pair(tmp_path)
    before = loan_maps(os.getpid())
    with pair.server, pair.pool, pair.client:
        with pair.lend(ramp(1000)) as late:
            tensor = pair.borrowings.borrow(late.lease_id)
        assert tensor.array[0, 1] == 1.0
        tensor.__exit__(None, None, None)
        eventually(lambda: loan_maps(os.getpid()) <= before, "the discarded region is unmapped")
