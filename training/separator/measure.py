"""Quality of a separator on held-out songs, each figure next to its null: the mixture as the estimate.

SI-SDR as in Le Roux et al. 2019, over both channels together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.engine import Separator
from servicekit.delivery.names import STEMS, StemName
from training.corpus.soundfont import SAMPLE_RATE_HZ
from training.corpus.store import StoredSong

TREBLE_HZ = 6000.0
_SILENT_DBFS = -80.0


@dataclass(frozen=True, kw_only=True)
class Treble:
    """Energy above 6 kHz in dB of the true stem's.

    ``level_db``: of the estimate, 0 if it has as much. ``error_db``: of the estimate minus the truth, 0 if it has none at all.
    """

    level_db: float
    error_db: float


@dataclass(frozen=True, kw_only=True)
class StemFigures:
    """Medians in dB over the songs in which the stem sounds; ``leakage_db`` over those in which it is silent.

    ``mixture_...`` are the nulls. Leakage is relative to the mix, so its null is 0.
    """

    stem: StemName
    songs: int
    si_sdr_db: float
    mixture_si_sdr_db: float
    leakage_db: float | None
    treble: Treble
    mixture_treble: Treble

    @property
    def improvement_db(self) -> float:
        """SI-SDR minus the mixture's."""
        return self.si_sdr_db - self.mixture_si_sdr_db


@dataclass(frozen=True, kw_only=True)
class FigureTable:
    """Figures of one separator on one set of songs, in the order of :data:`STEMS`."""

    title: str
    rows: Sequence[StemFigures]


def si_sdr_db(estimate: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Scale-invariant signal-to-distortion ratio of two ``(C, T)``, in dB."""
    e, t = estimate.astype(np.float64).ravel(), truth.astype(np.float64).ravel()
    target = (np.dot(e, t) / np.dot(t, t)) * t
    return float(10.0 * np.log10(np.dot(target, target) / (np.dot(e - target, e - target) + 1e-20)))


def treble(estimate: NDArray[np.float32], truth: NDArray[np.float32]) -> Treble:
    """Compare the treble of two ``(C, T)``."""
    of_truth = _treble_energy(truth)
    ratios = (_treble_energy(estimate) / of_truth, _treble_energy(estimate - truth) / of_truth)
    level_db, error_db = (float(10.0 * np.log10(ratio + 1e-20)) for ratio in ratios)
    return Treble(level_db=level_db, error_db=error_db)


def measure(separator: Separator, songs: Iterable[StoredSong]) -> list[StemFigures]:
    """Separate each song and compare it with the true stems. In the order of :data:`STEMS`."""
    found: dict[StemName, _Found] = {stem: _Found() for stem in STEMS}
    for song in songs:
        truth = song.crop(0, song.stems.shape[-1])
        mix = truth.sum(0)
        for stem, estimate, stem_truth in zip(STEMS, separator.separate(mix, _ignore_progress), truth, strict=True):
            found[stem].add(estimate, stem_truth, mix)
    return [found[stem].figures(stem) for stem in STEMS]


class _Found:
    """The figures of one stem, song by song."""

    def __init__(self) -> None:
        self.si_sdr: list[tuple[float, float]] = []  # of the estimate, of the mixture
        self.treble: list[tuple[Treble, Treble]] = []
        self.leakage: list[float] = []

    def add(self, estimate: NDArray[np.float32], truth: NDArray[np.float32], mix: NDArray[np.float32]) -> None:
        if _level_db(truth) < _SILENT_DBFS:
            self.leakage.append(_level_db(estimate) - _level_db(mix))
        else:
            self.si_sdr.append((si_sdr_db(estimate, truth), si_sdr_db(mix, truth)))
            self.treble.append((treble(estimate, truth), treble(mix, truth)))

    def figures(self, stem: StemName) -> StemFigures:
        return StemFigures(
            stem=stem,
            songs=len(self.si_sdr),
            si_sdr_db=_median([own for own, _ in self.si_sdr]),
            mixture_si_sdr_db=_median([null for _, null in self.si_sdr]),
            leakage_db=_median(self.leakage) if self.leakage else None,
            treble=_median_treble([own for own, _ in self.treble]),
            mixture_treble=_median_treble([null for _, null in self.treble]),
        )


def _median_treble(values: Sequence[Treble]) -> Treble:
    return Treble(
        level_db=_median([one.level_db for one in values]), error_db=_median([one.error_db for one in values])
    )


def _median(values: Sequence[float]) -> float:
    """NaN if there are no values."""
    return float(np.median(values)) if values else float("nan")


def _level_db(audio: NDArray[np.float32]) -> float:
    return float(10.0 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20))


def _treble_energy(audio: NDArray[np.float32]) -> float:
    spectrum = np.fft.rfft(audio)[:, round(TREBLE_HZ * audio.shape[-1] / SAMPLE_RATE_HZ) :]
    return float(np.square(np.abs(spectrum)).sum()) + 1e-12


def _ignore_progress(done: int, total: int) -> None:
    """Progress is not shown."""
