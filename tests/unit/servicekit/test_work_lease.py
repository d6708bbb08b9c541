"""Work whose lease has run out stands still until the journal renews the lease, or refuses because another worker has it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from servicekit.errors import Unavailable
from servicekit.journal import ClaimLost
from servicekit.work import CancellationToken, StopReason
from tests.support.manual_clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def checking(token: CancellationToken) -> Future[None]:
    """A check in a thread of its own."""
    started = threading.Event()

    def check() -> None:
        started.set()
        token.check()

    pool = ThreadPoolExecutor(1)
    future = pool.submit(check)
    pool.shutdown(wait=False)
    assert started.wait(10.0)
    return future


def refuse(error: Exception) -> Callable[[], float]:
    """A renewal that fails."""

    def renew() -> float:
        raise error

    return renew


def test_work_stands_still_until_its_lease_is_renewed(clock: ManualClock) -> None:
    """A renewal counts from before the journal was asked; a failed one does not count."""
    token = CancellationToken(expire_time=None, clock=clock, lease_until_s=clock.monotonic_s() + 10.0)
    token.check()
    clock.advance(10.0)
    assert not token.has_lease
    work = checking(token)
    with pytest.raises(Unavailable):
        token.renew_lease(refuse(Unavailable("the journal does not answer")))
    with pytest.raises(TimeoutError):
        work.result(timeout=0.2)

    def slow() -> float:
        clock.advance(4.0)
        return 10.0

    token.renew_lease(slow)
    work.result(timeout=10.0)
    clock.advance(6.0)
    assert not token.has_lease


def test_work_whose_version_was_claimed_meanwhile_stops(clock: ManualClock) -> None:
    """The heartbeat learns it from the journal; the work raises ClaimLost without having done anything more."""
    token = CancellationToken(expire_time=None, clock=clock, lease_until_s=clock.monotonic_s())
    work = checking(token)
    token.stop(StopReason.CLAIM_LOST)
    with pytest.raises(ClaimLost):
        work.result(timeout=10.0)
