"""One model over one track: segments are submitted ahead of time, finished samples come back in order.

Letters: ``R`` rows (sources kept), ``C`` channels, ``n`` samples.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from separation_service.engine.bag import Member
from separation_service.engine.scheduler import BatchKey, BatchScheduler, SegmentRequest
from separation_service.engine.segments import (
    OverlapAdd,
    Segment,
    SegmentReader,
    segment_at,
    segment_count,
    trim_padding,
)
from separation_service.engine.separator import CHANNELS


class ModelStream:
    """``rows`` are positions among the rows that the model's run gives; at most ``max_pending`` segments are queued at once.

    Segment ``i`` lies in slot ``(first_slot + i) % slots``.
    """

    def __init__(
        self,
        scheduler: BatchScheduler,
        reader: SegmentReader,
        *,
        member: Member,
        rows: Sequence[int],
        slots: int,
        first_slot: int,
        max_pending: int,
    ) -> None:
        self._scheduler, self._reader = scheduler, reader
        self._member, self._rows = member, list(rows)
        self._slots, self._first_slot, self._max_pending = slots, first_slot, max_pending
        self._sums = OverlapAdd(len(rows), CHANNELS, member.segment_samples, reader.device)
        self._pending: deque[tuple[Segment, SegmentRequest]] = deque()
        self._submitted = 0
        self._finished: deque[Tensor] = deque()
        self.total_segments = segment_count(reader.frames, member.segment_samples)
        self.computed_segments = 0
        self.finished_samples = 0
        """Samples from the track's start that no later segment changes."""

    def submit_ahead(self) -> None:
        """Submit segments until ``max_pending`` are queued or the track ends."""
        while len(self._pending) < self._max_pending and self._submitted < self.total_segments:
            segment = segment_at(self._submitted, self._reader.frames, self._member.segment_samples)
            samples = self._member.padded_samples(segment.length)
            slots = self._slots if samples == self._member.full_samples else 1
            key = BatchKey(member=self._member.index, samples=samples, slots=slots)
            slot = (self._first_slot + self._submitted) % slots
            request = SegmentRequest(key, slot, self._reader.read(segment, samples))
            self._scheduler.submit(request)
            self._pending.append((segment, request))
            self._submitted += 1

    def advance(self) -> None:
        """Finish one more segment."""
        self.submit_ahead()
        segment, request = self._pending[0]
        output = trim_padding(self._scheduler.result(request)[self._rows], segment)
        self._pending.popleft()
        self._finished.append(self._sums.push(segment, output))
        self.computed_segments += 1
        self.finished_samples += segment.finished

    def read(self, samples: int) -> Tensor:
        """The next ``samples`` finished samples, ``(R, C, samples)``. That many must be finished and not yet read."""
        parts = []
        while samples > 0:
            part = self._finished.popleft()
            if part.shape[-1] > samples:
                self._finished.appendleft(part[..., samples:])
                part = part[..., :samples]
            parts.append(part)
            samples -= part.shape[-1]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def close(self) -> None:
        """Cancel what is still queued."""
        self._scheduler.cancel([request for _, request in self._pending])
        self._pending.clear()
