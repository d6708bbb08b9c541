"""Quality of a separator on held-out songs, each figure next to its null: the mixture as the estimate.

SI-SDR as in Le Roux et al. 2019, over both channels together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.engine import Separator
from servicekit.delivery.names import STEMS, StemName
from training.corpus.store import StoredSong

_SILENT_DBFS = -80.0


@dataclass(frozen=True, kw_only=True)
class StemFigures:
    """Medians in dB over the songs in which the stem sounds; ``leakage_db`` over those in which it is silent."""

    stem: StemName
    songs: int
    si_sdr_db: float
    mixture_si_sdr_db: float
    leakage_db: float | None

    @property
    def improvement_db(self) -> float:
        """SI-SDR minus the mixture's."""
        return self.si_sdr_db - self.mixture_si_sdr_db


def si_sdr_db(estimate: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Scale-invariant signal-to-distortion ratio of two ``(C, T)``, in dB."""
    e, t = estimate.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    target = (np.dot(e, t) / np.dot(t, t)) * t
    return float(10.0 * np.log10(np.dot(target, target) / (np.dot(e - target, e - target) + 1e-20)))


def measure(separator: Separator, songs: Iterable[StoredSong]) -> list[StemFigures]:
    """Separate each song and compare it with the true stems. In the order of :data:`STEMS`."""
    separated: dict[StemName, list[float]] = {stem: [] for stem in STEMS}
    mixture: dict[StemName, list[float]] = {stem: [] for stem in STEMS}
    leakage: dict[StemName, list[float]] = {stem: [] for stem in STEMS}
    for song in songs:
        truth = song.crop(0, song.stems.shape[-1])
        mix = truth.sum(0)
        for stem, estimate, stem_truth in zip(STEMS, separator.separate(mix, _ignore_progress), truth, strict=True):
            if _level_db(stem_truth) < _SILENT_DBFS:
                leakage[stem].append(_level_db(estimate) - _level_db(mix))
            else:
                separated[stem].append(si_sdr_db(estimate, stem_truth))
                mixture[stem].append(si_sdr_db(mix, stem_truth))
    return [
        StemFigures(
            stem=stem,
            songs=len(separated[stem]),
            si_sdr_db=_median(separated[stem]),
            mixture_si_sdr_db=_median(mixture[stem]),
            leakage_db=_median(leakage[stem]) if leakage[stem] else None,
        )
        for stem in STEMS
    ]


def _median(values: list[float]) -> float:
    """NaN if there are no values."""
    return float(np.median(values)) if values else float("nan")


def _level_db(audio: NDArray[np.float32]) -> float:
    return float(10.0 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


def _ignore_progress(done: int, total: int) -> None:
    """Progress is not shown."""
