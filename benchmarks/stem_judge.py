"""Whose sound a stem has, judged apart from the renderer's own nets.

Linear discriminants (training/evaluation/judge.py) for each kind of stem, fitted on the stems of other takes by each persona: other
seeds, tempi, keys and prompts, through the same renderer and separator, so that what these do to every sound is nobody's mark.

Letters: ``V`` values of a description.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.evaluation.judge import Judge, judge_from

Values = NDArray[np.float64]


def fit(stems: Sequence[tuple[str, Mapping[str, Sequence[float]]]], personas: Sequence[str]) -> dict[str, Judge]:
    """A judge for each kind of stem. ``stems``: for each take its persona and, by kind, the description ``(V,)`` of its stem."""
    labels = np.array([personas.index(persona) for persona, _ in stems])
    kinds = stems[0][1]
    return {kind: judge_from(np.array([described[kind] for _, described in stems]), labels) for kind in kinds}


def nearest(judge: Judge, stem: Values) -> int:
    """The number of the persona whose stems a described one ``(V,)`` is nearest to."""
    return int(np.square(judge.centres - judge.place_described(stem)).sum(axis=1).argmin())
