"""Pools of threads for calls: bounded, apart from each other, and safe to cancel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from servicekit.access.caller import Caller, IdentityMethod, acting_as
from servicekit.errors import Cancelled, Internal, ResourceExhausted
from servicekit.rpc.pools import CallPool, CallPools


@pytest.fixture
async def pool() -> AsyncIterator[CallPool]:
    """One thread, two places to wait."""
    made = CallPool("replays", threads=1, waiting=2, retry_after_s=7.0)
    yield made
    made.close()


async def test_a_full_pool_refuses_with_a_retry_time_and_takes_calls_again(pool: CallPool) -> None:
    """One runs, two wait, the fourth is refused at once; afterwards there is room."""
    released = threading.Event()
    calls = [asyncio.create_task(pool.run(released.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted) as refused:
        await pool.run(released.wait)
    assert (refused.value.reason, refused.value.retry_after_s) == ("QUEUE_FULL", 7.0)
    assert refused.value.metadata == {"queued": "3", "limit": "3"}
    released.set()
    assert await asyncio.gather(*calls) == [True, True, True]
    assert pool.pending == 0
    assert await pool.run(lambda: "again") == "again"


async def test_a_class_that_is_overrun_delays_no_other() -> None:
    """Every other pool of a service answers while the replays fill theirs and never end."""
    pools, released = CallPools.open(), threading.Event()
    replays = [asyncio.create_task(pools.replays.run(released.wait)) for _ in range(12)]
    try:
        for name, other in vars(pools).items():
            if name != "replays":
                assert await other.run(threading.current_thread) is not threading.main_thread()
        assert pools.replays.pending == 5
        refused = [call for call in replays if call.done()]
        assert len(refused) == 7
        assert all(isinstance(call.exception(), ResourceExhausted) for call in refused)
    finally:
        released.set()
        await asyncio.gather(*replays, return_exceptions=True)
        pools.close()


async def test_a_call_that_waits_is_cancelled_without_running(pool: CallPool) -> None:
    """Its place is free at once."""
    released, ran = threading.Event(), threading.Event()
    first = asyncio.create_task(pool.run(released.wait))
    second = asyncio.create_task(pool.run(ran.set))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert pool.pending == 1
    released.set()
    await first
    assert not ran.is_set()


async def test_what_running_work_uses_stays_open_until_it_ends(pool: CallPool) -> None:
    """A call must not close the file that its thread still writes, however often it is cancelled."""
    started, released = threading.Event(), threading.Event()
    closed = []

    def work() -> None:
        started.set()
        released.wait()
        assert not closed

    async def call() -> None:
        try:
            await pool.run(work)
        finally:
            closed.append(True)

    running = asyncio.create_task(call())
    await asyncio.to_thread(started.wait)
    for _ in range(2):  # by its caller, then by a drain
        running.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
    assert not closed
    released.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert closed


async def test_work_that_can_stop_is_told_that_its_call_was_cancelled(pool: CallPool) -> None:
    """So that a replay nobody waits for leaves the device to the next."""
    started = threading.Event()

    def work(cancelled: threading.Event) -> bool:
        started.set()
        return cancelled.wait()

    running = asyncio.create_task(pool.run_stoppable(work))
    await asyncio.to_thread(started.wait)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert pool.pending == 0


@pytest.mark.parametrize(
    ("error", "logged"), [(Cancelled("the call was cancelled"), []), (Internal("the disk is broken"), ["warning"])]
)
async def test_only_what_went_wrong_after_a_cancellation_is_logged(
    pool: CallPool, error: Exception, logged: list[str]
) -> None:
    """That the work has stopped is what the caller wanted."""
    started = threading.Event()

    def work(cancelled: threading.Event) -> bool:
        started.set()
        cancelled.wait()
        raise error

    with capture_logs() as lines:
        running = asyncio.create_task(pool.run_stoppable(work))
        await asyncio.to_thread(started.wait)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert [line["log_level"] for line in lines] == logged


async def test_an_error_of_the_work_is_the_calls_own(pool: CallPool) -> None:
    """And frees its place."""
    with pytest.raises(ZeroDivisionError):
        await pool.run(lambda: 1 // 0)
    assert pool.pending == 0


async def test_one_tenant_cannot_take_all_places(pool: CallPool) -> None:
    """It has half of them, rounded up; another tenant's call has a place then, and the operator's own calls have all the rest."""
    released = threading.Event()

    def start(tenant: str) -> asyncio.Task[bool]:
        caller = Caller(tenant=tenant, subject="", method=IdentityMethod.API_KEY, scopes=frozenset())
        with acting_as(caller):
            return asyncio.create_task(pool.run(released.wait))

    greedy = [start("a") for _ in range(3)]
    await asyncio.sleep(0)
    assert [call.done() for call in greedy] == [False, False, True]
    assert isinstance(greedy[2].exception(), ResourceExhausted)
    other = start("b")
    await asyncio.sleep(0)
    assert pool.pending == 3
    released.set()
    assert await asyncio.gather(*greedy[:2], other) == [True] * 3
