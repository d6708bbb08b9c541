"""Phase-aligned crossfades at bar lines with constant level. Letters: ``C`` channels (2), ``N`` samples of a crossfade.

Both crossfades lie inside the replaced bars. The closing one ends before its line, so that the next downbeat is entirely the old
stem's; the opening one begins at its line and is short, so that the downbeat is the new stem's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import SAMPLE_RATE_HZ

FADE_FRAMES = round(0.040 * SAMPLE_RATE_HZ)
OPENING_FRAMES = round(0.005 * SAMPLE_RATE_HZ)
"""Keeps 97 % of the energy of a drum's downbeat on corpus takes; 40 ms keeps half (docs/decisions/0013-alignment.md)."""
GUARD_FRAMES = round(0.004 * SAMPLE_RATE_HZ)
MAX_LAG_S = 0.005
MAX_DRUMS_LAG_S = 0.001
GLIDE_S = 2.0
"""The lag of a seam decays to 0 over this time: 5 ms in 2 s change the speed by 0.25 %."""
_MAX_SPEED_CHANGE = 0.003
_LOW_PASS_HZ = 500.0
_LAG_STEP_FRAMES = 8
_MIN_RHO = -0.5  # below it the gain law would boost both sides by 3 dB or more
_SILENT_POWER = 1e-9

Block = NDArray[np.float64]
"""``(C, N)``, full scale 1.0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossfade:
    """Gains ``(N,)`` of the outgoing and the incoming part; ``rho`` is their correlation, None if either is silent."""

    out_gain: NDArray[np.float64]
    in_gain: NDArray[np.float64]
    rho: float | None


def crossfade(fading_out: Block, fading_in: Block) -> Crossfade:
    """Gains that keep the level constant.

    Cosine and sine, scaled so that the power equals that of two uncorrelated signals: for equal levels
    ``a^2 + b^2 + 2 a b rho = 1``, where equal power alone would be +2.0 dB at a rho of 0.6.
    """
    progress = (np.arange(fading_out.shape[1]) + 0.5) / fading_out.shape[1]
    out_gain, in_gain = np.cos(0.5 * np.pi * progress), np.sin(0.5 * np.pi * progress)
    both = out_gain * in_gain
    power_out = float((both * np.square(fading_out)).sum() / both.sum() / fading_out.shape[0])
    power_in = float((both * np.square(fading_in)).sum() / both.sum() / fading_in.shape[0])
    if min(power_out, power_in) < _SILENT_POWER:
        return Crossfade(out_gain=out_gain, in_gain=in_gain, rho=None)
    common = float((both * fading_out * fading_in).sum() / both.sum() / fading_out.shape[0])
    loudest = np.sqrt(power_out * power_in)
    rho = common / loudest
    uncorrelated = np.square(out_gain) * power_out + np.square(in_gain) * power_in
    scale = np.sqrt(uncorrelated / (uncorrelated + 2.0 * both * max(rho, _MIN_RHO) * loudest))
    return Crossfade(out_gain=out_gain * scale, in_gain=in_gain * scale, rho=rho)


def level_error_db(fading_out: Block, fading_in: Block, fade: Crossfade) -> float | None:
    """Level of the joined signal over the crossfade minus the target level; None for silence."""
    progress = (np.arange(fading_out.shape[1]) + 0.5) / fading_out.shape[1]
    wanted = np.square(np.cos(0.5 * np.pi * progress) * fading_out) + np.square(
        np.sin(0.5 * np.pi * progress) * fading_in
    )
    joined = np.square(fade.out_gain * fading_out + fade.in_gain * fading_in)
    if float(wanted.mean()) < _SILENT_POWER:
        return None
    return float(10.0 * np.log10(max(float(joined.sum()), 1e-20) / float(wanted.sum())))


def best_lag_s(old: Block, read_new: Callable[[int, int], Block], start: int, *, max_s: float) -> float:
    """The delay in seconds with which to read the new signal so that its phase matches the old one's in the crossfade at ``start``.

    ``old`` ``(C, N)`` lies at ``[start, start + N)``; ``read_new(start, stop)`` gives the new one. 0 if either is silent.
    """
    reach = int(max_s * SAMPLE_RATE_HZ)
    frames = old.shape[1]
    # Margin for the filter's transients, removed afterwards.
    room = SAMPLE_RATE_HZ // 50
    new = _low_passed(read_new(start - reach - room, start + frames + reach + room))[:, room:-room]
    low = _low_passed(old)
    if reach == 0 or min(float(np.square(low).mean()), float(np.square(new).mean())) < _SILENT_POWER:
        return 0.0
    lags = np.arange(-(reach // _LAG_STEP_FRAMES), reach // _LAG_STEP_FRAMES + 1) * _LAG_STEP_FRAMES
    spans = np.lib.stride_tricks.sliding_window_view(new, frames, axis=1)[:, reach + lags]
    power = np.square(spans).sum(axis=(0, 2)) + 1e-20
    likeness = np.einsum("cn,cln->l", low, spans) / np.sqrt(power)
    # Among nearly equal lags, take the smallest.
    good = np.flatnonzero(likeness >= likeness.max() - 0.01 * abs(float(likeness.max())))
    return float(lags[good[np.abs(lags[good]).argmin()]] / SAMPLE_RATE_HZ)


def glide_s(range_s: float) -> float:
    """Time over which the lag of a seam decays in a range of this length."""
    return min(GLIDE_S, 0.5 * range_s)


def max_lag_s(stem_max_lag_s: float, range_s: float) -> float:
    """The largest lag of a seam that is not audible as a change of pitch."""
    return min(stem_max_lag_s, _MAX_SPEED_CHANGE * glide_s(range_s))


def _low_passed(block: Block) -> Block:
    from scipy.signal import butter, sosfiltfilt

    sos = butter(2, _LOW_PASS_HZ, fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfiltfilt(sos, block, axis=1), dtype=np.float64)
