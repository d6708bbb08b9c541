"""The new bounce in integers: base bounce - old stem + new stem, under a ceiling that only the new stem pays for.

Letters: ``C`` channels (2), ``T`` samples, ``N`` samples that a joint covers. Inside, levels count in units of one 24-bit integer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import FULL_SCALE, MAX_SAMPLE, MIN_SAMPLE, SAMPLE_RATE_HZ, Pcm24
from servicekit.audio.true_peak import TruePeakMeter, decibels

_MOST_LOWERED_DB = 6.0
_SEARCH_DB = 0.05
_NUDGE_DB = 0.02
_LIMITER_FRAMES = SAMPLE_RATE_HZ // 200
_LIMITER_ROUNDS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """A stem in two parts, floats of full scale 1.0, over samples ``[start, start + N)``; elsewhere it is the old stem.

    ``kept`` ``(C, N)`` is what stays of the old stem under the crossfades, ``added`` ``(C, N)`` the new one, which alone
    a gain changes.
    """

    start: int
    kept: NDArray[np.float64]
    added: NDArray[np.float64]

    @property
    def window(self) -> slice:
        """The samples that it covers."""
        return slice(self.start, self.start + self.added.shape[1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Replaced:
    """Stem and bounce ``(C, T)`` of the new version, and what keeping them under the ceiling took."""

    stem: Pcm24
    bounce: Pcm24
    lowered_db: float
    limited_samples: int


def replace_stem(bounce: Pcm24, old: Pcm24, joint: Joint, *, ceiling_dbtp: float | None) -> Replaced:
    """Put the joint in the old stem's place.

    ``ceiling_dbtp`` is the true peak that the bounce may have, None for full scale only. Where the bounce or the stem would pass,
    the added part's gain is lowered, by 6 dB at most. What then still passes comes from what is kept: there the bounce is limited
    over 5 ms, and the new stem carries the difference. Outside the joint neither stem nor bounce changes by one bit.
    """
    window = joint.window
    rest = bounce[:, window].astype(np.int64) - old[:, window]
    lowered_db = 0.0
    stem = _integers(joint, 0.0)
    if not _fits(rest, stem, ceiling_dbtp):
        lowered_db = _lowest_that_fits(rest, joint, ceiling_dbtp)
        stem = _integers(joint, lowered_db)
    limited, changed = _limited(rest, stem, ceiling_dbtp)
    new = old.copy()
    new[:, window] = limited
    whole = bounce.copy()
    whole[:, window] = rest + limited
    return Replaced(stem=new, bounce=whole, lowered_db=round(lowered_db, 2), limited_samples=changed)


def _integers(joint: Joint, gain_db: float) -> NDArray[np.int64]:
    samples: NDArray[np.int64] = np.rint((joint.kept + joint.added * 10.0 ** (gain_db / 20.0)) * FULL_SCALE).astype(
        np.int64
    )
    return samples


def _fits(rest: NDArray[np.int64], stem: NDArray[np.int64], ceiling_dbtp: float | None) -> bool:
    held = _held(stem).all() and _held(rest + stem).all()
    return bool(held) and _over_db(rest + stem, ceiling_dbtp) <= 0.0


def _held(samples: NDArray[np.int64]) -> NDArray[np.bool_]:
    held: NDArray[np.bool_] = (samples >= MIN_SAMPLE) & (samples <= MAX_SAMPLE)
    return held


def _over_db(bounce: NDArray[np.int64], ceiling_dbtp: float | None) -> float:
    """How far the true peak passes the ceiling in dB."""
    if ceiling_dbtp is None:
        return 0.0
    meter = TruePeakMeter()
    meter.add(bounce.astype(np.int32))
    peak_dbtp = decibels(meter.peak())
    return -np.inf if peak_dbtp is None else peak_dbtp - ceiling_dbtp


def _lowest_that_fits(rest: NDArray[np.int64], joint: Joint, ceiling_dbtp: float | None) -> float:
    """The gain in dB nearest to 0 with which all fits, or -6 where none does: the peak does not rise as the gain falls."""
    fails, fits = 0.0, -_MOST_LOWERED_DB
    if not _fits(rest, _integers(joint, fits), ceiling_dbtp):
        return fits
    while fails - fits > _SEARCH_DB:
        middle = 0.5 * (fails + fits)
        if _fits(rest, _integers(joint, middle), ceiling_dbtp):
            fits = middle
        else:
            fails = middle
    return fits


def _limited(
    rest: NDArray[np.int64], stem: NDArray[np.int64], ceiling_dbtp: float | None
) -> tuple[NDArray[np.int64], int]:
    """The stem with what would pass the ceiling taken out of it, and in how many samples it changed."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d

    if _fits(rest, stem, ceiling_dbtp):
        return stem, 0
    # One unit of room for rounding.
    ceiling = MAX_SAMPLE - 1.0 if ceiling_dbtp is None else 10.0 ** (ceiling_dbtp / 20.0) * FULL_SCALE
    limited = stem
    for _ in range(_LIMITER_ROUNDS):
        bounce = rest + stem
        needed = np.minimum(ceiling / np.maximum(np.abs(bounce).max(axis=0), 1.0), 1.0)
        gain = uniform_filter1d(minimum_filter1d(needed, 2 * _LIMITER_FRAMES + 1), _LIMITER_FRAMES)
        # Where even the stem alone would pass full scale it is held there.
        limited = np.clip(
            np.where(gain < 1.0, np.rint(bounce * gain).astype(np.int64) - rest, stem), MIN_SAMPLE, MAX_SAMPLE
        )
        over_db = _over_db(rest + limited, ceiling_dbtp)
        if over_db <= 0.0:
            break
        ceiling *= 10.0 ** (-(over_db + _NUDGE_DB) / 20.0)
    return limited, int(np.count_nonzero((limited != stem).any(axis=0)))
