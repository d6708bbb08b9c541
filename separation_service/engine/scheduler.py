"""Where the segments of all jobs meet: batches of one fixed shape, filled from whoever has segments waiting.

Whoever needs a result that is not there yet and finds the device free runs the next batch, its own segments and its neighbours'
alike; the others find theirs done. Where a device takes several batches at once, each on a part of its threads, helpers run beside
whoever waits.

A segment always lies in the same slot of the batch, whatever its neighbours are, and an empty slot holds zeros. So the arithmetic
on it is the same alone and in company, down to the last bit, on any device whose kernels do not look at the values.

Letters: ``B`` slots of a batch, ``C`` channels, ``L`` samples of a padded segment, ``R`` rows (sources kept).
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from servicekit.logs import logger

_log = logger(__name__)

Run = Callable[[int, Mapping[int, Tensor]], Tensor]
"""``run(B, {slot: (C, L)})`` -> ``(B, R, C, L)``: one model over a batch; slots that are not named hold zeros."""


@dataclass(frozen=True)
class BatchKey:
    """Segments that may share a batch: the same model, the same length, the same number of slots."""

    member: int
    samples: int
    slots: int


class SegmentRequest:
    """One segment on its way through one model. ``output`` is ``(R, C, L)`` once it has been computed.

    ``failed``: a batch with it failed; from then on only its owner runs it, and meets the error.
    """

    def __init__(self, tray: BatchKey, slot: int, segment: Tensor) -> None:
        self.tray = tray
        self.slot = slot
        self.segment: Tensor = segment
        self.output: Tensor | None = None
        self.failed = False
        self.withdrawn = False


_Batch = dict[int, SegmentRequest]


class BatchScheduler:
    """Takes segments and gives results, to any number of threads. ``runs[m]`` is model ``m``; ``at_once`` batches run at a time."""

    def __init__(self, runs: tuple[Run, ...], at_once: int = 1) -> None:
        self._runs = runs
        self._at_once = at_once
        self._changed = threading.Condition()
        self._waiting: defaultdict[BatchKey, defaultdict[int, deque[SegmentRequest]]] = defaultdict(
            lambda: defaultdict(deque)
        )
        self._running = 0
        self._jobs = 0
        self._crew: _WorkerPool | None = None

    @property
    def at_once(self) -> int:
        """Batches that run at a time."""
        return self._at_once

    def put(self, ticket: SegmentRequest) -> None:
        """Let a segment wait for its batch."""
        with self._changed:
            self._waiting[ticket.tray][ticket.slot].append(ticket)
            self._changed.notify_all()

    def withdraw(self, tickets: list[SegmentRequest]) -> None:
        """Take back segments whose results nobody wants any more; those under way are computed to no end."""
        with self._changed:
            for ticket in tickets:
                ticket.withdrawn = True
                queue = self._waiting[ticket.tray][ticket.slot]
                if ticket in queue:
                    queue.remove(ticket)
                self._forget_if_empty(ticket.tray)

    @contextmanager
    def helped(self) -> Iterator[None]:
        """Have helpers in the block, for a job; they go when the last job has left."""
        with self._changed:
            self._jobs += 1
            if self._crew is None:
                self._crew = _WorkerPool(self._help, self._at_once - 1)
        try:
            yield
        finally:
            leaving = None
            with self._changed:
                self._jobs -= 1
                if self._jobs == 0:
                    leaving, self._crew = self._crew, None
                    self._changed.notify_all()
            if leaving is not None:
                leaving.join()

    def result(self, ticket: SegmentRequest) -> Tensor:
        """``(R, C, L)`` of this segment. Runs batches in this thread while the device has room; raises what the model raises."""
        while ticket.output is None:
            batch = self._claimed(lambda: self._take_for(ticket), lambda: ticket.output is None)
            if ticket in batch.values():
                self._run(batch)
            elif batch:
                self._run_for_others(batch)
        return ticket.output

    def _help(self, crew: _WorkerPool) -> None:
        """Run what waits, until the crew is dismissed."""
        while batch := self._claimed(self._take_any, lambda: self._crew is crew):
            self._run_for_others(batch)

    def _claimed(self, take: Callable[[], _Batch], is_wanted: Callable[[], bool]) -> _Batch:
        """The next batch, waited for while it is wanted and counted as running; empty when it is wanted no more."""
        with self._changed:
            while is_wanted():
                batch = take() if self._running < self._at_once else {}
                if batch:
                    self._running += 1
                    return batch
                self._changed.wait()
        return {}

    def _take_for(self, ticket: SegmentRequest) -> _Batch:
        """A batch of the ticket's tray while it waits there, any other while somebody else runs it."""
        queues = self._waiting.get(ticket.tray)
        if queues is not None and ticket in queues[ticket.slot]:
            return self._take(ticket.tray, ticket)
        return self._take_any()

    def _take_any(self) -> _Batch:
        return next((batch for tray in list(self._waiting) if (batch := self._take(tray, None))), {})

    def _take(self, tray: BatchKey, own: SegmentRequest | None) -> _Batch:
        """The first in each slot's queue, without those that only their owners run."""
        batch: _Batch = {}
        for slot, queue in self._waiting[tray].items():
            chosen = next((ticket for ticket in queue if not ticket.failed or ticket is own), None)
            if chosen is not None:
                queue.remove(chosen)
                batch[slot] = chosen
        self._forget_if_empty(tray)
        return batch

    def _put_back(self, batch: _Batch) -> None:
        for slot, ticket in batch.items():
            if not ticket.withdrawn:
                self._waiting[ticket.tray][slot].appendleft(ticket)

    def _forget_if_empty(self, tray: BatchKey) -> None:
        if not any(self._waiting[tray].values()):
            del self._waiting[tray]

    def _run_for_others(self, batch: _Batch) -> None:
        """A batch that nobody waits for in this thread: where it fails, its owners run it themselves and meet the error there."""
        try:
            self._run(batch)
        except Exception as error:  # noqa: BLE001  whatever a model raises
            _log.info("a batch failed; its jobs try for themselves", error=repr(error))

    def _run(self, batch: _Batch) -> None:
        """One batch. Where it fails, each of its owners tries for itself."""
        outputs: Tensor | None = None
        tray = next(iter(batch.values())).tray
        try:
            outputs = self._runs[tray.member](tray.slots, {slot: ticket.segment for slot, ticket in batch.items()})
        finally:
            with self._changed:
                self._running -= 1
                for slot, ticket in batch.items():
                    if outputs is None:
                        ticket.failed = True
                    else:
                        ticket.output = outputs[slot]
                if outputs is None:
                    self._put_back(batch)
                self._changed.notify_all()


class _WorkerPool:
    """Threads that help as long as the desk calls them its crew."""

    def __init__(self, work: Callable[[_WorkerPool], None], count: int) -> None:
        self._threads = [
            threading.Thread(target=work, args=(self,), name="segments", daemon=True) for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for those who were dismissed."""
        for thread in self._threads:
            thread.join()
