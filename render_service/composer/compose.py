"""Composes a score: a pure function of its inputs, which are all in the plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from render_service.composer.accompaniment import write_chords
from render_service.composer.bars import Outline
from render_service.composer.bassline import write_bass
from render_service.composer.drumming import write_drums
from render_service.composer.ending import write_ending
from render_service.composer.form import draw_form
from render_service.composer.habits import Habits
from render_service.composer.melody import write_line, write_vocals
from render_service.composer.score import Score
from render_service.composer.style import Style
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap

_SHORTEST_NOTE_S = 0.02  # what would start later than this before the end is left out
_SHORTEST_SYLLABLE_S = 0.05


class ComposerStream(IntEnum):
    """Independent random streams of one seed, so that another draw in one part does not change the others."""

    STYLE = 105
    FORM = 106
    DRUMS = 107
    BASS = 108
    ACCOMPANIMENT = 109
    VOCALS = 110
    LINE = 111
    ENDING = 112


@dataclass(frozen=True, kw_only=True)
class ScoreInputs:
    """Everything that a score depends on. ``chords`` cover the take; ``ending_s`` is where the final chord starts, if any.

    ``form_seed`` draws the sections; None: ``seed`` does.
    """

    seed: int
    seconds: float
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    ending_s: float | None
    instrumental: bool
    style: Style
    habits: Habits
    form_seed: int | None = None


def compose_score(inputs: ScoreInputs) -> Score:
    """Write all parts. A take of 90 s takes well under 0.2 s on one core."""
    form_seed = inputs.seed if inputs.form_seed is None else inputs.form_seed
    form_rng = np.random.default_rng([form_seed, int(ComposerStream.FORM)])
    form = draw_form(form_rng, inputs.tempo_map, seconds=inputs.seconds, ending_s=inputs.ending_s)
    outline = Outline(
        bars=form.bars,
        ending=form.ending,
        chords=inputs.chords,
        key=inputs.key,
        style=inputs.style,
        habits=inputs.habits,
    )
    sung = [] if inputs.instrumental else write_vocals(_generator(inputs, ComposerStream.VOCALS), outline)
    notes = [
        *write_drums(_generator(inputs, ComposerStream.DRUMS), outline),
        *write_bass(_generator(inputs, ComposerStream.BASS), outline),
        *write_chords(_generator(inputs, ComposerStream.ACCOMPANIMENT), outline),
        *write_line(_generator(inputs, ComposerStream.LINE), outline, sung),
    ]
    final_notes, final_sung = write_ending(_generator(inputs, ComposerStream.ENDING), outline, notes, sung)
    last_s = inputs.seconds
    return Score(
        instrumentation=inputs.style.instrumentation,
        sections=form.sections,
        notes=tuple(note for note in (*notes, *final_notes) if note.start_s < last_s - _SHORTEST_NOTE_S),
        sung=tuple(note for note in (*sung, *final_sung) if note.start_s < last_s - _SHORTEST_SYLLABLE_S),
    ).snapped()


def _generator(inputs: ScoreInputs, stream: ComposerStream) -> np.random.Generator:
    return np.random.default_rng([inputs.seed, int(stream)])
