"""True peak by ITU-R BS.1770-4 Annex 2, and a gain that limits it.

Letters: ``C`` channels, ``T`` samples, ``P`` phases of an interpolator, ``K`` its taps a phase.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import BLOCK_FRAMES, CHANNELS, FULL_SCALE, Pcm24, not_finite

# Annex 2, table of the order 48, 4-phase FIR interpolating filter; phases 2 and 3 are 1 and 0 reversed.
_PHASE_0 = (
    0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000, -0.0594482421875, 0.1373291015625,
    0.9721679687500, -0.1022949218750, 0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500,
)  # fmt: skip
_PHASE_1 = (
    -0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250, -0.1665039062500, 0.4650878906250,
    0.7797851562500, -0.2003173828125, 0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375,
)  # fmt: skip
_ANNEX_2 = np.array([_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1]], dtype=np.float32)

_NUDGE_DB = 0.005
_BEYOND_MEANING = 1e30
_ROW_FRAMES = 32
# Small enough that OpenBLAS does not use several threads, which took five times as long on a busy machine.
_BATCH_ROWS = 16
# Margin of the bound by which rows are skipped, for float32 rounding.
_ROUNDING_ROOM = 1.001


def _windowed_sinc(phases: int, taps: int, beta: float) -> NDArray[np.float32]:
    """Interpolator ``(P, K)``: a sinc under a Kaiser window, each phase with a sum of 1."""
    distance = np.arange(taps)[None, :] - (taps // 2 - 1) - np.arange(phases)[:, None] / phases
    window = np.i0(beta * np.sqrt(np.clip(1.0 - (distance / (taps / 2)) ** 2, 0.0, None))) / np.i0(beta)
    filters = np.sinc(distance) * window
    return np.asarray(filters / filters.sum(axis=1, keepdims=True), dtype=np.float32)


# Stricter than Annex 2: 8 phases underestimate by at most 0.17 dB at the band's edge, 4 phases by 0.69 dB.
_STRICT = _windowed_sinc(phases=8, taps=32, beta=8.0)


def true_peak(waveform: NDArray[np.float32]) -> float:
    """The largest magnitude of ``(C, T)`` between and on the samples, by Annex 2; 0 for silence or no samples.

    Full scale 1.0. The samples themselves count too, which the standard's filter passes only nearly.
    """
    return _peak(waveform, _ANNEX_2)


class TruePeakMeter:
    """:func:`true_peak` of a stream of 24-bit integers: :meth:`add` its blocks in order, then read the result once."""

    def __init__(self) -> None:
        self._interpolator = _Interpolator(CHANNELS, _ANNEX_2)

    def add(self, pcm: Pcm24) -> None:
        """Add the next block ``(2, N)``."""
        self._interpolator.add(pcm)

    def peak(self) -> float:
        """Peak of all blocks, full scale 1.0; 0 for silence. Nothing can be added afterwards."""
        return self._interpolator.end() / FULL_SCALE


def limit_true_peak(waveform: NDArray[np.float32], max_dbtp: float = -1.0) -> tuple[NDArray[np.float32], float]:
    """Limit the true peak of ``(C, T)`` by one constant gain, which keeps its dynamics.

    Returns the waveform and the gain in dB, at most 0; the argument itself if no gain is needed. The limit holds for the 24-bit
    integers that the result rounds to, read by Annex 2 and by an interpolator of 8 phases and 32 taps, so that a
    meter that is stricter than the standard agrees. Raises Internal NOT_FINITE for NaN or infinity.
    """
    check_finite(waveform)
    limit = 10.0 ** (max_dbtp / 20.0)
    peak = rounded_peak(waveform)
    if peak <= limit:
        return waveform, 0.0
    gain_db = 20.0 * math.log10(limit / peak)
    while True:
        limited = waveform * np.float32(10.0 ** (gain_db / 20.0))
        if rounded_peak(limited) <= limit:
            return limited, gain_db
        # Rounding to integers can raise a peak by part of one step.
        gain_db -= _NUDGE_DB


def check_finite(waveform: NDArray[np.float32]) -> None:
    """Raise Internal NOT_FINITE for NaN, infinity, and what is beyond the integers that float32 can hold."""
    if not (np.abs(waveform) < _BEYOND_MEANING).all():  # NaN compares as false
        raise not_finite("BOUNCE")


def decibels(peak: float) -> float | None:
    """A magnitude in dB below full scale; None for 0."""
    return 20.0 * math.log10(peak) if peak > 0.0 else None


def piece_peaks(waveform: NDArray[np.float32], piece_frames: int, *, above: float) -> NDArray[np.float32]:
    """The largest magnitude of ``(C, T)`` on and between the samples of each piece. ``(ceil(T / piece_frames),)``.

    The stricter reading of both interpolators, with silence before and after. Where it cannot pass ``above``, that of the samples
    alone.
    """
    pieces = -(-waveform.shape[1] // piece_frames)
    peaks = np.zeros(pieces, dtype=np.float32)
    if not pieces:
        return peaks
    for filters in (_STRICT, _ANNEX_2):
        before = filters.shape[1] // 2 - 1
        after = pieces * piece_frames - waveform.shape[1] + filters.shape[1] // 2
        matrix = _toeplitz(filters, piece_frames)
        reach = float(np.abs(filters).sum(axis=1).max()) * _ROUNDING_ROOM
        for channel in waveform:
            padded = np.pad(channel, (before, after))
            spans = np.lib.stride_tricks.sliding_window_view(padded, matrix.shape[0])[::piece_frames]
            peaks = np.maximum(peaks, np.abs(spans[:, before : before + piece_frames]).max(axis=1))
            loud = np.flatnonzero(np.abs(spans).max(axis=1) * reach > above)
            for batch in np.split(loud, range(_BATCH_ROWS, loud.size, _BATCH_ROWS)):
                between = np.abs(spans[batch] @ matrix).max(axis=1, initial=0.0)
                peaks[batch] = np.maximum(peaks[batch], between)
    return peaks


def rounded_peak(waveform: NDArray[np.float32]) -> float:
    """The stricter reading of both interpolators over the integers that ``waveform`` rounds to, full scale 1.0."""
    scaled = np.rint(waveform * np.float32(FULL_SCALE))
    return _peak(scaled, _STRICT, at_least=_peak(scaled, _ANNEX_2)) / FULL_SCALE


def _peak(waveform: NDArray[np.float32], filters: NDArray[np.float32], *, at_least: float = 0.0) -> float:
    """The largest magnitude of ``(C, T)`` through ``filters`` ``(P, K)``, with silence before and after.

    ``at_least``: what was found by other filters.
    """
    interpolator = _Interpolator(
        waveform.shape[0], filters, at_least=max(at_least, float(np.abs(waveform).max(initial=0)))
    )
    for start in range(0, waveform.shape[1], BLOCK_FRAMES):
        interpolator.add(waveform[:, start : start + BLOCK_FRAMES])
    return interpolator.end()


class _Interpolator:
    """A stream of ``(C, N)`` through ``filters`` ``(P, K)``, with silence before and after: its largest magnitude.

    Works in steps of :data:`BLOCK_FRAMES` from the first sample on, whatever the blocks that come. What lies between samples is
    at most the largest sample around times the filters' largest absolute sum: rows that cannot pass what was found so far, or
    ``at_least``, are left out.
    """

    def __init__(self, channels: int, filters: NDArray[np.float32], *, at_least: float = 0.0) -> None:
        self._before = filters.shape[1] - 1
        self._matrix = _toeplitz(filters, _ROW_FRAMES)
        self._reach = float(np.abs(filters).sum(axis=1).max()) * _ROUNDING_ROOM
        # Input of the next step: the last K - 1 frames, then the new ones.
        self._window = np.zeros((channels, self._before + BLOCK_FRAMES), dtype=np.float32)
        self._held = 0
        self._highest = at_least

    def add(self, waveform: NDArray[np.float32] | Pcm24) -> None:
        """Add the next block ``(C, N)``."""
        taken = 0
        while taken < waveform.shape[1]:
            part = waveform[:, taken : taken + BLOCK_FRAMES - self._held]
            begin = self._before + self._held
            self._window[:, begin : begin + part.shape[1]] = part
            taken += part.shape[1]
            self._held += part.shape[1]
            if self._held == BLOCK_FRAMES:
                self._step(BLOCK_FRAMES)

    def end(self) -> float:
        """Flush the filter; return the largest magnitude."""
        left = self._held + self._before
        while left > 0:
            self._window[:, self._before + self._held :] = 0.0
            self._step(min(left, BLOCK_FRAMES))
            left -= BLOCK_FRAMES
        return self._highest

    def _step(self, frames: int) -> None:
        """Measure the next ``frames`` on and between samples, then advance by a whole step."""
        rows = -(-frames // _ROW_FRAMES)
        for channel in self._window:
            window = channel[: self._before + rows * _ROW_FRAMES]
            self._highest = max(self._highest, float(window.max()), -float(window.min()))
            spans = np.lib.stride_tricks.sliding_window_view(window, self._matrix.shape[0])[::_ROW_FRAMES]
            loud = np.flatnonzero(_row_peaks(window, rows, self._before) * self._reach > self._highest)
            if loud.size:
                batches = np.resize(loud, (-(-loud.size // _BATCH_ROWS), _BATCH_ROWS))
                between = spans[batches] @ self._matrix
                self._highest = max(self._highest, float(between.max()), -float(between.min()))
        self._window[:, : self._before] = self._window[:, BLOCK_FRAMES:]
        self._held = 0


def _row_peaks(window: NDArray[np.float32], rows: int, before: int) -> NDArray[np.float32]:
    """An upper bound of each row's magnitude. ``(rows,)``."""
    own = np.abs(window[before:]).reshape(rows, _ROW_FRAMES).max(axis=1)
    earlier = np.concatenate([np.abs(window[:before]).max(keepdims=True), own[:-1]])
    peaks: NDArray[np.float32] = np.maximum(own, earlier)
    return peaks


def _toeplitz(filters: NDArray[np.float32], rows: int) -> NDArray[np.float32]:
    """``(P, K)`` as one matrix ``(R + K - 1, R * P)`` that takes R frames at a time: one product is several times faster."""
    phases, taps = filters.shape
    matrix = np.zeros((rows + taps - 1, rows * phases), dtype=np.float32)
    for row in range(rows):
        matrix[row : row + taps, row * phases : (row + 1) * phases] = filters.T
    return matrix
