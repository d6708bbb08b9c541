"""Who writes the score of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from render_service.composer.habits import Habits
from render_service.composer.score import Score
from render_service.composer.style import StyleReading
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap


@dataclass(frozen=True, kw_only=True)
class ScoreRequest:
    """What a plan has decided before its score. ``chords`` cover the take; ``ending_s``: where the final chord starts, if any.

    ``form_seed`` draws the sections; None: ``seed`` does.
    """

    prompt: str
    persona_embedding: tuple[float, ...]
    seed: int
    seconds: float
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    ending_s: float | None
    instrumental: bool
    form_seed: int | None = None


class Planner(Protocol):
    """Writes scores. A pure function of the request."""

    def habits(self, persona_embedding: Sequence[float]) -> Habits:
        """How a persona plays, from its embedding."""

    def read_style(self, prompt: str) -> StyleReading:
        """The instruments and the mood that a prompt asks for. The mood suggests major or minor where the caller names no key."""

    def write_score(self, request: ScoreRequest) -> Score:
        """The score of a take, within the bounds of :func:`render_service.composer.score.check_score`."""
