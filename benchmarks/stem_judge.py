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
Lesson = tuple[str, Mapping[str, Sequence[float]]]
"""Of one take its persona and, by kind, the description ``(V,)`` of its stem."""


def fit(lessons: Sequence[Lesson], personas: Sequence[str]) -> dict[str, Judge]:
    """A judge for each kind of stem."""
    labels = np.array([personas.index(persona) for persona, _ in lessons])
    kinds = lessons[0][1]
    return {kind: judge_from(np.array([described[kind] for _, described in lessons]), labels) for kind in kinds}


def known_again(lessons: Sequence[Lesson], personas: Sequence[str]) -> dict[str, int]:
    """How many of the takes, by kind of stem, are given to their own persona by a judge who knows only the others."""
    known = dict.fromkeys(lessons[0][1], 0)
    for left_out, (persona, described) in enumerate(lessons):
        judges = fit([one for number, one in enumerate(lessons) if number != left_out], personas)
        for kind, judge in judges.items():
            known[kind] += personas[nearest(judge, np.array(described[kind]))] == persona
    return known


def nearest(judge: Judge, stem: Values) -> int:
    """The number of the persona whose stems a described one ``(V,)`` is nearest to."""
    return int(np.square(judge.centres - judge.place_described(stem)).sum(axis=1).argmin())
