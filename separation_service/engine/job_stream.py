"""One job: a mix through all models of a bag, in step, as blocks of stems.

Letters: ``R`` rows (sources needed, in the models' order), ``C`` channels, ``n`` samples of a block, ``N`` stems requested.
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
from separation_service.engine.separator import CHANNELS, MixSource, StemBlock, StepReport
from servicekit.delivery.names import StemName
from servicekit.errors import Internal


@dataclass(frozen=True, kw_only=True)
class SeparationRequest:
    """What one job wants from the engine, and the slots of the batches that it shares."""

    mix: MixSource
    stems: tuple[StemName, ...]
    report: StepReport
    slots: int


@dataclass(frozen=True)
class _PendingBlock:
    """A block that is copied from the device to the host: whether it is finite, and the steps computed when the copy began."""

    start: int
    samples: Tensor
    is_finite: Tensor
    copied: torch.cuda.Event | None
    steps: int


class JobStream:
    """Blocks of one job. On a GPU they come one full batch late, so that the next batches are queued before the host waits."""

    def __init__(self, bag: Bag, scheduler: BatchScheduler, request: SeparationRequest, device: torch.device) -> None:
        self._bag, self._scheduler, self._request, self._device = bag, scheduler, request, device
        self._rows = bag.rows_of(request.stems)
        self._delay_blocks = request.slots if device.type == "cuda" else 0
        self._pending: deque[_PendingBlock] = deque()
        self._reported_steps = 0

    def blocks(self) -> Generator[StemBlock, None, None]:
        """Compute blocks on demand. Closing the generator cancels this job's queued segments."""
        with self._scheduler.job():
            yield from self._blocks()

    def _blocks(self) -> Generator[StemBlock, None, None]:
        level = measure_level(self._request.mix)
        streams = self._open_streams(level)
        total = sum(stream.total_segments for stream in streams)
        self._request.report(0, total)
        emitted = 0
        try:
            for stream in streams:
                stream.submit_ahead()
            while emitted < self._request.mix.frames:
                self._advance(streams, total)
                finished = min(stream.finished_samples for stream in streams)
                if finished > emitted:
                    mixed = self._mixed(streams, finished - emitted, level)
                    self._copy_to_host(emitted, mixed, _computed(streams))
                    emitted = finished
                    yield from self._copied(self._delay_blocks)
            yield from self._copied(0)
            if self._delay_blocks:
                self._request.report(total, total)
        finally:
            for stream in streams:
                stream.close()
            self._pending.clear()

    def _open_streams(self, level: Level) -> list[ModelStream]:
        """One for each model that is needed, in the bag's order."""
        slots = self._request.slots
        max_pending = max(slots, self._scheduler.max_running)
        reader = SegmentReader(self._request.mix, level, self._device, max_cached=2 * max_pending)
        return [
            ModelStream(
                self._scheduler,
                reader,
                member=member,
                rows=[member.rows.index(row) for row in rows],
                slots=slots,
                first_slot=_first_slot(level, slots),
                max_pending=max_pending,
            )
            for member, rows in self._bag.work(self._request.stems)
        ]

    def _advance(self, streams: Sequence[ModelStream], total: int) -> None:
        """Finish a segment of the model that is furthest behind, so that all models stay in step."""
        min(streams, key=lambda stream: stream.finished_samples).advance()
        self._request.report(self._reported_steps if self._delay_blocks else _computed(streams), total)

    def _mixed(self, streams: Sequence[ModelStream], samples: int, level: Level) -> Tensor:
        """``(N, C, n)``: the bag's weighted average as demucs computes it, at the mix's level, sources summed to stems."""
        estimates = torch.zeros(len(self._rows), CHANNELS, samples, device=self._device)
        for stream, (member, rows) in zip(streams, self._bag.work(self._request.stems), strict=True):
            part = stream.read(samples)
            for index, row in enumerate(rows):
                estimates[self._rows.index(row)] += member.weights[row] * part[index]
        totals = self._bag.totals
        for index, row in enumerate(self._rows):
            estimates[index] /= totals[row]
        estimates.mul_(float(level.std)).add_(float(level.mean))
        positions = [[self._rows.index(row) for row in self._bag.rows(stem)] for stem in self._request.stems]
        return torch.stack([sum((estimates[other] for other in some[1:]), estimates[some[0]]) for some in positions])

    def _copy_to_host(self, start: int, samples: Tensor, steps: int) -> None:
        copied = None
        is_finite = torch.isfinite(samples).all()
        if self._delay_blocks:
            samples, is_finite = _start_copy(samples), _start_copy(is_finite)
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(torch.cuda.current_stream(self._device))
        self._pending.append(_PendingBlock(start, samples, is_finite, copied, steps))

    def _copied(self, max_pending: int) -> Generator[StemBlock, None, None]:
        """The oldest blocks, until at most ``max_pending`` are left."""
        while len(self._pending) > max_pending:
            block = self._pending.popleft()
            if block.copied is not None:
                block.copied.synchronize()
            self._reported_steps = block.steps
            if not block.is_finite:
                raise Internal(
                    "the separator returned NaN or infinity; its weights are broken, fetch them again",
                    reason="NOT_FINITE",
                    metadata={"stage": "SEPARATE"},
                )
            yield StemBlock(block.start, block.samples.numpy())


def _computed(streams: Sequence[ModelStream]) -> int:
    return sum(stream.computed_segments for stream in streams)


def _first_slot(level: Level, slots: int) -> int:
    """Where a mix begins in its batches: fixed for a mix, spread over mixes, so that short mixes share a batch."""
    return zlib.crc32(level.mean.tobytes() + level.std.tobytes()) % slots


def _start_copy(tensor: Tensor) -> Tensor:
    """Copy to pinned host memory without waiting for the copy."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
