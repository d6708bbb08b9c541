"""A composition: a score with everything that it was composed from. No audio."""

from __future__ import annotations

from dataclasses import dataclass

from render_service.composer.score import Score
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from training.corpus.caption import Caption
from training.corpus.persona import PersonaSpec


@dataclass(frozen=True, kw_only=True)
class Composition:
    """A whole song without audio; :func:`training.corpus.song.perform` renders it."""

    seed: int
    seconds: float
    persona: PersonaSpec
    caption: Caption
    instrumental: bool
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    score: Score
