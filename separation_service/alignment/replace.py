"""The new bounce in integers: base bounce - old stem + new stem.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import FULL_SCALE, Pcm24


@dataclass(frozen=True, kw_only=True, eq=False)
class Joint:
    """A stem in two parts, floats of full scale 1.0, over samples ``[start, start + N)``; elsewhere it is the old stem.

    ``kept`` ``(C, N)`` is what stays of the old stem under the crossfades, ``added`` ``(C, N)`` the new one, which alone
    a gain changes.
    """

    start: int
    kept: NDArray[np.float64]
    added: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Replaced:
    """Stem and bounce ``(C, T)`` of the new version, and what keeping them under the ceiling took."""

    stem: Pcm24
    bounce: Pcm24
    lowered_db: float
    limited_samples: int


def replace_stem(bounce: Pcm24, old: Pcm24, joint: Joint, *, ceiling_dbtp: float | None) -> Replaced:
    """Put the joint in the old stem's place.

    ``ceiling_dbtp`` is the true peak that the bounce may have, None for full scale only.
    """
    _ = ceiling_dbtp
    stem = old.copy()
    window = slice(joint.start, joint.start + joint.added.shape[1])
    stem[:, window] = np.rint((joint.kept + joint.added) * FULL_SCALE)
    return Replaced(stem=stem, bounce=bounce - old + stem, lowered_db=0.0, limited_samples=0)
