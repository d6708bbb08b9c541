"""Separations that another service asks for and whose jobs it owns: SeparateTensor and ReplaceStem.

The caller's stream is the lease on the work: where the stream ends early, the work stops and what it stored is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import structlog

from separation_service.package import AllStems
from separation_service.pipeline import Receive, SeparationPipeline
from separation_service.receive import LoanedAudio, ReceivedBounce, receive_loan
from separation_service.rerender.compare import Comparison
from separation_service.rerender.replacement import Replacement
from separation_service.scratch import Scratch
from separation_service.store import StoredPackage
from separation_service.timing.progress import CallProgress, ProgressUpdate, StageTime
from servicekit.clock import Clock
from servicekit.delivery.files import StoredFile
from servicekit.errors import ResourceExhausted, expiry_too_soon
from servicekit.faults import NO_FAULTS, Faults
from servicekit.journal import Stage
from servicekit.loans import Borrowings
from servicekit.memory import return_free_memory
from servicekit.work import StagedFiles

_RETRY_AFTER_S = 5.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CallResult(Generic[T]):
    """The result of a call, and how long each stage took."""

    value: T
    stage_times: tuple[StageTime, ...]


@dataclass(frozen=True, kw_only=True)
class ReplaceRequest:
    """A lent new mix and the stem that one of its stems replaces. A replay has the stored bounce to compare with."""

    mix: LoanedAudio
    replacement: Replacement
    compare_with: StoredFile | None


class SeparationCalls:
    """Runs at most ``limit`` calls at once, each on its own thread. On a GPU they share the device, else one holds it.

    ``observe`` gets the seconds of every finished stage. Leaving the ``with`` cancels the calls that still run.
    """

    def __init__(
        self,
        pipeline: SeparationPipeline,
        borrowings: Borrowings,
        *,
        limit: int,
        clock: Clock,
        observe: Callable[[Stage, float], None],
        faults: Faults = NO_FAULTS,
    ) -> None:
        self._pipeline = pipeline
        self._borrowings = borrowings
        self._limit = limit
        self._clock = clock
        self._observe = observe
        self._faults = faults
        self._threads = ThreadPoolExecutor(max_workers=limit, thread_name_prefix="separate")
        self._active: dict[Future[Any], CallProgress] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for progress in list(self._active.values()):
            progress.cancel()
        self._threads.shutdown(wait=True)

    @property
    def active(self) -> int:
        """Number of calls that run or wait for the device."""
        return len(self._active)

    @contextmanager
    def ending_lease(self, lease_id: str) -> Iterator[None]:
        """A call that names a loan: at the end of the block the loan is discarded unless the call's work has it or had it."""
        try:
            yield
        finally:
            self._borrowings.discard(lease_id)

    def separate(
        self, loan: LoanedAudio, what: AllStems, *, timeout_s: float | None = None
    ) -> AsyncGenerator[ProgressUpdate | CallResult[StoredPackage], None]:
        """Separate a lent bounce into all stems: see :meth:`_stream`.

        ``timeout_s`` is how long the caller waits. Raises `FailedPrecondition` EXPIRY_TOO_SOON where that is too short.
        """
        deadline_s = None if timeout_s is None else self._clock.monotonic_s() + timeout_s

        def work(progress: CallProgress, staged: StagedFiles) -> StoredPackage:
            return self._pipeline(self._receive(loan, what, progress, deadline_s), what, progress, staged)

        return self._stream(work, loan)

    def replace(
        self, request: ReplaceRequest
    ) -> AsyncGenerator[ProgressUpdate | CallResult[StoredPackage | Comparison], None]:
        """Replace one stem of a stored version by that of a lent mix: see :meth:`_stream`."""
        replacement, compare_with = request.replacement, request.compare_with

        def work(progress: CallProgress, staged: StagedFiles) -> StoredPackage | Comparison:
            receive = self._receive(request.mix, replacement, progress)
            if compare_with is None:
                return self._pipeline(receive, replacement, progress, staged)
            return self._pipeline.compare(receive, replacement, compare_with, progress)

        return self._stream(work, request.mix)

    def _receive(
        self,
        loan: LoanedAudio,
        what: AllStems | Replacement,
        progress: CallProgress,
        deadline_s: float | None = None,
    ) -> Receive:
        """Receives the loan; then the time that the call will take is known, and a call that comes too late is refused."""

        def receive(scratch: Scratch) -> ReceivedBounce:
            bounce = receive_loan(loan, self._borrowings, scratch)
            load = self._pipeline.load(bounce.frames, what)
            progress.time_left_s = self._pipeline.estimator.expected_after_s(Stage.RECEIVE, load) or 0.0
            if deadline_s is not None:
                self._refuse_late(progress, deadline_s)
            return bounce

        return receive

    async def _stream(
        self, work: Callable[[CallProgress, StagedFiles], T], loan: LoanedAudio
    ) -> AsyncGenerator[ProgressUpdate | CallResult[T], None]:
        """Progress, then the result. Closing the iterator stops the work within one batch.

        Where the iterator was closed before its result was read, the files that the work stored are removed once it has ended.
        Raises `ResourceExhausted` QUEUE_FULL, and whatever the work raises.
        """
        self._refuse_over_limit()
        self._faults.refuse_call()
        loop = asyncio.get_running_loop()
        updates: asyncio.Queue[ProgressUpdate | None] = asyncio.Queue()

        def publish(update: ProgressUpdate | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody reads any more
                loop.call_soon_threadsafe(updates.put_nowait, update)

        progress = CallProgress(publish, clock=self._clock, observe=self._observe)
        staged = StagedFiles(self._pipeline.store, loan.job_id, loan.version, loan.attempt)
        running = self._threads.submit(_run, work, progress, staged, loan)
        self._active[running] = progress
        running.add_done_callback(lambda _: publish(None))
        running.add_done_callback(self._active.pop)
        running.add_done_callback(lambda _: return_free_memory())
        delivered = False
        try:
            while (update := await updates.get()) is not None:
                yield update
            yield running.result()
            delivered = True
        finally:
            progress.cancel()
            if not delivered:
                self._threads.submit(_roll_back, running, staged)

    def _refuse_late(self, progress: CallProgress, deadline_s: float) -> None:
        """Refuse a call whose estimate, together with the calls before it, is beyond its deadline."""
        before = list(takewhile(lambda call: call is not progress, list(self._active.values())))
        left_s = deadline_s - self._clock.monotonic_s()
        needed_s = progress.time_left_s + sum(call.time_left_s for call in before)
        if progress.time_left_s and needed_s > left_s:
            raise expiry_too_soon(needed_s=needed_s, left_s=left_s, queued=len(before))

    def _refuse_over_limit(self) -> None:
        if self.active >= self._limit:
            raise ResourceExhausted(
                f"at most {self._limit} separations can be requested at once, {self.active} are running or waiting; "
                "try again later",
                reason="QUEUE_FULL",
                metadata={"queued": str(self.active), "limit": str(self._limit)},
                retry_after_s=_RETRY_AFTER_S,
            )

    def drain(self, timeout_s: float) -> bool:
        """Wait up to ``timeout_s`` for the active calls; True where all ended. The caller admits no new ones by then."""
        return not wait(list(self._active), timeout=timeout_s).not_done


def _run(
    work: Callable[[CallProgress, StagedFiles], T], progress: CallProgress, staged: StagedFiles, loan: LoanedAudio
) -> CallResult[T]:
    with structlog.contextvars.bound_contextvars(job_id=loan.job_id, version=loan.version):
        progress.check()
        value = work(progress, staged)
        progress.end_stage()
    return CallResult(value=value, stage_times=tuple(progress.times))


def _roll_back(running: Future[Any], staged: StagedFiles) -> None:
    wait([running])
    staged.rollback()
