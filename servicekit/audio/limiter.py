"""Brings a bounce to a loudness: one gain, and a look-ahead limiter for the peaks that it lifts over the true-peak limit.

Letters: ``C`` channels (2), ``T`` samples, ``N`` control pieces of :data:`_PIECE_FRAMES`. The limiter's gain is set at the
pieces' edges, in dB, and lies on a line between them; both channels have the same gain, so that the stereo image stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.loudness import HOP_FRAMES, gated_lufs, weighted_energy
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, blocks
from servicekit.audio.true_peak import check_finite, decibels, limit_true_peak, piece_peaks, rounded_peak

MAX_REDUCTION_DB = 6.0
"""More than this audibly flattens attacks, so a take with higher peaks stays quieter instead."""
MAX_GAIN_DB = 20.0
"""A take that is quieter than this below the target is mostly noise."""
LOOK_AHEAD_MS = 5.0

_PIECE_FRAMES = 30
"""0.7 ms; divides a loudness hop."""
_PIECES_PER_HOP = HOP_FRAMES // _PIECE_FRAMES
_HOLD_PIECES = 8
# Two moving averages of 7 pieces reach 6 pieces to either side: within the hold, so that no smoothed gain is above a needed one.
_SMOOTH_PIECES = 7
_RELEASE_DB_PER_S = 40.0
_RELEASE_DB = _RELEASE_DB_PER_S * _PIECE_FRAMES / SAMPLE_RATE_HZ
_MARGIN_PIECES = math.ceil(MAX_REDUCTION_DB / _RELEASE_DB) + 2 * _HOLD_PIECES
_GAIN_ROUNDS = 24
_GAIN_TOLERANCE_LU = 0.005
_LIMIT_ROUNDS = 8
_NUDGE_DB = 0.005

F = TypeVar("F", float, NDArray[np.float64])

Curve = NDArray[np.float64]
"""``(N + 1,)`` in dB, at the edges of the pieces."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Levelled:
    """``waveform`` ``(C, T)`` at its loudness. ``max_reduction_db`` is the limiter's greatest reduction, 0 where it did nothing.

    ``lufs`` is the loudness that the gain was chosen by; None where the waveform has none, so that no gain was applied.
    """

    waveform: NDArray[np.float32]
    gain_db: float
    max_reduction_db: float
    lufs: float | None


def level(waveform: NDArray[np.float32], target_lufs: float, *, max_dbtp: float, loop: bool = False) -> Levelled:
    """Bring ``(C, T)`` to ``target_lufs`` with a true peak of at most ``max_dbtp``.

    The gain is at most 20 dB and at most what 6 dB of limiting allow. The limit holds as for :func:`limit_true_peak`. In a
    ``loop`` the limiter's gain at the end leads into that at the start. Raises Internal NOT_FINITE for NaN or infinity.
    """
    check_finite(waveform)
    energy = weighted_energy(waveform, _PIECE_FRAMES)
    lufs = _lufs(energy)
    wished_db = 0.0 if lufs is None else target_lufs - lufs
    # Limiting lowers the loudness by less than it lowers the highest peak, so no greater gain is tried.
    highest_db = min(wished_db + MAX_REDUCTION_DB, MAX_GAIN_DB)
    peaks_db = 20.0 * np.log10(piece_peaks(waveform, _PIECE_FRAMES, above=_linear(max_dbtp - highest_db)) + 1e-12)
    peak_db = float(peaks_db.max(initial=-math.inf))
    gain_db = min(wished_db, highest_db, max_dbtp + MAX_REDUCTION_DB - peak_db)
    if lufs is not None:
        highest_db = min(highest_db, max_dbtp + MAX_REDUCTION_DB - peak_db)
        gain_db, lufs = _find_gain(
            energy, peaks_db - max_dbtp, target_lufs, first_db=gain_db, highest_db=highest_db, loop=loop
        )
    return _limit(waveform, gain_db, peaks_db, max_dbtp, lufs=lufs, loop=loop)


def _find_gain(
    energy: NDArray[np.float64],
    over_db: NDArray[np.float64],
    target_lufs: float,
    *,
    first_db: float,
    highest_db: float,
    loop: bool,
) -> tuple[float, float | None]:
    """The gain that reaches the target, or the highest, and the loudness then.

    The loudness is that of the pieces' energies under the limiter's gain, which is slow against what they hold.
    """
    gain_db, lufs = first_db, None
    for _ in range(_GAIN_ROUNDS):
        curve = _curve(gain_db + over_db, loop=loop)[: energy.size + 1]
        lufs = _lufs(energy * _linear(2.0 * (gain_db + 0.5 * (curve[:-1] + curve[1:]))))
        if lufs is None or abs(target_lufs - lufs) <= _GAIN_TOLERANCE_LU:
            break
        raised_db = min(gain_db + target_lufs - lufs, highest_db)
        if raised_db == gain_db:
            break
        gain_db = raised_db
    return gain_db, lufs


def _limit(
    waveform: NDArray[np.float32],
    gain_db: float,
    peaks_db: NDArray[np.float64],
    max_dbtp: float,
    *,
    lufs: float | None,
    loop: bool,
) -> Levelled:
    """Apply gain and limiter. The limiter's threshold falls until the rounded samples are within the limit."""
    threshold_db, lowered_db = max_dbtp, 0.0
    for _ in range(_LIMIT_ROUNDS):
        curve = _curve(gain_db + peaks_db - threshold_db, loop=loop)
        limited = _apply(waveform, gain_db, curve)
        over_db = (decibels(rounded_peak(limited)) or -math.inf) - max_dbtp
        if over_db <= 0.0:
            break
        # The gain's slope and the rounding can lift a peak a little.
        threshold_db -= over_db + _NUDGE_DB
    else:
        limited, lowered_db = limit_true_peak(limited, max_dbtp)
    reduction_db = abs(float(curve.min()))
    return Levelled(waveform=limited, gain_db=gain_db + lowered_db, max_reduction_db=reduction_db, lufs=lufs)


def _curve(over_db: NDArray[np.float64], *, loop: bool) -> Curve:
    """The limiter's gain for pieces that exceed the threshold by ``over_db`` ``(N,)``.

    Each needed reduction is held around its piece, released by so many dB a second, and smoothed.
    """
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    if not (over_db > 0.0).any():
        return np.zeros(over_db.size + 1)
    needed = np.pad(np.minimum(-over_db, 0.0), _MARGIN_PIECES, mode="wrap" if loop else "constant")
    held = minimum_filter1d(needed, 2 * _HOLD_PIECES + 1, mode="nearest")
    ramp = _RELEASE_DB * np.arange(held.size)
    released = np.minimum.accumulate(held - ramp) + ramp
    smooth = uniform_filter1d(
        uniform_filter1d(released, _SMOOTH_PIECES, mode="nearest"), _SMOOTH_PIECES, mode="nearest"
    )
    curve: Curve = np.minimum(smooth[_MARGIN_PIECES : _MARGIN_PIECES + over_db.size + 1], 0.0)
    return curve


def _apply(waveform: NDArray[np.float32], gain_db: float, curve: Curve) -> NDArray[np.float32]:
    """``(C, T)`` under the gain and the curve."""
    frames = waveform.shape[1]
    if not curve.any():
        return waveform * np.float32(_linear(gain_db)) if gain_db else waveform
    # The last piece may be shorter; its edge is the end, where a loop goes on with the first.
    edges = np.minimum(np.arange(curve.size) * _PIECE_FRAMES, frames)
    limited = np.empty_like(waveform)
    for block in blocks(frames):
        gains = _linear(gain_db + np.interp(np.arange(block.start, block.stop), edges, curve))
        limited[:, block] = waveform[:, block] * gains
    return limited


def _lufs(energy: NDArray[np.float64]) -> float | None:
    whole = energy.size - energy.size % _PIECES_PER_HOP
    return gated_lufs(energy[:whole].reshape(-1, _PIECES_PER_HOP).sum(axis=1))


def _linear(gain_db: F) -> F:
    linear: F = 10.0 ** (gain_db / 20.0)
    return linear
