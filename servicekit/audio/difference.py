"""How far two recordings of the same length are apart: by samples, by magnitude spectra, by loudness.

Letters: ``C`` channels, ``T`` samples a channel, ``F`` frames of the transform, ``B`` its bins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.loudness import measure
from servicekit.audio.pcm24 import FULL_SCALE, Pcm24

_WINDOW_SAMPLES = 2048
_HOP_SAMPLES = 1024
_BATCH_FRAMES = 256
_FLOOR = 1e-20
UNEQUAL_LENGTHS = 1 << 24
"""The largest difference of recordings of different lengths, which have no samples in common."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``largest`` is that of a sample in units of 2^-23, 0 for equal recordings.

    ``spectral_db`` compares magnitudes of short-time spectra: the energy of their difference over that of the first recording.
    It does not hear a phase that runs differently, which makes every sample differ. None where it cannot be measured: equal or
    silent recordings, or such of different lengths. ``loudness_lu`` is the absolute difference, None likewise.
    """

    largest: int
    spectral_db: float | None = None
    loudness_lu: float | None = None


def difference(first: Pcm24, second: Pcm24) -> Difference:
    """Compare ``(C, T)`` with ``(C, T)``."""
    if first.shape != second.shape:
        return Difference(largest=UNEQUAL_LENGTHS)
    largest = int(np.abs(first.astype(np.int64) - second).max(initial=0))
    if not largest:
        return Difference(largest=0)
    one, other = measure(first).lufs, measure(second).lufs
    return Difference(
        largest=largest,
        spectral_db=_spectral_db(first, second),
        loudness_lu=None if one is None or other is None else abs(one - other),
    )


def _spectral_db(first: Pcm24, second: Pcm24) -> float | None:
    apart = whole = 0.0
    for start in range(0, first.shape[1], _HOP_SAMPLES * _BATCH_FRAMES):
        stop = start + _HOP_SAMPLES * (_BATCH_FRAMES - 1) + _WINDOW_SAMPLES
        one, other = _magnitudes(first[:, start:stop]), _magnitudes(second[:, start:stop])
        apart += float(np.square(one - other).sum())
        whole += float(np.square(one).sum())
    return 10.0 * math.log10(max(apart / whole, _FLOOR)) if whole else None


def _magnitudes(pcm: Pcm24) -> NDArray[np.float64]:
    """Magnitudes ``(C, F, B)`` of ``(C, T)``, the last frame padded with zeros."""
    frames = max(math.ceil((pcm.shape[1] - _WINDOW_SAMPLES) / _HOP_SAMPLES), 0) + 1
    padded = np.zeros((pcm.shape[0], _WINDOW_SAMPLES + _HOP_SAMPLES * (frames - 1)))
    padded[:, : pcm.shape[1]] = pcm / FULL_SCALE
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES, axis=1)[:, ::_HOP_SAMPLES]
    return np.abs(np.fft.rfft(windows * np.hanning(_WINDOW_SAMPLES), axis=2))
