"""Separations for callers that own the job: a lent bounce, progress while it is worked on, and the result.

The caller's stream is the lease on the work. Nothing is kept once the call has ended.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from separation_service.pipeline import SeparationPipeline
from separation_service.receive import LentBounce, Received, receive_loan
from separation_service.rerender.pipeline import Compared, ReplaceOrder, RerenderPipeline
from separation_service.rerender.store import Replacement
from separation_service.scratch import Scratch
from separation_service.store import Delivered, discard_zip
from separation_service.timing.progress import CallProgress, ProgressUpdate, StageTime
from servicekit.clock import Clock
from servicekit.delivery.manifest import StemMode
from servicekit.errors import ResourceExhausted, expiry_too_soon
from servicekit.journal import Stage
from servicekit.loans import Borrowings
from servicekit.work import Runner

_RETRY_AFTER_S = 5.0
_LOOK_S = 0.1


T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CallResult(Generic[T]):
    """What came of the work, such as what was stored, and how long each stage took."""

    outcome: T
    times: tuple[StageTime, ...]


class SeparationCalls:
    """At most ``limit`` calls at once, a thread each; one of them has the device, the others wait their turn.

    ``observe`` is told the seconds of every finished stage. Leaving the ``with`` stops what is still under way. A version's files
    are written by one call at a time: a later one begins when the earlier has ended and taken away what nobody heard of.
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
        self._rerenders = RerenderPipeline(pipeline)
        self._borrowings = borrowings
        self._limit = limit
        self._clock = clock
        self._observe = observe
        self._threads = ThreadPoolExecutor(max_workers=limit, thread_name_prefix="separate")
        self._under_way: dict[Future[Any], CallProgress] = {}
        self._of_version: dict[tuple[str, int], threading.Event] = {}
        self._versions = threading.Lock()

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

    def separate(
        self, lent: LentBounce, mode: StemMode, *, left_s: float | None = None
    ) -> AsyncGenerator[ProgressUpdate | CallResult[Delivered], None]:
        """All stems of a lent bounce: see :meth:`_told`.

        ``left_s`` is how long the caller will wait. Raises `FailedPrecondition` EXPIRY_TOO_SOON where that is too short.
        """
        give_up_s = None if left_s is None else self._clock.monotonic_s() + left_s

        def work(progress: CallProgress) -> Delivered:
            def receive(scratch: Scratch) -> Received:
                received = receive_loan(lent, self._borrowings, scratch)
                load = self._pipeline.load(received.frames)
                progress.time_left_s = self._pipeline.pace.rest_s(Stage.RECEIVE, load) or 0.0
                if give_up_s is not None:
                    self._refuse_too_soon(progress, give_up_s)
                return received

            return self._pipeline(receive, mode, progress)

        return self._told(
            work,
            stores=(lent.job_id, lent.version),
            undo=lambda: discard_zip(self._pipeline.store, lent.job_id, lent.version),
        )

    def replace(self, order: ReplaceOrder) -> AsyncGenerator[ProgressUpdate | CallResult[Replacement | Compared], None]:
        """One stem of a stored version by that of a lent mix: see :meth:`_told`. What nobody heard of does not stay stored."""
        return self._told(
            lambda progress: self._rerenders(
                lambda scratch: receive_loan(order.lent, self._borrowings, scratch), order, progress
            ),
            stores=(order.lent.job_id, order.lent.version) if order.compare_with is None else None,
            undo=lambda: self._rerenders.discard(order),
        )

    async def _told(
        self, work: Callable[[CallProgress], T], *, stores: tuple[str, int] | None, undo: Callable[[], None]
    ) -> AsyncGenerator[ProgressUpdate | CallResult[T], None]:
        """Progress, then the result. Closing the iterator stops the work within one batch.

        ``stores`` is the version whose files it makes, if any. ``undo`` is called once the work has ended, where the iterator was
        closed before its result was taken.
        Raises `ResourceExhausted` QUEUE_FULL, and whatever the work raises.
        """
        self._refuse_beyond_limit()
        loop = asyncio.get_running_loop()
        said: asyncio.Queue[ProgressUpdate | None] = asyncio.Queue()

        def say(told: ProgressUpdate | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody listens any more
                loop.call_soon_threadsafe(said.put_nowait, told)

        progress = CallProgress(say, clock=self._clock, observe=self._observe)
        over, before = self._next_of(stores)
        worked = self._threads.submit(_worked, work, progress, before)
        self._under_way[worked] = progress
        worked.add_done_callback(lambda _: say(None))
        worked.add_done_callback(self._under_way.pop)
        heard = False
        try:
            while (told := await said.get()) is not None:
                yield told
            yield worked.result()
            heard = True
        finally:
            progress.leave()
            if heard:
                self._end(stores, over)
            else:
                self._threads.submit(self._once_ended, worked, undo, stores, over)

    def _next_of(self, stores: tuple[str, int] | None) -> tuple[threading.Event, threading.Event | None]:
        """Set once this call stores and removes nothing any more; and the same of the call before it, if there is one."""
        over = threading.Event()
        if stores is None:
            return over, None
        with self._versions:
            before, self._of_version[stores] = self._of_version.get(stores), over
        return over, before

    def _once_ended(
        self, worked: Future[Any], undo: Callable[[], None], stores: tuple[str, int] | None, over: threading.Event
    ) -> None:
        wait([worked])
        try:
            undo()
        finally:
            self._end(stores, over)

    def _end(self, stores: tuple[str, int] | None, over: threading.Event) -> None:
        over.set()
        with self._versions:
            if stores is not None and self._of_version.get(stores) is over:
                del self._of_version[stores]

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


def _worked(work: Callable[[CallProgress], T], progress: CallProgress, before: threading.Event | None) -> CallResult[T]:
    while before is not None and not before.wait(_LOOK_S):
        progress.check()
    outcome = work(progress)
    progress.end_stage()
    return CallResult(outcome=outcome, times=tuple(progress.times))


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
