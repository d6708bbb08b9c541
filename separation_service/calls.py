"""Separations for callers that own the job: a lent bounce, progress while it is worked on, and the result.

The caller's stream is the lease on the work. Nothing is kept once the call has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from types import TracebackType
from typing import Self

from separation_service.pipeline import SeparationPipeline
from separation_service.progress import CallProgress, StageTime, Told
from separation_service.receive import LentBounce, Received, receive_loan
from separation_service.scratch import Scratch
from separation_service.store import Delivered
from servicekit.clock import Clock
from servicekit.delivery.manifest import StemMode
from servicekit.errors import ResourceExhausted, expiry_too_soon
from servicekit.journal import Stage
from servicekit.loans import Borrowings
from servicekit.work import Runner

_RETRY_AFTER_S = 5.0


@dataclass(frozen=True, kw_only=True)
class CallResult:
    """What was stored and how long each stage took."""

    delivered: Delivered
    times: tuple[StageTime, ...]


class SeparationCalls:
    """At most ``limit`` calls at once, a thread each; one of them has the device, the others wait their turn.

    ``observe`` is told the seconds of every finished stage. Leaving the ``with`` stops what is still under way.
    """

    def __init__(
        self,
        pipeline: SeparationPipeline,
        borrowings: Borrowings,
        *,
        limit: int,
        clock: Clock,
        observe: Callable[[Stage, float], None],
    ) -> None:
        self._pipeline = pipeline
        self._borrowings = borrowings
        self._limit = limit
        self._clock = clock
        self._observe = observe
        self._threads = ThreadPoolExecutor(max_workers=limit, thread_name_prefix="separate")
        self._under_way: dict[Future[CallResult], CallProgress] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for progress in list(self._under_way.values()):
            progress.leave()
        self._threads.shutdown(wait=True)

    @property
    def under_way(self) -> int:
        """How many calls are being worked on or wait for the device."""
        return len(self._under_way)

    async def separate(
        self, lent: LentBounce, mode: StemMode, *, left_s: float | None = None
    ) -> AsyncGenerator[Told | CallResult, None]:
        """Progress, then the result. Closing the iterator stops the work within one batch.

        ``left_s`` is how long the caller will wait. Raises `ResourceExhausted` QUEUE_FULL, `FailedPrecondition` EXPIRY_TOO_SOON
        where that is too short, and whatever the pipeline raises.
        """
        self._refuse_beyond_limit()
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[Told | None] = asyncio.Queue()

        def say(told: Told | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                loop.call_soon_threadsafe(said.put_nowait, told)

        progress = CallProgress(say, clock=self._clock, observe=self._observe)
        give_up_s = None if left_s is None else self._clock.monotonic_s() + left_s
        work = self._threads.submit(self._work, lent, mode, progress, give_up_s)
        self._under_way[work] = progress
        work.add_done_callback(lambda _: say(None))
        work.add_done_callback(self._under_way.pop)
        try:
            while (told := await said.get()) is not None:
                yield told
            yield work.result()
        finally:
            progress.leave()

    def _work(self, lent: LentBounce, mode: StemMode, progress: CallProgress, give_up_s: float | None) -> CallResult:
        def receive(scratch: Scratch) -> Received:
            received = receive_loan(lent, self._borrowings, scratch)
            load = self._pipeline.load(received.frames)
            progress.time_left_s = self._pipeline.pace.rest_s(Stage.RECEIVE, load) or 0.0
            if give_up_s is not None:
                self._refuse_too_soon(progress, give_up_s)
            return received

        delivered = self._pipeline(receive, mode, progress)
        progress.end_stage()
        return CallResult(delivered=delivered, times=tuple(progress.times))

    def _refuse_too_soon(self, progress: CallProgress, give_up_s: float) -> None:
        """Refuse what cannot be done in time at the pace of the last separation, behind the calls that came before."""
        before = list(takewhile(lambda call: call is not progress, list(self._under_way.values())))
        left_s = give_up_s - self._clock.monotonic_s()
        needed_s = progress.time_left_s + sum(call.time_left_s for call in before)
        if progress.time_left_s and needed_s > left_s:
            raise expiry_too_soon(needed_s=needed_s, left_s=left_s, queued=len(before))

    def _refuse_beyond_limit(self) -> None:
        if self.under_way >= self._limit:
            raise ResourceExhausted(
                f"{self.under_way} separations are under way or wait, and {self._limit} is the most; try again in a while",
                reason="QUEUE_FULL",
                metadata={"queued": str(self.under_way), "limit": str(self._limit)},
                retry_after_s=_RETRY_AFTER_S,
            )

    def drain(self, timeout_s: float) -> bool:
        """Wait for the calls under way; True where all ended within ``timeout_s``. Whoever calls has closed the gate before."""
        left = wait(list(self._under_way), timeout=timeout_s).not_done
        return not left


class AllWork:
    """A service's own jobs and its callers' bounces, brought to an end together."""

    def __init__(self, runner: Runner, calls: SeparationCalls, *, clock: Clock) -> None:
        self._runner = runner
        self._calls = calls
        self._clock = clock

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.__exit__(kind, error, trace)

    def drain(self, timeout_s: float) -> bool:
        """Claim nothing more; let jobs and calls end within ``timeout_s``. True where all did by themselves."""
        give_up_s = self._clock.monotonic_s() + timeout_s
        jobs_ended = self._runner.drain(timeout_s)
        calls_ended = self._calls.drain(max(give_up_s - self._clock.monotonic_s(), 0.0))
        return jobs_ended and calls_ended
