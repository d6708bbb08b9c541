"""Whether a take sounds like the persona that was asked, how much takes differ, and how far they lie from the corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.persona import PersonaSpec, random_persona
from training.corpus.song import Song, perform
from training.evaluation.judge import Judge, frechet_distance, mean_distance, windows
from training.evaluation.section import Goal, Section, beside
from training.evaluation.takes import Studio, Trio, Waveform, persona_clips, plan_of, take_of

_STRANGERS_STREAM = 7_004
_STRANGER_SEEDS = HELD_OUT_SEEDS[20_000:]
_SONGS_A_STRANGER = 2


def identity(judge: Judge, trios: Sequence[Trio]) -> Section:
    """A classifier that knows neither the renderer's front end nor its persona encoder, on held-out captions."""
    asked = [trio.persona for trio in trios]
    audio = {
        "true audio": [trio.song.mix for trio in trios],
        "ceiling": [trio.ceiling for trio in trios],
        "takes": [trio.take for trio in trios],
    }
    heard = {name: [judge.persona(wave) for wave in waves] for name, waves in audio.items()}
    shares = {name: _share(found, asked) for name, found in heard.items()}
    turned = [asked[(i + 1) % len(asked)] for i in range(len(asked))]
    nulls = {name: _share(found, turned) for name, found in heard.items()}
    return Section(
        title="Personas",
        note=(
            "Share of held-out songs that an independent classifier (linear discriminants of spectral statistics, fitted on"
            " corpus clips) assigns to the requested persona, of twelve. In brackets: to the persona of the next song."
        ),
        head=("", "own persona of 12"),
        rows=[(name, beside(shares[name], nulls[name], 2)) for name in audio],
        goals=(Goal(name="persona of 12, independent classifier", reached=shares["takes"], wanted=0.9),),
    )


def _share(found: Sequence[int], wanted: Sequence[int]) -> float:
    return float(np.mean([f == w for f, w in zip(found, wanted, strict=True)]))


def strangers(studio: Studio, judge: Judge, count: int, *, clip_s: float) -> Section:
    """Personas added from clips that training never saw: whose audio is a take nearest to?"""
    specs = [random_persona(np.random.default_rng([_STRANGERS_STREAM, i]), id=f"new-{i}") for i in range(count)]
    homes, songs, takes = [], [], []
    for number, spec in enumerate(specs):
        clips = persona_clips(spec, seconds=clip_s, first_seed=_STRANGER_SEEDS[1000 + 2 * number])
        embedding = studio.renderer.embed_persona(clips)
        homes.append(
            np.mean([judge.place(piece) for clip in clips for piece in windows(clip, seconds=0.5 * clip_s)], axis=0)
        )
        for i in range(_SONGS_A_STRANGER):
            song = _song(spec, _SONGS_A_STRANGER * number + i, studio.sampling.seconds)
            songs.append(song.mix)
            takes.append(take_of(studio.renderer, plan_of(song, embedding, studio.sampling)))
    owners = [number for number in range(count) for _ in range(_SONGS_A_STRANGER)]
    true, taken = (_nearest_share(judge, waves, homes, owners) for waves in (songs, takes))
    return Section(
        title="Personas added from unseen clips",
        note=(
            f"{count} identities that neither training nor the classifier has seen, each added from two clips of {clip_s:g} s."
            f" Share of takes, on held-out captions, whose nearest clips are their persona's. Chance is {1.0 / count:.2f}."
        ),
        head=("", "nearest is its own"),
        rows=[("true audio", f"{true:.2f}"), ("takes", f"{taken:.2f}")],
        goals=(Goal(name="nearest of unseen personas is its own", reached=taken, wanted=0.8),),
    )


def _song(spec: PersonaSpec, number: int, seconds: float) -> Song:
    return perform(compose(_STRANGER_SEEDS[number], seconds=seconds, persona=spec))


def _nearest_share(
    judge: Judge, waves: Sequence[Waveform], homes: Sequence[NDArray[np.float64]], owners: Sequence[int]
) -> float:
    centres = np.stack(homes)
    nearest = [int(np.square(centres - judge.place(wave)).sum(axis=1).argmin()) for wave in waves]
    return _share(nearest, owners)


def spread(judge: Judge, trios: Sequence[Trio], others: Sequence[Song]) -> Section:
    """Diversity within a persona, and the Fréchet distance to other true songs beside that of true songs themselves."""
    groups = [trio.persona for trio in trios]
    true = [judge.standardised(trio.song.mix) for trio in trios]
    taken = [judge.standardised(trio.take) for trio in trios]
    ceiling = [judge.standardised(trio.ceiling) for trio in trios]
    diversity = {
        name: mean_distance(points, groups)
        for name, points in (("true audio", true), ("ceiling", ceiling), ("takes", taken))
    }
    reference = _pieces(judge, [song.mix for song in others])
    sets = {
        "true audio": [trio.song.mix for trio in trios],
        "ceiling": [trio.ceiling for trio in trios],
        "takes": [trio.take for trio in trios],
    }
    distance = {
        name: frechet_distance(_pieces(judge, waves), reference, basis=reference) for name, waves in sets.items()
    }
    floor = distance["true audio"]
    return Section(
        title="Diversity and distance",
        note=(
            "Mean distance between the features of two songs of one persona with different seeds, captions and keys; and the"
            f" Fréchet distance of 2 s pieces to those of {len(others)} other held-out songs, for which true audio is the floor."
        ),
        head=("", "distance within a persona", "Fréchet distance"),
        rows=[(name, f"{diversity[name]:.2f}", f"{distance[name]:.1f}") for name in sets],
        goals=(
            Goal(
                name="diversity, share of the corpus'", reached=diversity["takes"] / diversity["true audio"], wanted=0.5
            ),
            Goal(name="Fréchet distance, times the floor", reached=distance["takes"] / floor, wanted=3.0, at_most=True),
        ),
    )


def _pieces(judge: Judge, waves: Sequence[Waveform]) -> NDArray[np.float64]:
    return np.stack([judge.standardised(piece) for wave in waves for piece in windows(wave)])
