"""The new bounce in integers: base bounce - old stem + new stem, within a true-peak limit; only the new stem is reduced for it.

Letters: ``C`` channels (2), ``T`` samples, ``N`` samples of a joint. Samples are in units of one 24-bit step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE, SAMPLE_RATE_HZ, Pcm24
from servicekit.audio.true_peak import TruePeakMeter, decibels

_MAX_REDUCTION_DB = 6.0
_SEARCH_DB = 0.05
_NUDGE_DB = 0.02
_LIMITER_FRAMES = SAMPLE_RATE_HZ // 200
_LIMITER_ROUNDS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """The parts of a stem over samples ``[start, start + N)``, full scale 1.0; elsewhere the stem is the old one.

    ``kept`` ``(C, N)`` is the old stem under the crossfades, ``added`` ``(C, N)`` the new one; gain applies to ``added`` only.
    """

    start: int
    kept: NDArray[np.float64]
    added: NDArray[np.float64]

    @property
    def window(self) -> slice:
        """The samples that the joint covers."""
        return slice(self.start, self.start + self.added.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class SplicedStem:
    """Stem and bounce ``(C, T)`` of the new version, the gain reduction, and the number of limited samples."""

    stem: Pcm24
    bounce: Pcm24
    lowered_db: float
    limited_samples: int


def splice_stem(
    bounce: Pcm24, old: Pcm24, joint: Joint, *, max_true_peak_dbtp: float | None, max_limiting_db: float = 0.0
) -> SplicedStem:
    """Replace the old stem by the joint.

    ``max_true_peak_dbtp`` limits the bounce's true peak; None: full scale only. If bounce or stem would exceed it, the gain of the
    added part is reduced, by 6 dB at most. If the kept part still exceeds it, the bounce is limited over 5 ms there, and the new
    stem carries the difference. Peaks of at most ``max_limiting_db`` above the limit are limited like that at once, without a gain.
    Outside the joint, stem and bounce do not change.
    """
    window = joint.window
    rest = bounce[:, window].astype(np.int64) - old[:, window]
    lowered_db = 0.0
    stem = _integers(joint, 0.0)
    if not _fits(rest, stem, max_true_peak_dbtp, max_limiting_db):
        lowered_db = _search_reduction_db(rest, joint, max_true_peak_dbtp, max_limiting_db)
        stem = _integers(joint, lowered_db)
    limited, changed = _limited(rest, stem, max_true_peak_dbtp)
    new = old.copy()
    new[:, window] = limited
    whole = bounce.copy()
    whole[:, window] = rest + limited
    return SplicedStem(stem=new, bounce=whole, lowered_db=round(lowered_db, 2), limited_samples=changed)


def _integers(joint: Joint, gain_db: float) -> NDArray[np.int64]:
    samples: NDArray[np.int64] = np.rint((joint.kept + joint.added * 10.0 ** (gain_db / 20.0)) * FULL_SCALE).astype(
        np.int64
    )
    return samples


def _fits(
    rest: NDArray[np.int64], stem: NDArray[np.int64], max_true_peak_dbtp: float | None, limiting_db: float = 0.0
) -> bool:
    """Whether stem and bounce are within their limits, once the bounce is limited by ``limiting_db``."""
    held = _in_range(stem).all() and (limiting_db > 0.0 or _in_range(rest + stem).all())
    return bool(held) and _excess_db(rest + stem, max_true_peak_dbtp) <= limiting_db


def _in_range(samples: NDArray[np.int64]) -> NDArray[np.bool_]:
    held: NDArray[np.bool_] = (samples >= MIN_SAMPLE) & (samples <= MAX_SAMPLE)
    return held


def _excess_db(bounce: NDArray[np.int64], max_true_peak_dbtp: float | None) -> float:
    """True peak above the limit in dB; negative below it."""
    if max_true_peak_dbtp is None:
        return 0.0
    meter = TruePeakMeter()
    meter.add(bounce.astype(np.int32))
    peak_dbtp = decibels(meter.peak())
    return -np.inf if peak_dbtp is None else peak_dbtp - max_true_peak_dbtp


def _search_reduction_db(
    rest: NDArray[np.int64], joint: Joint, max_true_peak_dbtp: float | None, limiting_db: float
) -> float:
    """The gain in dB nearest to 0 that fits, or -6 if none does. Bisection: the peak does not rise as the gain falls."""
    fails, fits = 0.0, -_MAX_REDUCTION_DB
    if not _fits(rest, _integers(joint, fits), max_true_peak_dbtp, limiting_db):
        return fits
    while fails - fits > _SEARCH_DB:
        middle = 0.5 * (fails + fits)
        if _fits(rest, _integers(joint, middle), max_true_peak_dbtp, limiting_db):
            fits = middle
        else:
            fails = middle
    return fits


def _limited(
    rest: NDArray[np.int64], stem: NDArray[np.int64], max_true_peak_dbtp: float | None
) -> tuple[NDArray[np.int64], int]:
    """The stem, limited so that the bounce stays within the limit, and the number of samples that changed."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    if _fits(rest, stem, max_true_peak_dbtp):
        return stem, 0
    # One step of headroom for rounding.
    limit = MAX_SAMPLE - 1.0 if max_true_peak_dbtp is None else 10.0 ** (max_true_peak_dbtp / 20.0) * FULL_SCALE
    limited = stem
    for _ in range(_LIMITER_ROUNDS):
        bounce = rest + stem
        needed = np.minimum(limit / np.maximum(np.abs(bounce).max(axis=0), 1.0), 1.0)
        gain = uniform_filter1d(minimum_filter1d(needed, 2 * _LIMITER_FRAMES + 1), _LIMITER_FRAMES)
        # Clip where the stem alone would exceed full scale.
        limited = np.clip(
            np.where(gain < 1.0, np.rint(bounce * gain).astype(np.int64) - rest, stem), MIN_SAMPLE, MAX_SAMPLE
        )
        over_db = _excess_db(rest + limited, max_true_peak_dbtp)
        if over_db <= 0.0:
            break
        limit *= 10.0 ** (-(over_db + _NUDGE_DB) / 20.0)
    return limited, int(np.count_nonzero((limited != stem).any(axis=0)))
