"""How much takes of one persona differ, and how far takes are from the corpus.

Letters: ``T`` samples, ``V`` features, ``N`` clips.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from training.corpus.song import Song
from training.evaluation.classifier import RATE_HZ, Features, PersonaClassifier, Waveform
from training.evaluation.section import Goal, Section
from training.evaluation.takes import TAKES, TRUE_AUDIO, Comparison, waveforms

_FRECHET_DIRECTIONS = 16


def diversity(classifier: PersonaClassifier, comparisons: Sequence[Comparison], others: Sequence[Song]) -> Section:
    """Diversity within a persona, and the Fréchet distance to other corpus songs next to that of corpus songs themselves."""
    groups = [comparison.persona for comparison in comparisons]
    audio = waveforms(comparisons)
    within = {
        name: mean_distance([classifier.standardise(wave) for wave in waves], groups) for name, waves in audio.items()
    }
    reference = _window_features(classifier, [song.mix for song in others])
    distance = {
        name: frechet_distance(_window_features(classifier, waves), reference, basis=reference)
        for name, waves in audio.items()
    }
    true = _window_features(classifier, audio[TRUE_AUDIO])
    from_songs = {
        name: frechet_distance(_window_features(classifier, waves), true, basis=true) for name, waves in audio.items()
    }
    lower_bound = distance[TRUE_AUDIO]
    return Section(
        title="Diversity and distance",
        note=(
            "Mean distance between the features of two songs of one persona with different seeds, captions and keys; and the"
            f" Fréchet distance of 2 s windows to those of {len(others)} other held-out songs, for which true audio is the lower"
            " bound, and to those of the same songs, on 16 principal directions of standardised features."
        ),
        head=("", "distance within a persona", "Fréchet distance", "to the same songs"),
        rows=[(name, f"{within[name]:.2f}", f"{distance[name]:.1f}", f"{from_songs[name]:.1f}") for name in audio],
        goals=(
            Goal(name="diversity, share of the corpus'", value=within[TAKES] / within[TRUE_AUDIO], target=0.5),
            Goal(
                name="Fréchet distance, times the lower bound",
                value=distance[TAKES] / lower_bound,
                target=3.0,
                at_most=True,
            ),
            Goal(name="Fréchet distance to the same songs", value=from_songs[TAKES], target=25.0, at_most=True),
        ),
    )


def _window_features(classifier: PersonaClassifier, waves: Sequence[Waveform]) -> Features:
    return np.stack([classifier.standardise(window) for wave in waves for window in windows(wave)])


def windows(take: Waveform, *, seconds: float = 2.0) -> Iterator[Waveform]:
    """Consecutive windows of a take; a shorter rest is dropped."""
    size = round(seconds * RATE_HZ)
    for start in range(0, take.shape[1] - size + 1, size):
        yield take[:, start : start + size]


def mean_distance(points: Sequence[Features], groups: Sequence[object]) -> float:
    """Mean distance between points of the same group; NaN if no group has two."""
    pairs = [
        float(np.linalg.norm(points[i] - points[j]))
        for i in range(len(points))
        for j in range(i)
        if groups[i] == groups[j]
    ]
    return float(np.mean(pairs)) if pairs else float("nan")


def frechet_distance(one: Features, other: Features, *, basis: Features) -> float:
    """Distance of Gaussians fitted to two sets ``(N, V)``, on the first principal directions of ``basis`` ``(N, V)``."""
    _, _, rows = np.linalg.svd(basis - basis.mean(axis=0), full_matrices=False)
    directions = rows[: min(_FRECHET_DIRECTIONS, len(rows))].T
    a, b = one @ directions, other @ directions
    first, second = np.cov(a.T), np.cov(b.T)
    root = _square_root(first)
    spread = np.trace(first + second) - 2.0 * np.trace(_square_root(root @ second @ root))
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + max(spread, 0.0))


def _square_root(covariance: Features) -> Features:
    """Square root of a symmetric matrix; negative eigenvalues, which are rounding errors, count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)
