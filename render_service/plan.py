"""The plan: everything a render is a function of, besides the weights and the machine."""

from __future__ import annotations

from dataclasses import dataclass

from render_service.harmony import ChordSpan
from render_service.key import Key
from render_service.tempo_map import TempoMap


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A brief with nothing left open. Two equal plans under one execution fingerprint give the same samples.

    ``persona_embedding`` has length 1; ``chords`` cover ``[0, seconds)`` without gaps.
    """

    prompt: str
    persona_id: str
    persona_prefix: str
    persona_embedding: tuple[float, ...]
    seed: int
    seconds: float
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    instrumental: bool
    steps: int
    guidance: float
