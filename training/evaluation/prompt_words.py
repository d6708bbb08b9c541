"""Whether the words of a prompt change a take more than another seed does, for each axis of the caption.

Every pair has the same persona, grid, key and chords and differs only in the words or in the noise. The service also derives the
grid from tempo words; a separate row of the table includes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from render_service.music.prompt_words import read_prompt
from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.evaluation.classifier import PersonaClassifier
from training.evaluation.section import Goal, Section
from training.evaluation.takes import TakeRenderer, plan_of, render_take, with_seed

_SEEDS = HELD_OUT_SEEDS[30_000:]
_PROMPT = "{mood} track with {instruments}, {tempo}"
_BASE_WORDS = {"mood": "calm", "instruments": "piano", "tempo": "at a moderate tempo"}
_OTHER_WORDS = {"mood": "energetic", "instruments": "brass stabs", "tempo": "at a fast tempo"}
_BASE_PROMPT = _PROMPT.format(**_BASE_WORDS)
_BASE_BPM = 100.0


@dataclass(frozen=True, kw_only=True)
class _Distances:
    """Distance that other words and another seed cause, in standard deviations of the corpus."""

    words: float
    noise: float


def prompt_words(take_renderer: TakeRenderer, classifier: PersonaClassifier, prompts: int) -> Section:
    """For each axis the distance caused by other words, next to the distance caused by another seed."""
    by_axis: dict[str, list[_Distances]] = {axis: [] for axis in _BASE_WORDS}
    with_grid: list[_Distances] = []
    for number in range(prompts):
        plan = _plan(take_renderer, number)
        base, noise = (
            classifier.standardise(render_take(take_renderer.renderer, plan)),
            _noise(take_renderer, classifier, plan),
        )
        for axis, distances in by_axis.items():
            changed = replace(plan, prompt=_PROMPT.format(**{**_BASE_WORDS, axis: _OTHER_WORDS[axis]}))
            distances.append(
                _Distances(
                    words=_distance(base, classifier.standardise(render_take(take_renderer.renderer, changed))),
                    noise=noise,
                )
            )
        faster_prompt = _PROMPT.format(**{**_BASE_WORDS, "tempo": _OTHER_WORDS["tempo"]})
        faster = _plan(take_renderer, number, prompt=faster_prompt, bpm=_bpm_of(faster_prompt))
        with_grid.append(
            _Distances(
                words=_distance(base, classifier.standardise(render_take(take_renderer.renderer, faster))), noise=noise
            )
        )
    named = {**by_axis, "tempo, through the service": with_grid}
    return Section(
        title="Words",
        note=(
            f"{prompts} takes of different personas. Distance between features, in standard deviations of the corpus, when one axis"
            f' of the prompt changes ("{_BASE_WORDS["instruments"]}" to "{_OTHER_WORDS["instruments"]}", "{_BASE_WORDS["mood"]}" to'
            f' "{_OTHER_WORDS["mood"]}", "{_BASE_WORDS["tempo"]}" to "{_OTHER_WORDS["tempo"]}"), and, as the null, when only the'
            " seed of the noise changes. Key, chords, grid and notes stay the same; in the last row the grid follows the words, as"
            " in the service, and the notes follow the grid."
        ),
        head=("axis", "change by the words", "change by another seed", "ratio"),
        rows=[
            (axis, f"{_mean(distances, 'words'):.2f}", f"{_mean(distances, 'noise'):.2f}", f"{_ratio(distances):.2f}")
            for axis, distances in named.items()
        ],
        goals=tuple(
            Goal(name=f"{axis} words against a seed", value=_ratio(named[key]), target=1.0)
            for axis, key in (
                ("instrumentation", "instruments"),
                ("mood", "mood"),
                ("tempo", "tempo, through the service"),
            )
        ),
    )


def _plan(take_renderer: TakeRenderer, number: int, *, prompt: str = _BASE_PROMPT, bpm: float = _BASE_BPM) -> Plan:
    persona = (5 * number) % len(personas())
    grid = TempoMap.constant(bpm)
    score = compose(_SEEDS[number], seconds=take_renderer.sampling.seconds, persona=personas()[persona], tempo_map=grid)
    return replace(plan_of(score, take_renderer.embeddings[persona], take_renderer.sampling), prompt=prompt)


def _noise(take_renderer: TakeRenderer, classifier: PersonaClassifier, plan: Plan) -> float:
    """Distance between two takes that differ only in noise."""
    one, other = (
        classifier.standardise(render_take(take_renderer.renderer, with_seed(plan, plan.seed + i))) for i in (1, 2)
    )
    return _distance(one, other)


def _bpm_of(prompt: str) -> float:
    bpm_range = read_prompt(prompt).bpm_range
    if bpm_range is None:
        raise ValueError(f"the prompt must have tempo words, got {prompt!r}")
    return round(0.5 * sum(bpm_range))


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(one - other))))


def _mean(distances: Sequence[_Distances], name: str) -> float:
    return float(np.mean([getattr(distance, name) for distance in distances]))


def _ratio(distances: Sequence[_Distances]) -> float:
    return _mean(distances, "words") / _mean(distances, "noise")
