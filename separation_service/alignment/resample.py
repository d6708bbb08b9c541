"""Resampling at arbitrary positions. Letters: ``C`` channels, ``T`` samples, ``N`` positions."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import blocks

_TAPS = 48
_PHASES = 512
_BETA = 9.0
_BLOCK = 1 << 15


def read_at(waveform: NDArray[np.float32], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(C, T)`` at ``positions`` ``(N,)``, counted in samples; silence outside it. ``-> (C, N)``.

    Windowed sinc with 48 taps and 512 linearly interpolated phases. Integer positions return the samples themselves; sines up to
    18 kHz have an error of -90 dB. For rates within 1 % of the original: there is no anti-aliasing filter, and aliasing would lie
    above 21.8 kHz.
    """
    half = _TAPS // 2
    padded = np.pad(np.asarray(waveform, dtype=np.float32), ((0, 0), (half, half)))
    spans = np.lib.stride_tricks.sliding_window_view(padded, _TAPS, axis=1)
    table = _table()
    read = np.empty((waveform.shape[0], positions.size))
    for block in blocks(positions.size, _BLOCK):
        # Far outside there is only silence; the nearest edge's padding covers it.
        at = np.clip(positions[block], -float(half), float(waveform.shape[1] + half - 1))
        whole = np.floor(at)
        phase = (at - whole) * _PHASES
        row = phase.astype(np.intp)
        between = (phase - row).astype(np.float32)[:, None]
        filters = table[row] + between * (table[row + 1] - table[row])
        first = whole.astype(np.intp) + 1
        inside = (first >= 0) & (first < spans.shape[1])
        for channel in range(waveform.shape[0]):
            value = np.einsum("nt,nt->n", spans[channel, np.where(inside, first, 0)], filters)
            read[channel, block] = np.where(inside, value, 0.0)
    return read


@cache
def _table() -> NDArray[np.float32]:
    """``(phases + 1, taps)``: row ``p`` reads ``p / phases`` after the tap before the middle; each sums to 1."""
    distance = np.arange(_TAPS)[None, :] - (_TAPS // 2 - 1) - np.arange(_PHASES + 1)[:, None] / _PHASES
    window = np.i0(_BETA * np.sqrt(np.clip(1.0 - np.square(distance / (_TAPS / 2)), 0.0, None))) / np.i0(_BETA)
    rows = np.where(distance == np.rint(distance), distance == 0.0, np.sinc(distance)) * window
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), dtype=np.float32)
