"""An ear apart from the renderer's: a fixed description of sound, and a linear classifier of personas on it.

It shares neither front end nor weights with the renderer's own persona encoder, so that the renderer is not its own judge.
Letters: ``T`` samples, ``V`` values of a description, ``N`` clips, ``P`` principal directions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from training.corpus.builtin_personas import personas
from training.corpus.compose import REFERENCE_SEEDS, compose
from training.corpus.persona import random_persona
from training.corpus.song import perform

Values = NDArray[np.float64]
Waveform = NDArray[np.float32]

RATE_HZ = 44100
CLIP_S = 6.0
_BANDS = 48
_COEFFICIENTS = 20
_LAGS = 12
_SHRINKAGE = 0.1  # of the within-class covariance towards its diagonal
_FIRST_SEED = REFERENCE_SEEDS[50_000_000]  # beyond the reference clips; no training uses these
_STRANGERS_STREAM = 7_003
_FRECHET_DIRECTIONS = 16


def describe(take: Waveform) -> Values:
    """``(2, T)`` to ``(V,)``: level, shape and movement of the spectrum, stereo width, and how onsets repeat."""
    middle, side = take.mean(axis=0), 0.5 * (take[0] - take[1])
    mel = librosa.feature.melspectrogram(y=middle, sr=RATE_HZ, n_fft=2048, hop_length=1024, n_mels=_BANDS, fmin=30.0)
    side_mel = librosa.feature.melspectrogram(y=side, sr=RATE_HZ, n_fft=2048, hop_length=1024, n_mels=_BANDS, fmin=30.0)
    scale = max(float(mel.mean()), 1e-12)
    log_mel, log_side = np.log(mel / scale + 1e-4), np.log(side_mel / scale + 1e-4)
    cepstrum = librosa.feature.mfcc(S=log_mel, n_mfcc=_COEFFICIENTS)
    flux = np.clip(np.diff(log_mel, axis=1), 0.0, None)
    onset = flux.mean(axis=0) - flux.mean()
    again = np.array([float((onset[lag:] * onset[:-lag]).mean()) for lag in range(4, 4 + 2 * _LAGS, 2)])
    return np.concatenate(
        [
            log_mel.mean(axis=1),
            log_mel.std(axis=1),
            log_side.mean(axis=1)[::2],
            cepstrum.std(axis=1),
            flux.mean(axis=1)[::4],
            again / max(float(np.square(onset).mean()), 1e-9),
        ]
    ).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Linear discriminants over descriptions, fitted on corpus clips of the named personas and of strangers.

    ``mean`` and ``deviation`` ``(V,)`` of descriptions; ``directions`` ``(V, P)``; ``centres`` ``(12, P)`` of the named.
    """

    mean: Values
    deviation: Values
    directions: Values
    centres: Values

    def place(self, take: Waveform) -> Values:
        """Where a take lies among personas. ``(2, T) -> (P,)``, within-persona deviation about 1."""
        return self.place_described(describe(take))

    def place_described(self, description: Values) -> Values:
        """The same of a description that is there already. ``(V,) -> (P,)``."""
        placed: Values = ((description - self.mean) / self.deviation) @ self.directions
        return placed

    def standardised(self, take: Waveform) -> Values:
        """The description itself, each value in deviations of the corpus. ``(2, T) -> (V,)``."""
        return np.asarray((describe(take) - self.mean) / self.deviation)

    def persona(self, take: Waveform) -> int:
        """The number of the named persona whose centre is nearest."""
        return int(np.square(self.centres - self.place(take)).sum(axis=1).argmin())


def fit_judge(*, clips_each: int, strangers: int, kept: Path | None = None) -> Judge:
    """Fit on ``clips_each`` clips of 6 s of each named persona and of each of so many strangers.

    ``kept``: an ``.npz`` to read the judge from where it is there, and to write it to where it is not.
    """
    if kept is not None and kept.is_file():
        with np.load(kept) as stored:
            return Judge(**{name: stored[name] for name in Judge.__dataclass_fields__})
    judge = judge_from(*_clips(clips_each, strangers))
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, **{name: getattr(judge, name) for name in Judge.__dataclass_fields__})
    return judge


def stranger_audio(number: int, clip: int) -> Waveform:
    """A clip by one of the judge's strangers, whom neither training nor the rest of the evaluation knows."""
    who = random_persona(np.random.default_rng([_STRANGERS_STREAM, number]), id=f"stranger-{number}")
    return perform(compose(_FIRST_SEED + 1_000_000 + 1000 * number + clip, seconds=CLIP_S, persona=who)).mix


def _clips(each: int, strangers: int) -> tuple[Values, NDArray[np.intp]]:
    described, labels = [], []
    for number, persona in enumerate(personas()):
        for clip in range(each):
            song = perform(compose(_FIRST_SEED + 1000 * number + clip, seconds=CLIP_S, persona=persona))
            described.append(describe(song.mix))
            labels.append(number)
    for number in range(strangers):
        for clip in range(each):
            described.append(describe(stranger_audio(number, clip)))
            labels.append(len(personas()) + number)
    return np.stack(described), np.array(labels)


def judge_from(described: Values, labels: NDArray[np.intp]) -> Judge:
    """Fit on descriptions ``(N, V)`` with the number of the persona of each ``(N,)``; the first twelve are the named."""
    mean, deviation = described.mean(axis=0), described.std(axis=0) + 1e-6
    x = (described - mean) / deviation
    centres = np.stack([x[labels == label].mean(axis=0) for label in np.unique(labels)])
    scatter = x - centres[np.searchsorted(np.unique(labels), labels)]
    within = scatter.T @ scatter / len(x)
    within = (1.0 - _SHRINKAGE) * within + _SHRINKAGE * np.eye(len(within)) * np.trace(within) / len(within)
    between = np.cov(centres.T)
    count = min(24, len(centres) - 1)
    _, vectors = eigh(between, within, subset_by_index=[len(within) - count, len(within) - 1])
    return Judge(mean=mean, deviation=deviation, directions=vectors, centres=(centres @ vectors)[: len(personas())])


def frechet_distance(one: Values, other: Values, *, basis: Values) -> float:
    """Between Gaussians fitted to two sets ``(N, V)``, on the first principal directions of ``basis`` ``(N, V)``."""
    _, _, rows = np.linalg.svd(basis - basis.mean(axis=0), full_matrices=False)
    directions = rows[: min(_FRECHET_DIRECTIONS, len(rows))].T
    a, b = one @ directions, other @ directions
    first, second = np.cov(a.T), np.cov(b.T)
    root = _square_root(first)
    spread = np.trace(first + second) - 2.0 * np.trace(_square_root(root @ second @ root))
    return float(np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + max(spread, 0.0))


def _square_root(covariance: Values) -> Values:
    """Of a symmetric matrix without negative eigenvalues, however few samples it comes from."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T)


def windows(take: Waveform, *, seconds: float = 2.0) -> Iterator[Waveform]:
    """Pieces of a take, one after another, the rest left out."""
    size = round(seconds * RATE_HZ)
    for start in range(0, take.shape[1] - size + 1, size):
        yield take[:, start : start + size]


def mean_distance(points: Sequence[Values], groups: Sequence[object]) -> float:
    """Mean distance between points of one group; NaN where no group has two."""
    pairs = [
        float(np.linalg.norm(points[i] - points[j]))
        for i in range(len(points))
        for j in range(i)
        if groups[i] == groups[j]
    ]
    return float(np.mean(pairs)) if pairs else float("nan")
