"""A judge of which of two recordings is from the corpus, fitted on other songs: 0.5 means that it cannot tell.

Letters: ``V`` features, ``N`` windows, ``S`` songs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.corpus.song import Song
from training.evaluation.classifier import Features, Waveform, audio_features
from training.evaluation.diversity import windows
from training.evaluation.section import Section
from training.evaluation.takes import TRUE_AUDIO, Comparison, waveforms

_FOLDS = (
    4  # divides the number of personas, so that the judge has not heard the persona of the songs that it judges either
)
_SHRINKAGE = 0.3  # of the covariance within a class towards the identity


def judge(comparisons: Sequence[Comparison], others: Sequence[Song]) -> Section:
    """How often the judge picks the corpus out of a pair, for upper bounds, noise, takes, and other corpus songs as the null."""
    kinds: dict[str, Sequence[Waveform]] = dict(waveforms(comparisons))
    corpus = [window_features(wave) for wave in kinds.pop(TRUE_AUDIO)]
    kinds["other corpus songs"] = [song.mix for song in others[: len(comparisons)]]
    rows = []
    for name, waves in kinds.items():
        count = min(len(corpus), len(waves))
        rows.append((name, f"{pick_share(corpus[:count], [window_features(wave) for wave in waves[:count]]):.3f}"))
    return Section(
        title="Judge",
        note=(
            "Share of pairs, one window of 2 s from a held-out corpus song and one from its counterpart, in which a linear"
            f" discriminant of the classifier's audio features picks the corpus. The judge of each of {_FOLDS} folds is fitted on"
            " the songs of the other folds. 1: always told apart; 0.5: indistinguishable."
        ),
        head=("corpus against", "corpus picked"),
        rows=rows,
        goals=(),
    )


def window_features(take: Waveform) -> Features:
    """Audio features ``(N, V)`` of the 2 s windows of ``(2, T)``."""
    return np.stack([audio_features(window) for window in windows(take)])


def pick_share(corpus: Sequence[Features], counterparts: Sequence[Features]) -> float:
    """Share of pairs of windows in which the corpus' is picked; ``S`` songs and as many counterparts, each ``(N, V)``.

    NaN with fewer than two songs.
    """
    folds = np.arange(len(corpus)) % _FOLDS
    shares = []
    for fold in np.unique(folds):
        fitted = [i for i in range(len(corpus)) if folds[i] != fold]
        if not fitted:
            return float("nan")
        direction = discriminant(
            np.concatenate([corpus[i] for i in fitted]), np.concatenate([counterparts[i] for i in fitted])
        )
        for i in np.flatnonzero(folds == fold).tolist():
            difference = (corpus[i] @ direction)[:, None] - (counterparts[i] @ direction)[None, :]
            shares.append(float((difference > 0.0).mean() + 0.5 * (difference == 0.0).mean()))
    return float(np.mean(shares))


def discriminant(one: Features, other: Features) -> Features:
    """Direction ``(V,)`` along which ``one`` ``(N, V)`` lies above ``other`` ``(N, V)`` (Fisher 1936, with shrinkage)."""
    deviation = np.concatenate([one, other]).std(axis=0) + 1e-6
    a, b = one / deviation, other / deviation
    centred = np.concatenate([a - a.mean(axis=0), b - b.mean(axis=0)])
    within = (1.0 - _SHRINKAGE) * centred.T @ centred / len(centred) + _SHRINKAGE * np.eye(centred.shape[1])
    return np.asarray(np.linalg.solve(within, a.mean(axis=0) - b.mean(axis=0)) / deviation)
