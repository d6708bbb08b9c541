"""Whether the words of a prompt move a take more than another seed does, each axis on its own.

Every pair shares persona, grid, key and chords, so that nothing but the words (or the noise) differs. Tempo words are also
read by the service, which sets the grid by them; here the grid is held, so this is what the net alone makes of them.
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
from training.evaluation.judge import Judge
from training.evaluation.section import Goal, Section
from training.evaluation.takes import Studio, plan_of, reseeded, take_of

_SEEDS = HELD_OUT_SEEDS[30_000:]
_BASE = "{mood} track with {instruments}, {tempo}"
_USUAL = {"mood": "calm", "instruments": "piano", "tempo": "at a moderate tempo"}
_OTHER = {"mood": "energetic", "instruments": "brass stabs", "tempo": "at a fast tempo"}
_USUAL_BPM = 100.0


@dataclass(frozen=True, kw_only=True)
class _Moves:
    """How far a take moved, in deviations of the corpus: by words, and by noise."""

    words: float
    noise: float


def words(studio: Studio, judge: Judge, bases: int) -> Section:
    """For each axis the distance that a change of its words makes beside the distance that another seed makes."""
    held: dict[str, list[_Moves]] = {axis: [] for axis in _USUAL}
    whole: list[_Moves] = []
    for number in range(bases):
        plan = _plan(studio, number)
        base, noise = judge.standardised(take_of(studio.renderer, plan)), _noise(studio, judge, plan)
        for axis, moves in held.items():
            asked = replace(plan, prompt=_BASE.format(**{**_USUAL, axis: _OTHER[axis]}))
            moves.append(_Moves(words=_apart(base, judge.standardised(take_of(studio.renderer, asked))), noise=noise))
        faster = replace(plan, prompt=_BASE.format(**{**_USUAL, "tempo": _OTHER["tempo"]}))
        faster = replace(faster, tempo_map=TempoMap.constant(_bpm_of(faster.prompt)))
        whole.append(_Moves(words=_apart(base, judge.standardised(take_of(studio.renderer, faster))), noise=noise))
    named = {**held, "tempo, through the service": whole}
    return Section(
        title="Words",
        note=(
            f"{bases} takes of different personas. Distance between features, in standard deviations of the corpus, when one axis"
            f' of the prompt changes ("{_USUAL["instruments"]}" to "{_OTHER["instruments"]}", "{_USUAL["mood"]}" to'
            f' "{_OTHER["mood"]}", "{_USUAL["tempo"]}" to "{_OTHER["tempo"]}"), and, as the null, when only the seed changes. Key,'
            " chords and grid stay the same; in the last row the grid follows the words, as in the service."
        ),
        head=("axis", "moved by the words", "moved by another seed", "ratio"),
        rows=[
            (axis, f"{_mean(moves, 'words'):.2f}", f"{_mean(moves, 'noise'):.2f}", f"{_ratio(moves):.2f}")
            for axis, moves in named.items()
        ],
        goals=tuple(
            Goal(name=f"{axis} words against a seed", reached=_ratio(named[key]), wanted=1.0)
            for axis, key in (
                ("instrumentation", "instruments"),
                ("mood", "mood"),
                ("tempo", "tempo, through the service"),
            )
        ),
    )


def _plan(studio: Studio, number: int) -> Plan:
    persona = (5 * number) % len(personas())
    grid = TempoMap.constant(_USUAL_BPM)
    score = compose(_SEEDS[number], seconds=studio.sampling.seconds, persona=personas()[persona], tempo_map=grid)
    return replace(plan_of(score, studio.embeddings[persona], studio.sampling), prompt=_BASE.format(**_USUAL))


def _noise(studio: Studio, judge: Judge, plan: Plan) -> float:
    """Mean distance between two takes that differ in noise alone."""
    one, other = (judge.standardised(take_of(studio.renderer, reseeded(plan, plan.seed + i))) for i in (1, 2))
    return _apart(one, other)


def _bpm_of(prompt: str) -> float:
    asked = read_prompt(prompt).bpm_range
    if asked is None:
        raise ValueError(f"no words of tempo in {prompt!r}")
    return round(0.5 * sum(asked))


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(one - other))))


def _mean(moves: Sequence[_Moves], name: str) -> float:
    return float(np.mean([getattr(move, name) for move in moves]))


def _ratio(moves: Sequence[_Moves]) -> float:
    return _mean(moves, "words") / _mean(moves, "noise")
