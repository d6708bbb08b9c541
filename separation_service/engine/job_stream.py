"""A mix through all models of a bag, in step, as blocks of stems: what one job does, whoever else is at the desk.

Letters: ``R`` rows (sources needed, in the models' order), ``C`` channels, ``n`` samples of a block, ``N`` stems asked for.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from separation_service.engine.bag import Bag
from separation_service.engine.mix import Level, measure_level
from separation_service.engine.model_stream import ModelStream
from separation_service.engine.scheduler import BatchScheduler
from separation_service.engine.segments import SegmentReader
from separation_service.engine.separator import (
    CHANNELS,
    MixSource,
    StemBlock,
    StemName,
    StepReport,
)
from servicekit.errors import Internal


@dataclass(frozen=True, kw_only=True)
class Order:
    """What one job asks of the engine."""

    mix: MixSource
    stems: tuple[StemName, ...]
    report: StepReport
    slots: int


@dataclass(frozen=True)
class _Flight:
    """A block on its way from the device to the host, whether all in it is finite, and how many steps were computed by then."""

    start: int
    samples: Tensor
    is_finite: Tensor
    arrived: torch.cuda.Event | None
    steps: int


class JobStream:
    """Blocks of one job. On a GPU they come one full batch late, so that the next batches are queued before any is waited for."""

    def __init__(self, bag: Bag, desk: BatchScheduler, order: Order, device: torch.device) -> None:
        self._bag, self._desk, self._order, self._device = bag, desk, order, device
        self._rows = bag.rows_of(order.stems)
        self._late = order.slots if device.type == "cuda" else 0
        self._flights: deque[_Flight] = deque()
        self._known_steps = 0

    def blocks(self) -> Generator[StemBlock, None, None]:
        """Work as they are asked for; closing it takes this job's segments back from the desk."""
        with self._desk.helped():
            yield from self._blocks()

    def _blocks(self) -> Generator[StemBlock, None, None]:
        level = measure_level(self._order.mix)
        lanes = self._open_lanes(level)
        total = sum(lane.total for lane in lanes)
        self._order.report(0, total)
        emitted = 0
        try:
            for lane in lanes:
                lane.fill()
            while emitted < self._order.mix.frames:
                self._advance(lanes, total)
                ready = min(lane.reached for lane in lanes)
                if ready > emitted:
                    self._send(emitted, self._mixed(lanes, ready - emitted, level), _computed(lanes))
                    emitted = ready
                    yield from self._landed(self._late)
            yield from self._landed(0)
            if self._late:
                self._order.report(total, total)
        finally:
            for lane in lanes:
                lane.leave()
            self._flights.clear()

    def _open_lanes(self, level: Level) -> list[ModelStream]:
        """One for each model that is needed, in the bag's order."""
        slots = self._order.slots
        reader = SegmentReader(self._order.mix, level, self._device, kept=2 * max(slots, self._desk.at_once))
        return [
            ModelStream(
                self._desk,
                reader,
                member=member,
                kept=[member.rows.index(row) for row in kept],
                slots=slots,
                first_slot=_first_slot(level, slots),
                ahead=max(slots, self._desk.at_once),
            )
            for member, kept in self._bag.work(self._order.stems)
        ]

    def _advance(self, lanes: Sequence[ModelStream], total: int) -> None:
        """Let the model that is furthest behind finish a segment, so that all keep in step."""
        min(lanes, key=lambda lane: lane.reached).advance()
        self._order.report(self._known_steps if self._late else _computed(lanes), total)

    def _mixed(self, lanes: Sequence[ModelStream], samples: int, level: Level) -> Tensor:
        """``(N, C, n)``: the bag's weighted average as demucs takes it, at the mix's own level, sources joined to stems."""
        estimates = torch.zeros(len(self._rows), CHANNELS, samples, device=self._device)
        for lane, (member, kept) in zip(lanes, self._bag.work(self._order.stems), strict=True):
            part = lane.take(samples)
            for index, row in enumerate(kept):
                estimates[self._rows.index(row)] += member.weights[row] * part[index]
        totals = self._bag.totals
        for index, row in enumerate(self._rows):
            estimates[index] /= totals[row]
        estimates.mul_(float(level.std)).add_(float(level.mean))
        places = [[self._rows.index(row) for row in self._bag.rows(stem)] for stem in self._order.stems]
        return torch.stack([sum((estimates[place] for place in some[1:]), estimates[some[0]]) for some in places])

    def _send(self, start: int, samples: Tensor, steps: int) -> None:
        arrived = None
        is_finite = torch.isfinite(samples).all()
        if self._late:
            samples, is_finite = _on_its_way(samples), _on_its_way(is_finite)
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(torch.cuda.current_stream(self._device))
        self._flights.append(_Flight(start, samples, is_finite, arrived, steps))

    def _landed(self, still_flying: int) -> Generator[StemBlock, None, None]:
        """The oldest blocks, until so many are left on their way."""
        while len(self._flights) > still_flying:
            flight = self._flights.popleft()
            if flight.arrived is not None:
                flight.arrived.synchronize()
            self._known_steps = flight.steps
            if not flight.is_finite:
                raise Internal(
                    "the separator gave NaN or infinity; its weights are broken, fetch them again",
                    reason="NOT_FINITE",
                    metadata={"stage": "SEPARATE"},
                )
            yield StemBlock(flight.start, flight.samples.numpy())


def _computed(lanes: Sequence[ModelStream]) -> int:
    return sum(lane.computed for lane in lanes)


def _first_slot(level: Level, slots: int) -> int:
    """Where a mix begins in its batches: always the same for one mix, another for most others, so that short mixes fit together."""
    return zlib.crc32(level.mean.tobytes() + level.std.tobytes()) % slots


def _on_its_way(tensor: Tensor) -> Tensor:
    """To memory of the host that the device can write, without a wait."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
