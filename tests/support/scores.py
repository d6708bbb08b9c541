"""Scores for tests, composed by the product's own rules."""

from __future__ import annotations

import numpy as np

from render_service.composer.compose import ScoreInputs, compose_score
from render_service.composer.form import ending_start_s
from render_service.composer.habits import Habits
from render_service.composer.score import Score
from render_service.composer.style import Instrumentation, Mood, Style
from render_service.music.harmony import draw_chords
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap

HABITS = Habits(density=0.6, swing=0.5, electronic_kit=False, percussion=2, sub_bass=False, voice_pitch=58)
STYLE = Style(instrumentation=(Instrumentation.PIANO, Instrumentation.STRINGS), mood=Mood.HAPPY)


def composed_score(seed: int, *, seconds: float, tempo_map: TempoMap | None = None, key: str = "D major") -> Score:
    """All parts of a take; by default in 4/4 at 100 bpm."""
    grid, tonality = tempo_map or TempoMap.constant(100.0), Key.parse(key)
    ending_s = ending_start_s(grid, seconds)
    rng = np.random.default_rng(seed)
    return compose_score(
        ScoreInputs(
            seed=seed,
            seconds=seconds,
            tempo_map=grid,
            key=tonality,
            chords=draw_chords(rng, key=tonality, tempo_map=grid, seconds=seconds, ending_s=ending_s),
            ending_s=ending_s,
            instrumental=False,
            style=STYLE,
            habits=HABITS,
        )
    )
