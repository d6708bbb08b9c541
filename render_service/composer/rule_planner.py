"""The planner that composes by rules, from a style read from the prompt and habits read from the persona's embedding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from render_service.composer.compose import ComposerStream, ScoreInputs, compose_score
from render_service.composer.habits import Habits
from render_service.composer.planner import ScoreRequest
from render_service.composer.score import Score, check_score
from render_service.composer.style import MOOD_SHAPES, Instrumentation, Mood, Style, StyleReading
from render_service.composer.style_reader import StyleReader
from render_service.music.key import Mode

_TWO_FAMILIES_SHARE = 0.35  # as in the corpus' captions

HabitsReader = Callable[[Sequence[float]], Habits]
"""A persona's embedding to its habits. Deterministic."""


class RulePlanner:
    """Implements :class:`render_service.composer.planner.Planner`. Safe for several threads if its two readers are."""

    def __init__(self, style_reader: StyleReader, habits_reader: HabitsReader) -> None:
        self._style_reader = style_reader
        self._habits_reader = habits_reader

    def habits(self, persona_embedding: Sequence[float]) -> Habits:
        """How a persona plays, from its embedding."""
        return self._habits_reader(persona_embedding)

    def read_style(self, prompt: str) -> StyleReading:
        """The instruments and the mood that a prompt asks for."""
        return self._style_reader.read(prompt)

    def write_score(self, request: ScoreRequest) -> Score:
        """The score of a take; what the prompt leaves open is drawn from the seed. Raises ScoreError where it is out of bounds."""
        score = compose_score(
            ScoreInputs(
                seed=request.seed,
                seconds=request.seconds,
                tempo_map=request.tempo_map,
                key=request.key,
                chords=request.chords,
                ending_s=request.ending_s,
                instrumental=request.instrumental,
                style=_draw_style(self.read_style(request.prompt), request),
                habits=self.habits(request.persona_embedding),
                form_seed=request.form_seed,
            )
        )
        check_score(score, seconds=request.seconds)
        return score


def _draw_style(reading: StyleReading, request: ScoreRequest) -> Style:
    """The style that was read; a value that was not is drawn, a mood by how well it fits the mode of the key."""
    rng = np.random.default_rng([request.seed, int(ComposerStream.STYLE)])
    order, two = rng.permutation(len(Instrumentation)), rng.random() < _TWO_FAMILIES_SHARE
    drawn = tuple(tuple(Instrumentation)[i] for i in order[: 2 if two else 1])
    minor = request.key.mode is Mode.MINOR
    shares = np.array([MOOD_SHAPES[m].minor_share if minor else 1.0 - MOOD_SHAPES[m].minor_share for m in Mood])
    mood = tuple(Mood)[int(rng.choice(len(Mood), p=shares / shares.sum()))]
    return Style(instrumentation=reading.families or drawn, mood=reading.mood or mood)
