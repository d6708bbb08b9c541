"""A seed becomes a score: caption, persona, key, tempo map, chords, sections and every note, without any sound."""

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
"""Seeds of the clips by which the built-in personas are known; no training uses them."""
HELD_OUT_SEEDS = range(900_000_000, 1_000_000_000)
"""Seeds that no training uses, for tests and evaluation, the personas drawn from them included."""
INSTRUMENTAL_SHARE = 0.25
_NAMED_SHARE = 0.5  # of songs play a named persona, the rest one drawn for that song alone


class Stream(IntEnum):
    """Independent streams of randomness of one seed, so that fixing one part leaves the others as they were."""

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


def stream_of(seed: int, stream: Stream) -> np.random.Generator:
    """The generator of one part of one seed."""
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
    """Write a song. What is given is obeyed, what is not is drawn from the seed; the persona never sways the caption."""
    length = (
        seconds
        if seconds is not None
        else float(np.round(stream_of(seed, Stream.LENGTH).uniform(*DEFAULT_SECONDS_RANGE), 2))
    )
    identity = persona if persona is not None else draw_persona(seed)
    asked = caption if caption is not None else draw_caption(stream_of(seed, Stream.CAPTION))
    drawn_instrumental = bool(stream_of(seed, Stream.INSTRUMENTAL).random() < INSTRUMENTAL_SHARE)
    home = key if key is not None else draw_key(stream_of(seed, Stream.KEY), asked.mood)
    grid = tempo_map
    if grid is None:
        grid = draw_tempo_map(stream_of(seed, Stream.TEMPO), asked.tempo_words, swing=identity.swing, seconds=length)
    sketch = Score(
        seed=seed,
        seconds=length,
        persona=identity,
        caption=asked,
        instrumental=drawn_instrumental if instrumental is None else instrumental,
        tempo_map=grid,
        key=home,
        chords=draw_chords(stream_of(seed, Stream.CHORDS), key=home, tempo_map=grid, seconds=length),
        sections=(),
        notes=(),
        sung=(),
    )
    return _write(sketch)


def draw_persona(seed: int) -> PersonaSpec:
    """One of the twelve half of the time, otherwise an identity that only this seed has."""
    rng = stream_of(seed, Stream.PERSONA)
    named = personas()
    if rng.random() < _NAMED_SHARE:
        return named[rng.integers(len(named))]
    return random_persona(rng, id=f"drawn-{seed}")


def _write(sketch: Score) -> Score:
    """Fill an empty score with sections and notes."""
    seed, seconds = sketch.seed, sketch.seconds
    sections, bars = draw_bars(stream_of(seed, Stream.FORM), sketch.tempo_map, seconds)
    outline = Outline(bars=bars, chords=sketch.chords, key=sketch.key, persona=sketch.persona, caption=sketch.caption)
    sung = [] if sketch.instrumental else write_vocals(stream_of(seed, Stream.VOCALS), outline)
    notes = [
        *write_drums(stream_of(seed, Stream.DRUMS), outline),
        *write_bass(stream_of(seed, Stream.BASS), outline),
        *write_chords(stream_of(seed, Stream.ACCOMPANIMENT), outline),
        *write_line(stream_of(seed, Stream.LINE), outline, sung),
    ]
    inside = (note for note in notes if note.start_s < seconds - 0.02)
    return replace(
        sketch,
        sections=sections,
        notes=tuple(sorted(inside, key=lambda note: (note.start_s, note.part.name, note.pitch))),
        sung=tuple(note for note in sung if note.start_s < seconds - 0.05),
    )
