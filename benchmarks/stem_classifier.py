"""Which persona a stem sounds like, by classifiers that are independent of the renderer's nets.

One classifier (training/evaluation/classifier.py) for each kind of stem, fitted on the stems of reference takes by each persona.
These have other seeds, tempi, keys and prompts but the same renderer and separator, so that artefacts of both do not
identify a persona.

Letters: ``V`` features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from training.evaluation.classifier import PersonaClassifier, fit_classifier

ReferenceTake = tuple[str, Mapping[str, Sequence[float]]]
"""The persona of a take and, by kind of stem, its audio features ``(V,)``."""


def fit(takes: Sequence[ReferenceTake], personas: Sequence[str]) -> dict[str, PersonaClassifier]:
    """A classifier for each kind of stem; its centres are in the order of ``personas``."""
    labels = np.array([personas.index(persona) for persona, _ in takes])
    return {kind: fit_classifier(np.array([features[kind] for _, features in takes]), labels) for kind in takes[0][1]}


def purity(classifier: PersonaClassifier, features: Sequence[float], *, old: int, requested: int) -> float:
    """Where a stem lies on the line from the centre of its old persona (0) to that of the requested one (1)."""
    start = classifier.centres[old]
    way = classifier.centres[requested] - start
    return float((classifier.project_features(np.array(features)) - start) @ way / (way @ way))


def leave_one_out(takes: Sequence[ReferenceTake], personas: Sequence[str]) -> dict[str, int]:
    """By kind of stem, how many takes are assigned to their own persona by a classifier fitted on all other takes."""
    correct = dict.fromkeys(takes[0][1], 0)
    for left_out, (persona, features) in enumerate(takes):
        classifiers = fit([take for number, take in enumerate(takes) if number != left_out], personas)
        for kind, classifier in classifiers.items():
            correct[kind] += personas[classifier.nearest_centre(np.array(features[kind]))] == persona
    return correct
