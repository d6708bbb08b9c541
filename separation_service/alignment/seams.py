"""Crossfades at bar lines, in phase and at a level that holds. Letters: ``C`` channels (2), ``N`` samples of a crossfade.

Both lie inside the bars that are replaced. The closing one ends a little before its line, so that the downbeat after it is wholly
the old stem's; the opening one begins at its line and is so short that the downbeat is the new stem's all the same.
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
MOST_LAG_S = 0.005
MOST_LAG_OF_DRUMS_S = 0.001
GLIDE_S = 2.0
"""Over so long the lag of a seam dies away: 5 ms in 2 s are 0.25 % of speed."""
_MOST_SPEED = 0.003
_LOW_PASS_HZ = 500.0
_LAG_STEP_FRAMES = 8
_LOWEST_RHO = -0.5  # below it the law would lift both by 3 dB and more
_SILENT_POWER = 1e-9

Block = NDArray[np.float64]
"""``(C, N)``, full scale 1.0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Crossfade:
    """Gains ``(N,)`` of what fades out and of what fades in; ``rho`` what the two have in common, None where either is silent."""

    out_gain: NDArray[np.float64]
    in_gain: NDArray[np.float64]
    rho: float | None


def crossfade(fading_out: Block, fading_in: Block) -> Crossfade:
    """Gains that hold the level.

    Cosine and sine, scaled so that the power is that of two sounds with nothing in common: for equal levels
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
    apart = np.square(out_gain) * power_out + np.square(in_gain) * power_in
    scale = np.sqrt(apart / (apart + 2.0 * both * max(rho, _LOWEST_RHO) * loudest))
    return Crossfade(out_gain=out_gain * scale, in_gain=in_gain * scale, rho=rho)


def level_error_db(fading_out: Block, fading_in: Block, fade: Crossfade) -> float | None:
    """The level of the joined sound over the crossfade, less what was to be held; None for silence."""
    progress = (np.arange(fading_out.shape[1]) + 0.5) / fading_out.shape[1]
    wanted = np.square(np.cos(0.5 * np.pi * progress) * fading_out) + np.square(
        np.sin(0.5 * np.pi * progress) * fading_in
    )
    joined = np.square(fade.out_gain * fading_out + fade.in_gain * fading_in)
    if float(wanted.mean()) < _SILENT_POWER:
        return None
    return float(10.0 * np.log10(max(float(joined.sum()), 1e-20) / float(wanted.sum())))


def best_lag_s(old: Block, read_new: Callable[[int, int], Block], start: int, *, most_s: float) -> float:
    """How far the new sound should be read later, in seconds, to meet the old one's phase in the crossfade at ``start``.

    ``old`` ``(C, N)`` lies at ``[start, start + N)``; ``read_new(start, stop)`` gives the new one. 0 where either is silent.
    """
    reach = int(most_s * SAMPLE_RATE_HZ)
    frames = old.shape[1]
    # The filter needs some room to settle, which is cut off again.
    room = SAMPLE_RATE_HZ // 50
    new = _low_passed(read_new(start - reach - room, start + frames + reach + room))[:, room:-room]
    low = _low_passed(old)
    if reach == 0 or min(float(np.square(low).mean()), float(np.square(new).mean())) < _SILENT_POWER:
        return 0.0
    lags = np.arange(-(reach // _LAG_STEP_FRAMES), reach // _LAG_STEP_FRAMES + 1) * _LAG_STEP_FRAMES
    spans = np.lib.stride_tricks.sliding_window_view(new, frames, axis=1)[:, reach + lags]
    power = np.square(spans).sum(axis=(0, 2)) + 1e-20
    likeness = np.einsum("cn,cln->l", low, spans) / np.sqrt(power)
    # Of lags that are as good as the best, the smallest moves least.
    good = np.flatnonzero(likeness >= likeness.max() - 0.01 * abs(float(likeness.max())))
    return float(lags[good[np.abs(lags[good]).argmin()]] / SAMPLE_RATE_HZ)


def glide_s(region_s: float) -> float:
    """Over how long the lag of a seam dies away in a region of this length."""
    return min(GLIDE_S, 0.5 * region_s)


def most_lag_s(kind_most_s: float, region_s: float) -> float:
    """The lag that a seam of the region may have without being heard as a change of pitch."""
    return min(kind_most_s, _MOST_SPEED * glide_s(region_s))


def _low_passed(block: Block) -> Block:
    from scipy.signal import butter, sosfiltfilt

    sos = butter(2, _LOW_PASS_HZ, fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfiltfilt(sos, block, axis=1), dtype=np.float64)
