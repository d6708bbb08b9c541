"""Beat tracking: beats, bars, and stretches of constant tempo. Letters: ``F`` frames, ``N`` beats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import theil_sen
from separation_service.alignment.grid import Times, nearest
from separation_service.alignment.onsets import Onsets
from separation_service.alignment.tempo import FRAME_HZ, Pulse

_WINDOW_S, _STEP_S = 8.0, 1.0
_SPREAD = np.geomspace(0.78, 1.28, 51)  # tempos within a piece relative to its main tempo
_STAY = 12.0  # cost of a tempo change per unit of its logarithm
_TIGHTNESS = 100.0  # Ellis 2007, Beat Tracking by Dynamic Programming: penalty on the squared log of a beat's length
_ONSET_NEAR_S = 0.04
_STRAIGHT_S = 0.025  # beats further than this from a constant tempo start another stretch
_FEWEST_BEATS = 8
_METRES = (4, 3)
_FOUR_BONUS = 0.15  # prior for four beats per bar


@dataclass(frozen=True, kw_only=True)
class Bars:
    """``beats`` a bar, ``first`` the index of the first beat that begins one, ``confidence`` 0 to 1."""

    beats: int
    first: int
    confidence: float


@dataclass(frozen=True, kw_only=True)
class Straight:
    """Beats ``[start, stop)`` at a constant tempo: beat ``i`` lies at ``origin_s + i * period_s``."""

    start: int
    stop: int
    origin_s: float
    period_s: float


def track_beats(pulse: Pulse, period_s: float, onsets: Onsets) -> Times:
    """Beats ``(N,)`` of a pulse with main period ``period_s``, each moved to a nearby onset if there is one."""
    periods = _local_periods(pulse.full, period_s)
    beats = _best_chain(pulse.full, periods) / FRAME_HZ
    if onsets.count == 0 or beats.size == 0:
        return beats
    closest = onsets.times_s[nearest(onsets.times_s, beats)]
    placed: Times = np.where(np.abs(closest - beats) < _ONSET_NEAR_S, closest, beats)
    return np.unique(placed)


def straighten(beats_s: Times) -> tuple[Straight, ...]:
    """The fewest stretches of constant tempo that fit the beats ``(N,)``, at least two."""
    stretches = []
    start = 0
    while start < beats_s.size:
        stop = min(start + _FEWEST_BEATS, beats_s.size)
        while stop < beats_s.size and _continues(beats_s, start, stop):
            stop += 1
        origin_s, period_s = _line(beats_s, start, stop)
        if beats_s.size - stop < _FEWEST_BEATS:
            # The rest is too short for a tempo of its own.
            stop = beats_s.size
        stretches.append(Straight(start=start, stop=stop, origin_s=origin_s, period_s=period_s))
        start = stop
    return tuple(stretches)


def find_bars(pulse: Pulse, beats_s: Times, changes: NDArray[np.float64], metre: int | None) -> Bars:
    """Metre and phase from changes of low end, level and harmony. ``changes`` ``(N,)``: harmony at each beat."""
    at = np.clip(np.rint(beats_s * FRAME_HZ).astype(np.intp), 2, max(pulse.full.size - 5, 2))
    window = at[:, None] + np.arange(-2, 5)
    evidence = 0.5 * _standard(pulse.low[window].max(axis=1)) + 0.3 * _standard(pulse.full[window].max(axis=1))
    evidence += 1.0 * _standard(changes)
    scored = []
    for beats in (metre,) if metre is not None else _METRES:
        if beats_s.size < 2 * beats:
            continue
        for first in range(beats):
            strength = float(evidence[first::beats].mean() - np.delete(evidence, np.s_[first::beats]).mean())
            scored.append((strength + (_FOUR_BONUS if beats == 4 and metre is None else 0.0), beats, first))
    if not scored:
        return Bars(beats=metre or 4, first=0, confidence=0.0)
    scored.sort(reverse=True)
    second = scored[1][0] if len(scored) > 1 else 0.0
    confidence = float(np.clip((scored[0][0] - second) / max(scored[0][0], 0.3), 0.0, 1.0))
    return Bars(beats=scored[0][1], first=scored[0][2], confidence=confidence)


def _local_periods(pulse: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    """The period in frames at each frame: the best path through the tempos of overlapping windows."""
    usual = period_s * FRAME_HZ
    lags = usual * _SPREAD
    starts = np.arange(0, max(pulse.size - round(_WINDOW_S * FRAME_HZ), 1), round(_STEP_S * FRAME_HZ))
    strength = np.array([_comb(pulse[start : start + round(_WINDOW_S * FRAME_HZ)], lags) for start in starts])
    move = _STAY * np.abs(np.log(_SPREAD[:, None] / _SPREAD[None, :]))
    total = strength[0] - 0.5 * _STAY * np.abs(np.log(_SPREAD))
    came = np.zeros(strength.shape, dtype=np.intp)
    for step in range(1, starts.size):
        options = total[:, None] - move
        came[step] = options.argmax(axis=0)
        total = options.max(axis=0) + strength[step]
    path = [int(total.argmax())]
    for step in range(starts.size - 1, 0, -1):
        path.append(int(came[step, path[-1]]))
    middles: Times = np.asarray(starts + 0.5 * _WINDOW_S * FRAME_HZ, dtype=np.float64)
    nearest_window = nearest(middles, np.arange(pulse.size, dtype=np.float64))
    chosen: NDArray[np.float64] = lags[np.array(path[::-1])][nearest_window]
    return chosen


def _comb(window: NDArray[np.float64], lags: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised autocorrelation of a window at one, two and four times each lag."""
    size = 1 << (2 * window.size - 1).bit_length()
    spectrum = np.fft.rfft(window, size)
    alike = np.fft.irfft(np.square(np.abs(spectrum)), size)[: window.size] / max(float(np.square(window).sum()), 1e-9)
    steps = np.arange(alike.size)
    teeth: NDArray[np.float64] = sum(
        (np.interp(lags * count, steps, alike, right=0.0) for count in (1.0, 2.0, 4.0)), start=np.zeros(lags.size)
    )
    return teeth


def _best_chain(pulse: NDArray[np.float64], periods: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frames of the chain of beats with the most pulse on it and the least deviation from the periods (Ellis 2007)."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(pulse, 0.012 * FRAME_HZ)
    score, came = smooth.copy(), np.full(pulse.size, -1)
    for frame in range(pulse.size):
        period = periods[frame]
        back = np.arange(round(-2.0 * period), round(-0.5 * period))
        before = frame + back
        valid = before >= 0
        if not valid.any():
            continue
        worth = score[before[valid]] - _TIGHTNESS * np.square(np.log(-back[valid] / period))
        best = int(worth.argmax())
        if worth[best] > 0.0:
            score[frame] += worth[best]
            came[frame] = before[valid][best]
    last_period = round(float(periods[-1])) if periods.size else 1
    frame = max(pulse.size - last_period, 0) + int(score[-last_period:].argmax())
    chain = []
    while frame >= 0:
        chain.append(frame)
        frame = int(came[frame])
    return np.array(chain[::-1], dtype=np.float64)


def _line(beats_s: Times, start: int, stop: int) -> tuple[float, float]:
    index = np.arange(start, stop, dtype=np.float64)
    period_s = theil_sen(index, beats_s[start:stop])
    return float(np.median(beats_s[start:stop] - period_s * index)), period_s


def _continues(beats_s: Times, start: int, stop: int) -> bool:
    """True if most of the next four beats lie on the stretch so far."""
    origin_s, period_s = _line(beats_s, max(start, stop - 64), stop)
    ahead = np.arange(stop, min(stop + 4, beats_s.size))
    off = np.abs(beats_s[ahead] - origin_s - period_s * ahead)
    return float(np.median(off)) < _STRAIGHT_S


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (values - values.mean()) / max(float(values.std()), 1e-9)
    return scaled
