"""Composes a song from a seed: draws what a caller would ask for and has the composer of render_service write the score."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from render_service.composer.compose import ScoreInputs, compose_score
from render_service.composer.form import ending_start_s
from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from training.corpus.builtin_personas import personas
from training.corpus.caption import Caption, draw_caption, draw_key
from training.corpus.composition import Composition
from training.corpus.persona import PersonaSpec, random_persona
from training.corpus.tempo import draw_tempo_map

DEFAULT_SECONDS_RANGE = (6.0, 60.0)
"""Lengths of songs. Takes have all lengths, so the songs do too."""
TRAINING_SEEDS = range(800_000_000)
REFERENCE_SEEDS = range(800_000_000, 900_000_000)
"""Seeds for the clips of the built-in personas and the evaluation's classifier; never used for training."""
HELD_OUT_SEEDS = range(900_000_000, 1_000_000_000)
"""Seeds for tests and evaluation, including random personas; never used for training."""
INSTRUMENTAL_SHARE = 0.25
_ENDING_SHARE = 0.85  # of the songs; the others are cut off
_NAMED_SHARE = 0.5  # share of songs by a named persona; each of the others has a random persona of its own


class Stream(IntEnum):
    """Independent random streams of one seed, so that fixing one part does not change the others."""

    LENGTH = 0
    PERSONA = 1
    CAPTION = 2
    KEY = 3
    TEMPO = 4
    CHORDS = 5
    ENDING = 6
    SINGERS = 12
    MIX = 13
    INSTRUMENTAL = 14


def generator_for(seed: int, stream: Stream) -> np.random.Generator:
    """The random generator for one part of a seed's song."""
    return np.random.default_rng([seed, int(stream)])


def compose(
    seed: int,
    *,
    seconds: float | None = None,
    persona: PersonaSpec | None = None,
    caption: Caption | None = None,
    key: Key | None = None,
    tempo_map: TempoMap | None = None,
    instrumental: bool | None = None,
) -> Composition:
    """Compose a song. Arguments that are ``None`` are drawn from the seed; the caption never depends on the persona."""
    length = seconds if seconds is not None else _draw_seconds(seed)
    identity = persona if persona is not None else draw_persona(seed)
    song_caption = caption if caption is not None else draw_caption(generator_for(seed, Stream.CAPTION))
    drawn_instrumental = bool(generator_for(seed, Stream.INSTRUMENTAL).random() < INSTRUMENTAL_SHARE)
    song_key = key if key is not None else draw_key(generator_for(seed, Stream.KEY), song_caption.mood)
    grid = tempo_map
    if grid is None:
        grid = draw_tempo_map(
            generator_for(seed, Stream.TEMPO), song_caption.tempo_words, swing=identity.swing, seconds=length
        )
    ends = generator_for(seed, Stream.ENDING).random() < _ENDING_SHARE
    ending_s = ending_start_s(grid, length) if ends else None
    inputs = ScoreInputs(
        seed=seed,
        seconds=length,
        tempo_map=grid,
        key=song_key,
        chords=draw_chords(
            generator_for(seed, Stream.CHORDS), key=song_key, tempo_map=grid, seconds=length, ending_s=ending_s
        ),
        ending_s=ending_s,
        instrumental=drawn_instrumental if instrumental is None else instrumental,
        style=song_caption.style,
        habits=identity.habits,
    )
    return Composition(
        seed=seed,
        seconds=length,
        persona=identity,
        caption=song_caption,
        instrumental=inputs.instrumental,
        tempo_map=grid,
        key=song_key,
        chords=inputs.chords,
        score=compose_score(inputs),
    )


def _draw_seconds(seed: int) -> float:
    """Uniform in its square root between the limits: short songs are a little more frequent."""
    low, high = np.sqrt(DEFAULT_SECONDS_RANGE)
    return float(np.round(generator_for(seed, Stream.LENGTH).uniform(low, high) ** 2, 2))


def draw_persona(seed: int) -> PersonaSpec:
    """A named persona for half of the seeds, otherwise a random persona that only this seed has."""
    rng = generator_for(seed, Stream.PERSONA)
    named = personas()
    if rng.random() < _NAMED_SHARE:
        return named[rng.integers(len(named))]
    return random_persona(rng, id=f"drawn-{seed}")
