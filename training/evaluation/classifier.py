"""A persona classifier that is independent of the renderer: fixed audio features and linear discriminants on them.

It shares neither front end nor weights with the renderer's persona encoder, so the renderer does not grade itself.
Letters: ``T`` samples, ``V`` features, ``N`` clips, ``P`` discriminants.
"""

from __future__ import annotations

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

Features = NDArray[np.float64]
Waveform = NDArray[np.float32]

RATE_HZ = 44100
CLIP_S = 6.0
_BANDS = 48
_COEFFICIENTS = 20
_LAGS = 12
_MAX_DISCRIMINANTS = 24
_SHRINKAGE = 0.1  # of the within-class covariance towards a multiple of the identity
_FIRST_SEED = REFERENCE_SEEDS[50_000_000]  # above the seeds of persona clips
_UNSEEN_STREAM = 7_003


def audio_features(take: Waveform) -> Features:
    """Features ``(V,)`` of ``(2, T)``: level, shape and movement of the spectrum, stereo width, periodicity of onsets.

    They hardly depend on the overall level.
    """
    middle, side = take.mean(axis=0), 0.5 * (take[0] - take[1])
    mel = librosa.feature.melspectrogram(y=middle, sr=RATE_HZ, n_fft=2048, hop_length=1024, n_mels=_BANDS, fmin=30.0)
    side_mel = librosa.feature.melspectrogram(y=side, sr=RATE_HZ, n_fft=2048, hop_length=1024, n_mels=_BANDS, fmin=30.0)
    scale = max(float(mel.mean()), 1e-12)
    log_mel, log_side = np.log(mel / scale + 1e-4), np.log(side_mel / scale + 1e-4)
    cepstrum = librosa.feature.mfcc(S=log_mel, n_mfcc=_COEFFICIENTS)
    flux = np.clip(np.diff(log_mel, axis=1), 0.0, None)
    onset = flux.mean(axis=0) - flux.mean()
    autocorrelation = np.array([float((onset[lag:] * onset[:-lag]).mean()) for lag in range(4, 4 + 2 * _LAGS, 2)])
    return np.concatenate(
        [
            log_mel.mean(axis=1),
            log_mel.std(axis=1),
            log_side.mean(axis=1)[::2],
            cepstrum.std(axis=1),
            flux.mean(axis=1)[::4],
            autocorrelation / max(float(np.square(onset).mean()), 1e-9),
        ]
    ).astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class PersonaClassifier:
    """Linear discriminants of audio features, fitted on clips of the named personas and of unseen ones.

    ``mean`` and ``deviation`` ``(V,)`` of the features; ``directions`` ``(V, P)``; ``centres`` ``(12, P)`` of the named personas.
    """

    mean: Features
    deviation: Features
    directions: Features
    centres: Features

    def project(self, take: Waveform) -> Features:
        """Discriminants ``(P,)`` of a take ``(2, T)``; their standard deviation within a persona is about 1."""
        return self.project_features(audio_features(take))

    def project_features(self, features: Features) -> Features:
        """Discriminants ``(P,)`` of audio features ``(V,)``."""
        projected: Features = ((features - self.mean) / self.deviation) @ self.directions
        return projected

    def standardise(self, take: Waveform) -> Features:
        """Audio features ``(V,)`` of a take ``(2, T)``, standardised over the corpus."""
        return np.asarray((audio_features(take) - self.mean) / self.deviation)

    def nearest_persona(self, take: Waveform) -> int:
        """Index of the named persona whose centre is nearest."""
        return self.nearest_centre(audio_features(take))

    def nearest_centre(self, features: Features) -> int:
        """Index of the centre that is nearest to audio features ``(V,)``."""
        return int(np.square(self.centres - self.project_features(features)).sum(axis=1).argmin())


def load_or_fit_classifier(
    *, clips_per_persona: int, unseen_personas: int, cache: Path | None = None
) -> PersonaClassifier:
    """A classifier fitted on 6 s clips of the named personas and of random ones that training has not seen.

    ``cache``: an ``.npz`` file to load the classifier from if it exists; otherwise it is written there.
    """
    if cache is not None and cache.is_file():
        with np.load(cache) as stored:
            return PersonaClassifier(**{name: stored[name] for name in PersonaClassifier.__dataclass_fields__})
    classifier = fit_classifier(*_labelled_clips(clips_per_persona, unseen_personas))
    if cache is not None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, **{name: getattr(classifier, name) for name in PersonaClassifier.__dataclass_fields__})
    return classifier


def _labelled_clips(clips_per_persona: int, unseen_personas: int) -> tuple[Features, NDArray[np.intp]]:
    features, labels = [], []
    for number, persona in enumerate(personas()):
        for clip in range(clips_per_persona):
            song = perform(compose(_FIRST_SEED + 1000 * number + clip, seconds=CLIP_S, persona=persona))
            features.append(audio_features(song.mix))
            labels.append(number)
    for number in range(unseen_personas):
        for clip in range(clips_per_persona):
            features.append(audio_features(_unseen_persona_clip(number, clip)))
            labels.append(len(personas()) + number)
    return np.stack(features), np.array(labels)


def _unseen_persona_clip(number: int, clip: int) -> Waveform:
    """A clip by a random persona that neither training nor the rest of the evaluation uses."""
    persona = random_persona(np.random.default_rng([_UNSEEN_STREAM, number]), id=f"unseen-{number}")
    return perform(compose(_FIRST_SEED + 1_000_000 + 1000 * number + clip, seconds=CLIP_S, persona=persona)).mix


def fit_classifier(features: Features, labels: NDArray[np.intp]) -> PersonaClassifier:
    """Fit on ``features`` ``(N, V)`` with the persona's index of each ``(N,)``; the first twelve are the named personas."""
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = (features - mean) / deviation
    centres = np.stack([x[labels == label].mean(axis=0) for label in np.unique(labels)])
    scatter = x - centres[np.searchsorted(np.unique(labels), labels)]
    within = scatter.T @ scatter / len(x)
    within = (1.0 - _SHRINKAGE) * within + _SHRINKAGE * np.eye(len(within)) * np.trace(within) / len(within)
    between = np.cov(centres.T)
    count = min(_MAX_DISCRIMINANTS, len(centres) - 1)
    _, vectors = eigh(between, within, subset_by_index=[len(within) - count, len(within) - 1])
    return PersonaClassifier(
        mean=mean, deviation=deviation, directions=vectors, centres=(centres @ vectors)[: len(personas())]
    )
