"""Fills the cache of features from the corpus: who plays which song, by number."""

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

SONGS_A_DRAWN_PERSONA = 2  # two songs of one identity are what the persona encoder learns from
_PERSONA_STREAM = 7_001


def persona_of(number: int) -> PersonaSpec:
    """Even songs go round the named personas; odd ones play identities drawn for two songs each."""
    if number % 2 == 0:
        named = personas()
        return named[(number // 2) % len(named)]
    drawn = (number // 2) // SONGS_A_DRAWN_PERSONA
    return random_persona(np.random.default_rng([_PERSONA_STREAM, drawn]), id=f"drawn-{drawn}")


def song_of(number: int) -> Song:
    """Song ``number`` of the training set, 30 to 60 s; its seed is the number."""
    return perform(compose(number, persona=persona_of(number)))


def fill(folder: Path, numbers: range, front_end: FrontEnd) -> Iterator[int]:
    """Make the songs that are not there yet, one after another; yields each number that is done."""
    for number in numbers:
        if not (folder / f"{number:08d}.safetensors").exists():
            write(extract(song_of(number), front_end), folder)
        yield number
