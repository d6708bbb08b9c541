"""The songs of the training set, by number, and the cache of their features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from render_service.renderers.latent_diffusion.front_end import FrontEnd
from training.corpus.builtin_personas import personas
from training.corpus.compose import compose
from training.corpus.persona import PersonaSpec, random_persona
from training.corpus.song import Song, perform
from training.features import extract, write

SONGS_PER_RANDOM_PERSONA = 2  # the persona encoder trains on pairs of songs by one persona
_PERSONA_STREAM = 7_001


def persona_of(number: int) -> PersonaSpec:
    """Even songs cycle through the named personas; odd ones use random personas, two songs each."""
    if number % 2 == 0:
        named = personas()
        return named[(number // 2) % len(named)]
    index = (number // 2) // SONGS_PER_RANDOM_PERSONA
    return random_persona(np.random.default_rng([_PERSONA_STREAM, index]), id=f"drawn-{index}")


def song_of(number: int, *, seconds: float | None = None) -> Song:
    """Song ``number`` of the training set; the number is its seed, which also draws a length that is not given."""
    return perform(compose(number, seconds=seconds, persona=persona_of(number)))


def fill_cache(folder: Path, numbers: range, front_end: FrontEnd, *, seconds: float | None = None) -> Iterator[int]:
    """Compose and measure the songs that the folder lacks, in order; yields each number when its song is there.

    ``seconds`` is the length of those songs; drawn for each if ``None``.
    """
    for number in numbers:
        if not (folder / f"{number:08d}.safetensors").exists():
            write(extract(song_of(number, seconds=seconds), front_end), folder)
        yield number
