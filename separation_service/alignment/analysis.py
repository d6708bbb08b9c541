"""Tempo map and key of audio that was not rendered here, with how sure each is. Letters: ``C`` channels (2), ``T`` samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.key import Key


@dataclass(frozen=True, kw_only=True)
class TempoSpan:
    """A tempo and metre from ``second`` until the next; ``beat_unit`` is always a quarter: sound does not tell."""

    second: float
    bpm: float
    beats_per_bar: int


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the caller knows better. ``bpm_range`` holds the tempo in an octave, ``beats_per_bar`` fixes the metre."""

    bpm_range: tuple[float, float] | None = None
    beats_per_bar: int | None = None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Estimates, each with a confidence of 0 (a guess) to 1. ``tempo`` is empty where no beat was found, ``key`` then None.

    ``tempo`` has the first span at 0 s; ``first_downbeat_s`` counts from the first sample; ``swing`` as in a tempo map.
    ``other_bpm`` is the next best tempo, usually an octave away.
    """

    tempo: tuple[TempoSpan, ...]
    first_downbeat_s: float
    swing: float
    tempo_confidence: float
    other_bpm: float | None
    downbeat_confidence: float
    key: Key | None
    key_confidence: float


def analyze(waveform: NDArray[np.float32], hints: Hints | None = None) -> Analysis:
    """Listen to ``(C, T)`` at 44.1 kHz."""
    _ = waveform, hints
    return Analysis(
        tempo=(),
        first_downbeat_s=0.0,
        swing=0.5,
        tempo_confidence=0.0,
        other_bpm=None,
        downbeat_confidence=0.0,
        key=None,
        key_confidence=0.0,
    )
