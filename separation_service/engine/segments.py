"""Long audio in segments: where they lie, what a model sees of each, and how their outputs are joined.

The arithmetic of ``demucs.apply.apply_model`` (split, overlap 0.25, transition power 1), operation for operation, over one
segment's memory instead of the track's.

Letters: ``R`` rows (sources kept), ``C`` channels, ``T`` samples of the track, ``L`` samples of a segment.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from separation_service.engine.mix import Level
from separation_service.engine.separator import CHANNELS, MixSource, Waveform

OVERLAP = 0.25
"""Overlap of neighbouring segments as a share of one: the default of `demucs.api.Separator` (docs/contract.md, section 8)."""


@dataclass(frozen=True)
class Segment:
    """``length`` samples from sample ``start`` on; ``finished`` of them get nothing from later segments."""

    start: int
    length: int
    finished: int


def _stride(segment_samples: int) -> int:
    return int((1 - OVERLAP) * segment_samples)


def segment_count(track_samples: int, segment_samples: int) -> int:
    """How many segments cover the track."""
    return -(-track_samples // _stride(segment_samples))


def segment_at(index: int, track_samples: int, segment_samples: int) -> Segment:
    """Segment ``index`` of those that cover ``track_samples``, each of at most ``segment_samples``."""
    stride = _stride(segment_samples)
    left = track_samples - index * stride
    return Segment(start=index * stride, length=min(segment_samples, left), finished=min(stride, left))


def read_padded(mix: MixSource, level: Level, segment: Segment, padded_samples: int) -> Waveform:
    """``(C, padded_samples)`` with the segment in the middle, its neighbours around it, zeros beyond the track."""
    left, first, last = _padded_span(mix, segment, padded_samples)
    padded = np.zeros((CHANNELS, padded_samples), dtype=np.float32)
    padded[:, first - left : last - left] = level.normalise(mix.read(first, last))
    return padded


def _padded_span(mix: MixSource, segment: Segment, padded_samples: int) -> tuple[int, int, int]:
    """Where the padded segment begins, maybe before the track, and the samples of the track that lie in it, first and last + 1."""
    left = segment.start - (padded_samples - segment.length) // 2
    return left, max(0, left), min(mix.frames, left + padded_samples)


class SegmentReader:
    """Segments of one mix on the device, each read and copied there once for all models that need it at about the same time.

    Keeps the last ``max_cached``.
    """

    def __init__(self, mix: MixSource, level: Level, device: torch.device, *, max_cached: int) -> None:
        self.frames = mix.frames
        self.device = device
        self._mix, self._level, self._max_cached = mix, level, max_cached
        self._cache: OrderedDict[tuple[Segment, int], Tensor] = OrderedDict()

    def read(self, segment: Segment, padded_samples: int) -> Tensor:
        """``(C, padded_samples)``, see `read_padded`; never written to."""
        key = (segment, padded_samples)
        if key not in self._cache:
            self._cache[key] = self._load(segment, padded_samples)
            if len(self._cache) > self._max_cached:
                self._cache.popitem(last=False)
        return self._cache[key]

    def _load(self, segment: Segment, padded_samples: int) -> Tensor:
        if self.device.type != "cuda":
            return torch.from_numpy(read_padded(self._mix, self._level, segment, padded_samples))
        left, first, last = _padded_span(self._mix, segment, padded_samples)
        pinned = torch.empty(CHANNELS, last - first, pin_memory=True)
        pinned.numpy()[:] = self._mix.read(first, last)
        padded = torch.zeros(CHANNELS, padded_samples, device=self.device)
        inside = padded[:, first - left : last - left]
        inside.copy_(pinned, non_blocking=True).sub_(float(self._level.mean)).div_(float(self._level.std))
        return padded


def trim_padding(output: Tensor, segment: Segment) -> Tensor:
    """``(..., padded)`` -> ``(..., L)``: undo `read_padded`."""
    left = (output.shape[-1] - segment.length) // 2
    return output[..., left : left + segment.length]


def triangle(segment_samples: int, device: torch.device) -> Tensor:
    """``(L,)`` weights that rise to 1 in the middle and fall again, never 0."""
    rising = torch.arange(1, segment_samples // 2 + 1, device=device)
    falling = torch.arange(segment_samples - segment_samples // 2, 0, -1, device=device)
    weight = torch.cat([rising, falling])
    return weight / weight.max()


class OverlapAdd:
    """Joins the outputs of consecutive segments and hands out what later segments cannot change.

    Holds one segment of sums, whatever the track's length.
    """

    def __init__(self, rows: int, channels: int, segment_samples: int, device: torch.device) -> None:
        self._weight = triangle(segment_samples, device)
        self._sum = torch.zeros(rows, channels, segment_samples, device=device)
        self._weight_sum = torch.zeros(segment_samples, device=device)

    def push(self, segment: Segment, output: Tensor) -> Tensor:
        """``(R, C, L)`` of this segment -> ``(R, C, segment.finished)`` from the segment's start on."""
        length, finished = segment.length, segment.finished
        weight = self._weight[:length]
        self._sum[..., :length] += weight * output
        self._weight_sum[:length] += weight
        done = self._sum[..., :finished] / self._weight_sum[:finished]
        self._sum = _shift(self._sum, finished)
        self._weight_sum = _shift(self._weight_sum, finished)
        return done


def _shift(sums: Tensor, finished: int) -> Tensor:
    return F.pad(sums[..., finished:], (0, finished))
