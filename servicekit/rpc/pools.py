"""Threads for the blocking work of calls: a pool of its own for each class of call, each bounded.

One shared pool makes the quickest call wait for the slowest: with six threads, twelve replays kept GetJob waiting for 38 s. Here a
class that is overrun refuses its own calls and delays no others.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from servicekit.access.tenant_shares import TenantShares
from servicekit.errors import Cancelled, ResourceExhausted
from servicekit.logs import logger

_log = logger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class CallPool:
    """At most ``threads`` calls of a class run at once and ``waiting`` more wait; any further one is refused.

    Of one tenant at most half of them do, see `TenantShares`.
    ``retry_after_s`` is the delay that a refusal advises.
    """

    def __init__(self, name: str, *, threads: int, waiting: int, retry_after_s: float) -> None:
        self._name = name
        self._shares = TenantShares(threads + waiting)
        self._retry_after_s = retry_after_s
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    @property
    def pending(self) -> int:
        """Calls that run or wait."""
        return self._shares.held

    async def run(self, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``work`` in a thread, with the context of this task, and return its result. Call it from one event loop only.

        A call that is cancelled while it waits runs nothing. One that is cancelled while it runs waits for the end of ``work``, so
        that what ``work`` uses stays open for it. Raises ResourceExhausted QUEUE_FULL, and whatever ``work`` raises.
        """
        shares = self._shares
        if not shares.has_room():
            raise ResourceExhausted(
                f"at most {shares.limit} calls of this kind ({self._name}) can run or wait at once, and {shares.of_one_tenant} "
                "of one tenant; try again later",
                reason="QUEUE_FULL",
                metadata={"queued": str(shares.held), "limit": str(shares.limit)},
                retry_after_s=self._retry_after_s,
            )
        context = contextvars.copy_context()
        with shares.place():
            return await _result(self._threads.submit(context.run, partial(work, *args, **kwargs)))

    async def run_stoppable(self, work: Callable[[threading.Event], T]) -> T:
        """As :meth:`run`, for work that ends early once the event is set: where the call is cancelled."""
        cancelled = threading.Event()
        running = asyncio.ensure_future(self.run(work, cancelled))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            cancelled.set()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            raise

    def close(self) -> None:
        """Start no more work; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def _result(running: Future[T]) -> T:
    future = asyncio.wrap_future(running)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not running.cancel():
            while not future.done():  # a drain cancels calls again that their callers have cancelled
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({future})
            error = future.exception()
            # The caller is gone; the log is the only place left for the error. That the work has stopped is none.
            if error is not None and not isinstance(error, Cancelled):
                _log.warning("a call failed after its caller had cancelled it", message=str(error))
        raise


@dataclass(frozen=True, kw_only=True)
class CallPools:
    """The pools of a service. Where a class has one thread, its calls run one after another."""

    reads: CallPool
    """Jobs, versions, personas, signed URLs, estimates, pages of audit rows."""
    reports: CallPool
    """What walks a whole audit chain: VerifyAuditChain, GetDriftReport."""
    watches: CallPool
    """Pages of events for watchers. Watches are many and each waits for itself, so they are never refused in practice."""
    writes: CallPool
    """CreateRender, RerenderStem, AddStems, RetryVersion."""
    hooked: CallPool
    """What creates work, in place of their own pool, if an admission hook is asked: it may be slow."""
    cancels: CallPool
    """CancelJob: never behind jobs that are being accepted, and with one thread it takes little time from them."""
    deletes: CallPool
    """DeleteJob, DeleteVersion, EraseJob and DeletePersona, which remove files one by one, and ErasePrompt.

    ErasePrompt may wait for readers.
    """
    erasures: CallPool
    """EraseTenant: steps of about 2 s."""
    replays: CallPool
    """ReplayTake: one at a time, because each takes its turn on the device."""
    personas: CallPool
    """CreatePersona: decoding and embedding of clips."""
    prompts: CallPool
    """AnalyzePrompt: the text encoder computes."""
    clips: CallPool
    """DownloadPersonaClip: reading and checking of clips."""
    uploads: CallPool
    """Writing, checking and storing of uploads, whose own limit is lower."""
    analyses: CallPool
    """AnalyzeAudio."""
    waveforms: CallPool
    """GetWaveforms, which reads all audio of a version: 0.3 s for five files of 180 s."""

    @classmethod
    def open(cls) -> CallPools:
        """The pools of every service (docs/runbook.md)."""
        return cls(
            reads=CallPool("reads", threads=4, waiting=256, retry_after_s=1.0),
            reports=CallPool("reports", threads=1, waiting=8, retry_after_s=5.0),
            watches=CallPool("watches", threads=2, waiting=16384, retry_after_s=1.0),
            writes=CallPool("writes", threads=4, waiting=256, retry_after_s=1.0),
            hooked=CallPool("hooked", threads=16, waiting=256, retry_after_s=1.0),
            cancels=CallPool("cancels", threads=1, waiting=256, retry_after_s=1.0),
            deletes=CallPool("deletes", threads=2, waiting=64, retry_after_s=5.0),
            erasures=CallPool("erasures", threads=1, waiting=8, retry_after_s=5.0),
            replays=CallPool("replays", threads=1, waiting=4, retry_after_s=30.0),
            personas=CallPool("personas", threads=1, waiting=4, retry_after_s=5.0),
            prompts=CallPool("prompts", threads=1, waiting=64, retry_after_s=1.0),
            clips=CallPool("clips", threads=2, waiting=256, retry_after_s=1.0),
            uploads=CallPool("uploads", threads=4, waiting=64, retry_after_s=5.0),
            analyses=CallPool("analyses", threads=1, waiting=4, retry_after_s=10.0),
            waveforms=CallPool("waveforms", threads=2, waiting=32, retry_after_s=2.0),
        )

    def close(self) -> None:
        """Close every pool."""
        for pool in vars(self).values():
            pool.close()
