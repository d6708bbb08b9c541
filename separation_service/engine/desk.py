"""Where the segments of all jobs meet: batches of one fixed shape, filled from whoever has segments waiting.

There is no thread of its own. Whoever needs a result that is not there yet and finds the device free runs the next batch, its own
segments and its neighbours' alike; the others find theirs done.

A segment always lies in the same slot of the batch, whatever its neighbours are, and an empty slot holds zeros. So the arithmetic
on it is the same alone and in company, down to the last bit, on any device whose kernels do not look at the values.

Letters: ``B`` slots of a batch, ``C`` channels, ``L`` samples of a padded segment, ``R`` rows (sources kept).
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

Run = Callable[[int, Mapping[int, Tensor]], Tensor]
"""``run(B, {slot: (C, L)})`` -> ``(B, R, C, L)``: one model over a batch; slots that are not named hold zeros."""


@dataclass(frozen=True)
class Tray:
    """Segments that may share a batch: the same model, the same length, the same number of slots."""

    member: int
    samples: int
    slots: int


class Ticket:
    """One segment on its way through one model. ``output`` is ``(R, C, L)`` once it has been computed."""

    def __init__(self, tray: Tray, slot: int, segment: Tensor) -> None:
        self.tray = tray
        self.slot = slot
        self.segment: Tensor = segment
        self.output: Tensor | None = None


class BatchDesk:
    """Takes segments and gives results, to any number of threads. ``runs[m]`` is model ``m``; one batch is run at a time."""

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self._runs = runs
        self._changed = threading.Condition()
        self._waiting: defaultdict[Tray, defaultdict[int, deque[Ticket]]] = defaultdict(lambda: defaultdict(deque))
        self._busy = False

    def put(self, ticket: Ticket) -> None:
        """Let a segment wait for its batch."""
        with self._changed:
            self._waiting[ticket.tray][ticket.slot].append(ticket)

    def withdraw(self, tickets: list[Ticket]) -> None:
        """Take back segments whose results nobody wants any more; those under way are computed to no end."""
        with self._changed:
            for ticket in tickets:
                queue = self._waiting[ticket.tray][ticket.slot]
                if ticket in queue:
                    queue.remove(ticket)
                self._forget_if_empty(ticket.tray)

    def result(self, ticket: Ticket) -> Tensor:
        """``(R, C, L)`` of this segment. Runs batches in this thread while the device is free; raises what the model raises."""
        while True:
            with self._changed:
                while self._busy and ticket.output is None:
                    self._changed.wait()
                if ticket.output is not None:
                    return ticket.output
                self._busy = True
                batch = self._take(ticket.tray)
            self._run(batch)

    def _take(self, tray: Tray) -> dict[int, Ticket]:
        """The first in each slot's queue."""
        queues = self._waiting[tray]
        batch = {slot: queue.popleft() for slot, queue in queues.items() if queue}
        self._forget_if_empty(tray)
        return batch

    def _forget_if_empty(self, tray: Tray) -> None:
        if not any(self._waiting[tray].values()):
            del self._waiting[tray]

    def _run(self, batch: dict[int, Ticket]) -> None:
        """One batch; where it fails, each of its owners tries for itself and meets the error in its own thread."""
        outputs: Tensor | None = None
        tray = next(iter(batch.values())).tray
        try:
            outputs = self._runs[tray.member](tray.slots, {slot: ticket.segment for slot, ticket in batch.items()})
        finally:
            with self._changed:
                self._busy = False
                for slot, ticket in batch.items():
                    if outputs is None:
                        self._waiting[tray][slot].appendleft(ticket)
                    else:
                        ticket.output = outputs[slot]
                self._changed.notify_all()
