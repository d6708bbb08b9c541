"""Composes a score from a seed: caption, persona, key, tempo map, chords, sections and notes, without audio."""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum

import numpy as np

from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from training.corpus.accompaniment import write_chords
from training.corpus.bassline import write_bass
from training.corpus.builtin_personas import personas
from training.corpus.caption import Caption, draw_caption, draw_key
from training.corpus.drumming import write_drums
from training.corpus.melody import write_line, write_vocals
from training.corpus.persona import PersonaSpec, random_persona
from training.corpus.score import Outline, Score
from training.corpus.structure import draw_bars, draw_tempo_map

DEFAULT_SECONDS_RANGE = (30.0, 60.0)
TRAINING_SEEDS = range(800_000_000)
REFERENCE_SEEDS = range(800_000_000, 900_000_000)
"""Seeds for the clips of the built-in personas and the evaluation's classifier; never used for training."""
HELD_OUT_SEEDS = range(900_000_000, 1_000_000_000)
"""Seeds for tests and evaluation, including random personas; never used for training."""
INSTRUMENTAL_SHARE = 0.25
_NAMED_SHARE = 0.5  # share of songs by a named persona; each of the others has a random persona of its own


class Stream(IntEnum):
    """Independent random streams of one seed, so that fixing one part does not change the others."""

    LENGTH = 0
    PERSONA = 1
    CAPTION = 2
    KEY = 3
    TEMPO = 4
    CHORDS = 5
    FORM = 6
    DRUMS = 7
    BASS = 8
    ACCOMPANIMENT = 9
    VOCALS = 10
    LINE = 11
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
) -> Score:
    """Compose a song. Arguments that are ``None`` are drawn from the seed; the caption never depends on the persona."""
    length = (
        seconds
        if seconds is not None
        else float(np.round(generator_for(seed, Stream.LENGTH).uniform(*DEFAULT_SECONDS_RANGE), 2))
    )
    identity = persona if persona is not None else draw_persona(seed)
    song_caption = caption if caption is not None else draw_caption(generator_for(seed, Stream.CAPTION))
    drawn_instrumental = bool(generator_for(seed, Stream.INSTRUMENTAL).random() < INSTRUMENTAL_SHARE)
    song_key = key if key is not None else draw_key(generator_for(seed, Stream.KEY), song_caption.mood)
    grid = tempo_map
    if grid is None:
        grid = draw_tempo_map(
            generator_for(seed, Stream.TEMPO), song_caption.tempo_words, swing=identity.swing, seconds=length
        )
    sketch = Score(
        seed=seed,
        seconds=length,
        persona=identity,
        caption=song_caption,
        instrumental=drawn_instrumental if instrumental is None else instrumental,
        tempo_map=grid,
        key=song_key,
        chords=draw_chords(generator_for(seed, Stream.CHORDS), key=song_key, tempo_map=grid, seconds=length),
        sections=(),
        notes=(),
        sung=(),
    )
    return _write(sketch)


def draw_persona(seed: int) -> PersonaSpec:
    """A named persona for half of the seeds, otherwise a random persona that only this seed has."""
    rng = generator_for(seed, Stream.PERSONA)
    named = personas()
    if rng.random() < _NAMED_SHARE:
        return named[rng.integers(len(named))]
    return random_persona(rng, id=f"drawn-{seed}")


def _write(sketch: Score) -> Score:
    """Add sections and notes to a score."""
    seed, seconds = sketch.seed, sketch.seconds
    sections, bars = draw_bars(generator_for(seed, Stream.FORM), sketch.tempo_map, seconds)
    outline = Outline(bars=bars, chords=sketch.chords, key=sketch.key, persona=sketch.persona, caption=sketch.caption)
    sung = [] if sketch.instrumental else write_vocals(generator_for(seed, Stream.VOCALS), outline)
    notes = [
        *write_drums(generator_for(seed, Stream.DRUMS), outline),
        *write_bass(generator_for(seed, Stream.BASS), outline),
        *write_chords(generator_for(seed, Stream.ACCOMPANIMENT), outline),
        *write_line(generator_for(seed, Stream.LINE), outline, sung),
    ]
    inside = (note for note in notes if note.start_s < seconds - 0.02)
    return replace(
        sketch,
        sections=sections,
        notes=tuple(sorted(inside, key=lambda note: (note.start_s, note.part.name, note.pitch))),
        sung=tuple(note for note in sung if note.start_s < seconds - 0.05),
    )
