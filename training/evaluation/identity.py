"""Whether a take sounds like the requested persona, for named personas and for ones that training has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.persona import random_persona
from training.corpus.song import perform
from training.evaluation.classifier import PersonaClassifier
from training.evaluation.diversity import windows
from training.evaluation.section import Goal, Section, with_null
from training.evaluation.takes import (
    TAKES,
    Comparison,
    TakeRenderer,
    Waveform,
    persona_clips,
    plan_of,
    render_take,
    waveforms,
)

_UNSEEN_STREAM = 7_004
_UNSEEN_SEEDS = HELD_OUT_SEEDS[20_000:]
_SONGS_PER_PERSONA = 2


def identity(classifier: PersonaClassifier, comparisons: Sequence[Comparison]) -> Section:
    """Share of held-out songs that an independent classifier assigns to the requested persona."""
    requested = [comparison.persona for comparison in comparisons]
    audio = waveforms(comparisons)
    found = {name: [classifier.nearest_persona(wave) for wave in waves] for name, waves in audio.items()}
    shares = {name: _share_equal(indices, requested) for name, indices in found.items()}
    shifted = [requested[(i + 1) % len(requested)] for i in range(len(requested))]
    nulls = {name: _share_equal(indices, shifted) for name, indices in found.items()}
    return Section(
        title="Personas",
        note=(
            "Share of held-out songs that an independent classifier (linear discriminants of spectral statistics, fitted on"
            " corpus clips) assigns to the requested persona, of twelve. In brackets: to the persona of the next song."
        ),
        head=("", "own persona of 12"),
        rows=[(name, with_null(shares[name], nulls[name], 2)) for name in audio],
        goals=(Goal(name="persona of 12, independent classifier", value=shares[TAKES], target=0.9),),
    )


def _share_equal(found: Sequence[int], expected: Sequence[int]) -> float:
    return float(np.mean([f == e for f, e in zip(found, expected, strict=True)]))


def unseen_personas(
    take_renderer: TakeRenderer, classifier: PersonaClassifier, count: int, *, clip_s: float
) -> Section:
    """Share of takes by newly added personas that are nearest to the clips of their own persona."""
    specs = [random_persona(np.random.default_rng([_UNSEEN_STREAM, i]), id=f"new-{i}") for i in range(count)]
    centres, songs, takes = [], [], []
    for number, spec in enumerate(specs):
        clips = persona_clips(spec, seconds=clip_s, first_seed=_UNSEEN_SEEDS[1000 + 2 * number])
        embedding = take_renderer.renderer.embed_persona(clips)
        pieces = [piece for clip in clips for piece in windows(clip, seconds=0.5 * clip_s)]
        centres.append(np.mean([classifier.project(piece) for piece in pieces], axis=0))
        for i in range(_SONGS_PER_PERSONA):
            seed = _UNSEEN_SEEDS[_SONGS_PER_PERSONA * number + i]
            song = perform(compose(seed, seconds=take_renderer.sampling.seconds, persona=spec))
            songs.append(song.mix)
            takes.append(render_take(take_renderer.renderer, plan_of(song, embedding, take_renderer.sampling)))
    owners = [number for number in range(count) for _ in range(_SONGS_PER_PERSONA)]
    true_share, take_share = (_nearest_share(classifier, waves, centres, owners) for waves in (songs, takes))
    return Section(
        title="Personas added from unseen clips",
        note=(
            f"{count} identities that neither training nor the classifier has seen, each added from two clips of {clip_s:g} s."
            f" Share of takes, on held-out captions, whose nearest clips are their persona's. Chance is {1.0 / count:.2f}."
        ),
        head=("", "nearest is its own"),
        rows=[("true audio", f"{true_share:.2f}"), ("takes", f"{take_share:.2f}")],
        goals=(Goal(name="nearest of unseen personas is its own", value=take_share, target=0.8),),
    )


def _nearest_share(
    classifier: PersonaClassifier,
    waves: Sequence[Waveform],
    centres: Sequence[NDArray[np.float64]],
    owners: Sequence[int],
) -> float:
    stacked = np.stack(centres)
    nearest = [int(np.square(stacked - classifier.project(wave)).sum(axis=1).argmin()) for wave in waves]
    return _share_equal(nearest, owners)
