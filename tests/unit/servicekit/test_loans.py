"""Loans within one process: samples, limits, and reuse of memory."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from servicekit.errors import FailedPrecondition, InvalidTensor, ResourceExhausted, Unavailable
from servicekit.loans import (
    BorrowedTensor,
    BorrowLimits,
    PoolLimits,
)
from tests.support.loan_pair import Pair, ramp
from tests.support.open_files import open_files


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A running pair."""
    pair = Pair(tmp_path)
    with pair.server, pair.pool, pair.client:
        yield pair


def inode_of(tensor: BorrowedTensor) -> int:
    """Inode of the region that holds the tensor."""
    address = tensor.array.__array_interface__["data"][0]
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, _, _, _, inode, *_ = line.split()
        first, last = (int(end, 16) for end in span.split("-"))
        if first <= address < last:
            return int(inode)
    raise AssertionError("not mapped")


@pytest.mark.parametrize("shape", [(2, 1), (1, 7), (2, 44_100), (2, 300_001)])
def test_every_sample_arrives_and_cannot_be_written(pair: Pair, shape: tuple[int, int]) -> None:
    """The borrower reads the same bits, NaN included, as (C, T) in read-only memory."""
    samples = np.random.default_rng(1).standard_normal(shape, dtype=np.float32)
    samples[0, 0] = np.nan
    with pair.lend(samples) as loan, pair.borrowings.borrow(loan.lease_id) as tensor:
        assert tensor.array.tobytes() == samples.tobytes()
        assert (tensor.array.shape, tensor.header.sample_rate_hz, tensor.header.job_id) == (shape, 44_100, "job")
        with pytest.raises(ValueError, match="read-only"):
            tensor.array[0, 0] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            tensor.array.flags.writeable = True


def test_copying_out_releases_the_loan_at_once(pair: Pair) -> None:
    """The copy has all samples, and nothing is held after it."""
    out = np.empty((2, 5000), dtype=np.float32)
    with pair.lend(ramp(5000)) as loan:
        assert pair.borrowings.copy_out(loan.lease_id, out).lease_id == loan.lease_id
        assert pair.borrowings.active_loans == 0
    assert np.array_equal(out, ramp(5000))
    with pair.lend(ramp(5000)) as loan, pytest.raises(InvalidTensor, match="target must be"):
        pair.borrowings.copy_out(loan.lease_id, out[:, :-1])


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((2, 10), dtype=np.float64),
        np.zeros((2, 10), dtype=np.int32),
        np.zeros(10, dtype=np.float32),
        np.zeros((10, 2), dtype=np.float32),
        np.zeros((10, 2), dtype=np.float32).T,
        np.zeros((2, 0), dtype=np.float32),
    ],
)
def test_unsuitable_samples_are_refused_before_they_are_sent(pair: Pair, samples: np.ndarray) -> None:
    """Other types and shapes raise InvalidTensor."""
    with pytest.raises(InvalidTensor), pair.lend(samples):
        pass


def test_a_loan_is_borrowed_once(pair: Pair) -> None:
    """The second time, and with an unknown id, the error is LEASE_LOST."""
    with pair.lend(ramp(10)) as loan, pair.borrowings.borrow(loan.lease_id):
        with pytest.raises(FailedPrecondition, match="already borrowed"):
            pair.borrowings.borrow(loan.lease_id)
        with pytest.raises(FailedPrecondition, match="never received"):
            pair.borrowings.borrow("0" * 32)


def test_a_tensor_is_closed_after_its_block(pair: Pair) -> None:
    """A late read raises an error that names the loan; it never reads memory of another job."""
    with pair.lend(ramp(10)) as loan:
        with pair.borrowings.borrow(loan.lease_id) as tensor:
            pass
        with pytest.raises(ValueError, match=loan.lease_id):
            tensor.array.sum()


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("view", [lambda array: array[:, 5:], lambda array: torch.from_numpy(array)[1:], memoryview])
def test_a_view_that_outlives_its_block_keeps_its_samples(pair: Pair, view: Callable[[np.ndarray], object]) -> None:
    """The region is not reused while any view of it exists; the loan ends with the last view."""
    with pair.lend(ramp(1000)) as loan:
        with pair.borrowings.borrow(loan.lease_id) as tensor:
            inode = inode_of(tensor)
            escaped = view(tensor.array)
        expected = np.asarray(escaped).copy()
    for start in range(5, 8):
        with pair.lend(ramp(1000, start)) as loan, pair.borrowings.borrow(loan.lease_id) as tensor:
            assert inode_of(tensor) != inode
    assert np.array_equal(np.asarray(escaped), expected)
    del escaped
    gc.collect()
    assert pair.borrowings.active_loans == 0


def test_an_error_in_the_borrowers_block_releases_the_loan(pair: Pair) -> None:
    """The error's traceback may hold a view for a while; the loan ends with the traceback."""

    def fail(array: np.ndarray) -> None:
        raise RuntimeError(f"separation failed at {array.mean()}")

    with pair.lend(ramp(1000)) as loan:
        with pytest.raises(RuntimeError), pair.borrowings.borrow(loan.lease_id) as tensor:
            fail(tensor.array)
        gc.collect()
        assert pair.borrowings.active_loans == 0


def test_an_error_in_the_lenders_block_withdraws_the_loan(pair: Pair) -> None:
    """It can no longer be borrowed, and its region is idle again."""
    with pytest.raises(RuntimeError), pair.lend(ramp(10)) as loan:
        raise RuntimeError("the call failed")
    with pytest.raises(FailedPrecondition):
        pair.borrowings.borrow(loan.lease_id)
    assert pair.borrowings.active_loans == 0


def test_more_loans_than_regions_are_refused_or_wait(pair: Pair) -> None:
    """LOANS_EXHAUSTED with a retry delay; with ``wait_s`` the loan uses the next region that is released."""
    with pair.lend(ramp(10)), pair.lend(ramp(10)) as second:
        with pytest.raises(ResourceExhausted) as refused, pair.lend(ramp(10)):
            pass
        assert (refused.value.reason, refused.value.retry_after_s) == ("LOANS_EXHAUSTED", 2.0)
        done = threading.Event()

        def third() -> None:
            with pair.client.lend(ramp(10), sample_rate_hz=44_100, job_id="third", wait_s=20):
                done.set()

        waiting = threading.Thread(target=third)
        waiting.start()
        assert not done.is_set()
        pair.borrowings.borrow(second.lease_id)
        # the first two end here
    waiting.join(20)
    assert done.is_set()


def test_the_borrowers_limits_reach_the_lender(tmp_path: Path) -> None:
    """LOANS_EXHAUSTED where the borrower is full, InvalidTensor for a tensor that is too large for it."""
    pair = Pair(
        tmp_path,
        limits=BorrowLimits(
            shared_memory=PoolLimits(max_bytes=1 << 20, max_bytes_per_peer=1 << 20), max_tensor_bytes=1 << 20
        ),
    )
    with pair.server, pair.pool, pair.client:
        with pair.lend(ramp(10)), pytest.raises(ResourceExhausted) as refused, pair.lend(ramp(10)):
            pass
        assert (refused.value.reason, refused.value.retry_after_s) == ("LOANS_EXHAUSTED", 2.0)
        with pytest.raises(InvalidTensor, match="at most 1048576"), pair.lend(ramp(1 << 20)):
            pass


def test_the_lender_reconnects_to_a_restarted_borrower(pair: Pair) -> None:
    """The next loan succeeds; while the borrower is down a loan raises SEPARATION_UNAVAILABLE."""
    with pair.lend(ramp(10)) as loan, pair.borrowings.borrow(loan.lease_id):
        pass
    pair.server.close()
    with pytest.raises(Unavailable) as gone, pair.lend(ramp(10)):
        pass
    assert (gone.value.reason, gone.value.retry_after_s) == ("SEPARATION_UNAVAILABLE", 2.0)
    pair.server.start()
    for _ in range(2):
        with pair.lend(ramp(10)) as loan, pair.borrowings.borrow(loan.lease_id) as tensor:
            assert np.array_equal(tensor.array, ramp(10))
        pair.server.close()
        pair.server.start()


def test_many_threads_lend_over_one_connection(pair: Pair) -> None:
    """Each gets its own samples, however the answers interleave."""
    wrong: list[object] = []

    def lend_some(number: int) -> None:
        for index in range(20):
            samples = ramp(500, 1000.0 * number + index)
            lending = pair.client.lend(samples, sample_rate_hz=44_100, job_id=f"{number}", wait_s=30)
            with lending as loan, pair.borrowings.borrow(loan.lease_id) as tensor:
                if not np.array_equal(tensor.array, samples):
                    wrong.append((number, index))

    threads = [threading.Thread(target=lend_some, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def test_hundreds_of_loans_leak_nothing(tmp_path: Path) -> None:
    """Descriptors, mappings and threads are what they were before."""

    def held() -> tuple[Counter[str], int, int]:
        maps = Path("/proc/self/maps").read_text()
        return open_files(), maps.count("sonichaos-loan"), threading.active_count()

    gc.collect()  # descriptors of earlier tests are closed now, not during this one
    before = held()
    pair = Pair(tmp_path)
    with pair.server, pair.pool, pair.client:
        steady = None
        for index in range(300):
            with pair.lend(ramp(64 + index)) as loan:
                if index % 3:
                    with pair.borrowings.borrow(loan.lease_id) as tensor:
                        assert tensor.array[0, 0] == 0
                elif index % 2:
                    pair.borrowings.discard(loan.lease_id)
            if index % 3:  # an unused loan is withdrawn, and its region is unmapped until the next one
                steady = steady or held()
        assert held() == steady
    del pair, tensor
    gc.collect()
    after = held()
    assert after[0] - before[0] == Counter()
    assert after[1:] == before[1:]
