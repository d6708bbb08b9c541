"""What a new stem is aligned with.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.grid import BarRange, Grid
from separation_service.alignment.key import Key
from separation_service.alignment.timing import StemNotes
from servicekit.audio.pcm24 import Pcm24
from servicekit.delivery.names import STEMS, StemName

_MAX_LIMITING_DB = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseTake:
    """The audio of the base version: ``bounce`` ``(C, T)`` and ``stems`` ``(4, C, T)`` int32, of which ``stem`` is replaced.

    ``is_original``: that stem is version 1's, separated from the bounce that was rendered first.
    """

    bounce: Pcm24
    stems: NDArray[np.int32]
    stem: StemName
    is_original: bool = True

    @property
    def old(self) -> Pcm24:
        """The stem to be replaced."""
        return self.of(self.stem)

    def of(self, name: StemName) -> Pcm24:
        """The stem called ``name``."""
        pcm: Pcm24 = self.stems[STEMS.index(name)]
        return pcm


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignmentTarget:
    """Base version, and the original's grid and key; ``key`` is None where it is unknown, ``region`` None for the whole take.

    ``notes`` that the new stem plays, None where they are unknown. ``match_mix``: the bounce keeps its loudness and third octaves
    too, not only the stem its loudness; ``prefer_new_sound``: with as little change of the new sound as that allows.
    ``max_true_peak_dbtp`` limits the new bounce; None: full scale. ``loop``: the take's end leads into its start.
    """

    base: BaseTake
    grid: Grid
    key: Key | None
    region: BarRange | None
    allow_drift: bool
    match_mix: bool
    max_true_peak_dbtp: float | None
    notes: StemNotes | None = None
    loop: bool = False
    prefer_new_sound: bool = False

    @property
    def max_limiting_db(self) -> float:
        """How far peaks of the new bounce are limited before the new stem's gain is lowered.

        A bounce that was limited itself has no headroom: one new peak would cost the whole stem its loudness.
        """
        return _MAX_LIMITING_DB if self.match_mix and self.max_true_peak_dbtp is not None else 0.0
