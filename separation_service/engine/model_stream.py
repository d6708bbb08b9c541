"""One model on its way through one track: segments go to the desk ahead of time, finished stretches come back in order.

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
    """``kept`` are positions among the rows that the model's run gives; at most ``ahead`` segments are at the desk at once.

    Segment ``i`` lies in slot ``first_slot + i``, counted around.
    """

    def __init__(
        self,
        desk: BatchScheduler,
        reader: SegmentReader,
        *,
        member: Member,
        kept: Sequence[int],
        slots: int,
        first_slot: int,
        ahead: int,
    ) -> None:
        self._desk, self._reader = desk, reader
        self._member, self._kept = member, list(kept)
        self._slots, self._first_slot, self._ahead = slots, first_slot, ahead
        self._sums = OverlapAdd(len(kept), CHANNELS, member.segment_samples, reader.device)
        self._at_desk: deque[tuple[Segment, SegmentRequest]] = deque()
        self._sent = 0
        self._finished: deque[Tensor] = deque()
        self.total = segment_count(reader.frames, member.segment_samples)
        self.computed = 0
        """Segments whose results were asked for."""
        self.reached = 0
        """Samples from the track's start that are finished."""

    def fill(self) -> None:
        """Bring segments to the desk until ``ahead`` are there or the track ends."""
        while len(self._at_desk) < self._ahead and self._sent < self.total:
            segment = segment_at(self._sent, self._reader.frames, self._member.segment_samples)
            samples = self._member.padded_samples(segment.length)
            slots = self._slots if samples == self._member.full_samples else 1
            tray = BatchKey(member=self._member.index, samples=samples, slots=slots)
            ticket = SegmentRequest(tray, (self._first_slot + self._sent) % slots, self._reader.read(segment, samples))
            self._desk.put(ticket)
            self._at_desk.append((segment, ticket))
            self._sent += 1

    def advance(self) -> None:
        """Finish one more segment."""
        self.fill()
        segment, ticket = self._at_desk[0]
        output = trim_padding(self._desk.result(ticket)[self._kept], segment)
        self._at_desk.popleft()
        self._finished.append(self._sums.push(segment, output))
        self.computed += 1
        self.reached += segment.finished

    def take(self, samples: int) -> Tensor:
        """The next ``samples`` finished samples, ``(R, C, samples)``; so many have to be finished."""
        parts = []
        while samples > 0:
            part = self._finished.popleft()
            if part.shape[-1] > samples:
                self._finished.appendleft(part[..., samples:])
                part = part[..., :samples]
            parts.append(part)
            samples -= part.shape[-1]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)

    def leave(self) -> None:
        """Take back what waits at the desk."""
        self._desk.withdraw([ticket for _, ticket in self._at_desk])
        self._at_desk.clear()
