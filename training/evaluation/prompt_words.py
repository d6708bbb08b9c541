"""Whether the words of a prompt change a take more than another seed does, for each axis of the caption.

Every pair has the same persona, key and chords and differs only in the words or in the seed. With the notes of a corpus song
the words reach the denoiser alone, and the seed is the noise; composed by the planner, as for a caller, both decide the notes
too. The service also derives the grid from tempo words, and the families that play the notes from words for instruments; rows
of the table say whether they include that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from render_service.composer.planner import ScoreRequest
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
_THROUGH_SERVICE = ", through the service"
_COMPOSED = ", composed"


@dataclass(frozen=True, kw_only=True)
class _Distances:
    """Distance that other words and another seed cause, in standard deviations of the corpus."""

    words: float
    noise: float


def prompt_words(take_renderer: TakeRenderer, classifier: PersonaClassifier, prompts: int) -> Section:
    """For each axis the distance caused by other words, next to the distance caused by another seed."""
    named: dict[str, list[_Distances]] = {}
    for number in range(prompts):
        for name, distances in _distances(take_renderer, classifier, number):
            named.setdefault(name, []).append(distances)
    return Section(
        title="Words",
        note=(
            f"{prompts} takes of different personas. Distance between features, in standard deviations of the corpus, when one axis"
            f' of the prompt changes ("{_BASE_WORDS["instruments"]}" to "{_OTHER_WORDS["instruments"]}", "{_BASE_WORDS["mood"]}" to'
            f' "{_OTHER_WORDS["mood"]}", "{_BASE_WORDS["tempo"]}" to "{_OTHER_WORDS["tempo"]}"), and, as the null, when only the'
            " seed changes. Key and chords stay the same. In the first three rows grid and notes do too, and the seed draws"
            " the noise only. The rows 'through the service' include what the service derives from the words: the grid, which the"
            " notes follow, or the families that play the same notes. In the rows 'composed' the planner composes from words and"
            " seed, as for a caller: another seed then draws all notes anew within what the words say, so these rows have no goal."
        ),
        head=("axis", "change by the words", "change by another seed", "ratio"),
        rows=[
            (axis, f"{_mean(distances, 'words'):.2f}", f"{_mean(distances, 'noise'):.2f}", f"{_ratio(distances):.2f}")
            for axis, distances in named.items()
        ],
        goals=tuple(
            Goal(name=f"{axis} words against a seed", value=_ratio(named[key]), target=1.0)
            for axis, key in (
                ("instrumentation", f"instruments{_THROUGH_SERVICE}"),
                ("mood", "mood"),
                ("tempo", f"tempo{_THROUGH_SERVICE}"),
            )
        ),
    )


def _distances(
    take_renderer: TakeRenderer, classifier: PersonaClassifier, number: int
) -> Iterator[tuple[str, _Distances]]:
    """The distances of one persona by the name of their row."""

    def heard(plan: Plan) -> NDArray[np.float64]:
        return classifier.standardise(render_take(take_renderer.renderer, plan))

    plan, prompts = _plan(take_renderer, number), _changed_prompts()
    faster = _plan(take_renderer, number, prompt=prompts["tempo"], bpm=_bpm_of(prompts["tempo"]))
    base = heard(plan)
    noise = _distance(heard(with_seed(plan, plan.seed + 1)), heard(with_seed(plan, plan.seed + 2)))
    for axis, prompt in prompts.items():
        yield axis, _Distances(words=_distance(base, heard(replace(plan, prompt=prompt))), noise=noise)
    yield f"tempo{_THROUGH_SERVICE}", _Distances(words=_distance(base, heard(faster)), noise=noise)
    piano, brass = (
        heard(_with_families(take_renderer, replace(plan, prompt=prompt)))
        for prompt in (_BASE_PROMPT, prompts["instruments"])
    )
    yield f"instruments{_THROUGH_SERVICE}", _Distances(words=_distance(piano, brass), noise=noise)
    composed = heard(_composed(take_renderer, plan))
    seed = _distance(composed, heard(_composed(take_renderer, with_seed(plan, plan.seed + 1))))
    for axis, prompt in prompts.items():
        changed = faster if axis == "tempo" else replace(plan, prompt=prompt)
        words = _distance(composed, heard(_composed(take_renderer, changed)))
        yield f"{axis}{_COMPOSED}", _Distances(words=words, noise=seed)


def _changed_prompts() -> dict[str, str]:
    """For each axis the prompt in which its words are others."""
    return {axis: _PROMPT.format(**{**_BASE_WORDS, axis: _OTHER_WORDS[axis]}) for axis in _BASE_WORDS}


def _with_families(take_renderer: TakeRenderer, plan: Plan) -> Plan:
    """The plan whose notes are played by the families that the planner reads from its prompt."""
    composed = _composed(take_renderer, plan)
    if plan.score is None or composed.score is None:
        raise ValueError("the plan must have a score")
    return replace(plan, score=replace(plan.score, instrumentation=composed.score.instrumentation))


def _composed(take_renderer: TakeRenderer, plan: Plan) -> Plan:
    """The plan with the score that the product's planner writes for it."""
    request = ScoreRequest(
        prompt=plan.prompt,
        persona_embedding=plan.persona_embedding,
        seed=plan.seed,
        seconds=plan.seconds,
        tempo_map=plan.tempo_map,
        key=plan.key,
        chords=plan.chords,
        ending_s=None if plan.score is None else plan.score.ending_s,
        instrumental=plan.instrumental,
    )
    return replace(plan, score=take_renderer.renderer.planner.write_score(request))


def _plan(take_renderer: TakeRenderer, number: int, *, prompt: str = _BASE_PROMPT, bpm: float = _BASE_BPM) -> Plan:
    persona = (5 * number) % len(personas())
    grid = TempoMap.constant(bpm)
    score = compose(_SEEDS[number], seconds=take_renderer.sampling.seconds, persona=personas()[persona], tempo_map=grid)
    return replace(plan_of(score, take_renderer.embeddings[persona], take_renderer.sampling), prompt=prompt)


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
