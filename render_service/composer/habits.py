"""What a persona brings to the score: how it plays, independent of how it sounds."""

from __future__ import annotations

from dataclasses import dataclass

PERCUSSION_SETS = 5


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How a persona plays.

    ``density``: 0 sparse to 1 busy. ``swing``: as in a tempo map. ``electronic_kit``: whether it plays a drum machine.
    ``percussion``: index of a percussion set, 0 is none. ``sub_bass``: whether the bass is an 808.
    ``voice_pitch``: centre of the voice's range, a MIDI note.
    """

    density: float
    swing: float
    electronic_kit: bool
    percussion: int
    sub_bass: bool
    voice_pitch: int


DEFAULT_HABITS = Habits(density=0.55, swing=0.5, electronic_kit=False, percussion=0, sub_bass=False, voice_pitch=58)
"""A middling persona, for embeddings that no habits were learnt for."""
