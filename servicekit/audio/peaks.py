"""Lowest and highest samples of equal shares of a file, to draw its waveform."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import MAX_SAMPLE, MIN_SAMPLE, Pcm24

_SHIFT = 8
"""From 24 bits to 16."""
_MAX_16 = (1 << 15) - 1


@dataclass(frozen=True, eq=False)
class Peaks:
    """Peaks of a file of ``frames`` samples a channel, over both channels, in 16 bits: ``(points,)`` int16 each.

    ``minima`` are rounded down, and ``maxima`` up, but to 32767 at most, so that no peak looks lower than it is.
    """

    frames: int
    minima: NDArray[np.int16]
    maxima: NDArray[np.int16]

    @property
    def nbytes(self) -> int:
        """Bytes of both arrays."""
        return self.minima.nbytes + self.maxima.nbytes


def find_peaks(blocks: Iterable[Pcm24], *, frames: int, points: int) -> Peaks:
    """Peaks of ``blocks``, each ``(C, N)`` with N of 1 or more, ``frames`` samples a channel in all, in memory for one block.

    Frame f belongs to point ``f * points // frames``. Where there are fewer frames than points, each frame is a point.
    """
    count = min(points, frames)
    # The first frame of point p is the least f with f * count >= p * frames.
    firsts = (np.arange(count, dtype=np.int64) * frames + count - 1) // max(count, 1)
    minima = np.full(count, MAX_SAMPLE, dtype=np.int32)
    maxima = np.full(count, MIN_SAMPLE, dtype=np.int32)
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        begun, end = np.searchsorted(firsts, [start, stop - 1], side="right")
        covered = slice(int(begun) - 1, int(end))
        cuts = np.maximum(firsts[covered] - start, 0)  # a point may have begun in the block before
        lowest = np.minimum.reduceat(block.min(axis=0), cuts)
        highest = np.maximum.reduceat(block.max(axis=0), cuts)
        np.minimum(minima[covered], lowest, out=minima[covered])
        np.maximum(maxima[covered], highest, out=maxima[covered])
        start = stop
    if start != frames:
        raise ValueError(f"the blocks must have {frames} samples a channel, got {start}")
    rounded_up = np.minimum(-(-maxima >> _SHIFT), _MAX_16)
    return Peaks(frames, (minima >> _SHIFT).astype(np.int16), rounded_up.astype(np.int16))
