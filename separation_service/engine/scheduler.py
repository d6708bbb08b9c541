"""Groups the segments of all jobs into batches of one fixed shape.

A thread that needs a result runs the next batch itself as soon as the device has room, with its own segments and those of other
jobs; the other threads find theirs done. Where a device runs several batches at once, each on its share of the threads, a pool of
workers runs batches beside them.

A segment keeps its slot in the batch whatever else the batch holds, and an empty slot holds zeros. The arithmetic on a segment is
therefore the same with and without other jobs, to the last bit, on any device whose kernels do not branch on values.

Letters: ``B`` slots of a batch, ``C`` channels, ``L`` samples of a padded segment, ``R`` rows (sources kept).
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from servicekit.logs import logger

_log = logger(__name__)

Run = Callable[[int, Mapping[int, Tensor]], Tensor]
"""``run(B, {slot: (C, L)})`` -> ``(B, R, C, L)``: one model over a batch; slots that are not named hold zeros."""


@dataclass(frozen=True)
class BatchKey:
    """Segments with equal keys may share a batch: same model of the bag, same length, same number of slots."""

    member: int
    samples: int
    slots: int


class SegmentRequest:
    """One segment for one model. ``output`` is ``(R, C, L)`` once it is computed.

    ``failed``: a batch that held it failed. Only its owner runs it again, so that the error is raised in the owner's thread.
    """

    def __init__(self, key: BatchKey, slot: int, segment: Tensor) -> None:
        self.key = key
        self.slot = slot
        self.segment: Tensor = segment
        self.output: Tensor | None = None
        self.failed = False
        self.cancelled = False


_Batch = dict[int, SegmentRequest]


class BatchScheduler:
    """Queues segment requests and runs them in batches. Safe for any number of threads.

    ``runs[m]`` is model ``m`` of the bag; at most ``max_running`` batches run at the same time.
    """

    def __init__(self, runs: Sequence[Run], max_running: int = 1) -> None:
        self._runs = tuple(runs)
        self._max_running = max_running
        self._changed = threading.Condition()
        self._queues: defaultdict[BatchKey, defaultdict[int, deque[SegmentRequest]]] = defaultdict(
            lambda: defaultdict(deque)
        )
        self._running = 0
        self._jobs = 0
        self._workers: _WorkerPool | None = None

    @property
    def max_running(self) -> int:
        """Batches that run at the same time."""
        return self._max_running

    def submit(self, request: SegmentRequest) -> None:
        """Queue a segment for its batch."""
        with self._changed:
            self._queues[request.key][request.slot].append(request)
            self._changed.notify_all()

    def cancel(self, requests: Sequence[SegmentRequest]) -> None:
        """Drop requests whose results are no longer needed; the result of a running one is discarded."""
        with self._changed:
            for request in requests:
                request.cancelled = True
                queue = self._queues[request.key][request.slot]
                if request in queue:
                    queue.remove(request)
                self._drop_if_empty(request.key)

    @contextmanager
    def job(self) -> Iterator[None]:
        """Keep the worker pool alive for one job; it stops when the last job ends."""
        with self._changed:
            self._jobs += 1
            if self._workers is None:
                self._workers = _WorkerPool(self._work, self._max_running - 1)
        try:
            yield
        finally:
            stopping = None
            with self._changed:
                self._jobs -= 1
                if self._jobs == 0:
                    stopping, self._workers = self._workers, None
                    self._changed.notify_all()
            if stopping is not None:
                stopping.join()

    def result(self, request: SegmentRequest) -> Tensor:
        """``(R, C, L)`` of this segment. Runs batches in this thread while the device has room; raises what the model raises."""
        while request.output is None:
            batch = self._next_batch(lambda: self._select_for(request), lambda: request.output is None)
            if request in batch.values():
                self._run(batch)
            elif batch:
                self._run_for_others(batch)
        return request.output

    def _work(self, pool: _WorkerPool) -> None:
        """Run queued batches until the pool is stopped."""
        while batch := self._next_batch(self._select_any, lambda: self._workers is pool):
            self._run_for_others(batch)

    def _next_batch(self, select: Callable[[], _Batch], is_needed: Callable[[], bool]) -> _Batch:
        """Wait for the next batch and count it as running; empty once none is needed."""
        with self._changed:
            while is_needed():
                batch = select() if self._running < self._max_running else {}
                if batch:
                    self._running += 1
                    return batch
                self._changed.wait()
        return {}

    def _select_for(self, request: SegmentRequest) -> _Batch:
        """The batch that holds ``request`` while it is queued, any other batch while another thread runs it."""
        queues = self._queues.get(request.key)
        if queues is not None and request in queues[request.slot]:
            return self._select(request.key, request)
        return self._select_any()

    def _select_any(self) -> _Batch:
        return next((batch for key in list(self._queues) if (batch := self._select(key, None))), {})

    def _select(self, key: BatchKey, own: SegmentRequest | None) -> _Batch:
        """The first request of each slot's queue, without those that only their owners may run."""
        batch: _Batch = {}
        for slot, queue in self._queues[key].items():
            chosen = next((request for request in queue if not request.failed or request is own), None)
            if chosen is not None:
                queue.remove(chosen)
                batch[slot] = chosen
        self._drop_if_empty(key)
        return batch

    def _requeue(self, batch: _Batch) -> None:
        for slot, request in batch.items():
            if not request.cancelled:
                self._queues[request.key][slot].appendleft(request)

    def _drop_if_empty(self, key: BatchKey) -> None:
        if not any(self._queues[key].values()):
            del self._queues[key]

    def _run_for_others(self, batch: _Batch) -> None:
        """Run a batch that this thread does not wait for. If it fails, its owners run it themselves and get the error."""
        try:
            self._run(batch)
        except Exception as error:  # noqa: BLE001  whatever a model raises
            _log.warning("batch failed; each job runs its segments again", exc_info=error)

    def _run(self, batch: _Batch) -> None:
        """Run one batch. If it fails, its requests return to their queues, each for its owner alone."""
        outputs: Tensor | None = None
        key = next(iter(batch.values())).key
        try:
            outputs = self._runs[key.member](key.slots, {slot: request.segment for slot, request in batch.items()})
        finally:
            with self._changed:
                self._running -= 1
                for slot, request in batch.items():
                    if outputs is None:
                        request.failed = True
                    else:
                        request.output = outputs[slot]
                if outputs is None:
                    self._requeue(batch)
                self._changed.notify_all()


class _WorkerPool:
    """Threads that run batches while the scheduler holds this pool."""

    def __init__(self, work: Callable[[_WorkerPool], None], count: int) -> None:
        self._threads = [
            threading.Thread(target=work, args=(self,), name="segments", daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join()
