"""Tempo map of a song."""

from __future__ import annotations

import numpy as np

from render_service.music.tempo_map import TempoMap, TempoPoint
from training.corpus.caption import TempoWords, draw_bpm

_METRES = (4, 3, 6, 5, 7)
_METRE_SHARES = (0.82, 0.09, 0.05, 0.02, 0.02)
_TEMPO_CHANGE_SHARE = 0.15
_METRE_CHANGE_SHARE = 0.03
_PICKUP_SHARE = 0.12


def draw_tempo_map(rng: np.random.Generator, words: TempoWords, *, swing: float, seconds: float) -> TempoMap:
    """A tempo in the range of the words; some songs have a pickup, a tempo change at a bar line, or another metre."""
    bpm = draw_bpm(rng, words)
    metre = int(rng.choice(_METRES, p=_METRE_SHARES))
    pickup = float(np.round(rng.uniform(0.2, 2.0), 3)) if rng.random() < _PICKUP_SHARE else 0.0
    points = [TempoPoint(start_s=0.0, bpm=bpm, beats_per_bar=metre, beat_unit=8 if metre == 6 else 4)]
    changes, ratio = rng.random() < _TEMPO_CHANGE_SHARE, float(rng.uniform(0.8, 1.25))
    other_metre, share = rng.random() < _METRE_CHANGE_SHARE, rng.uniform(0.25, 0.75)
    bar_s = metre * 60.0 / bpm
    bar = max(1, round(share * (seconds - pickup) / bar_s))
    second = pickup + bar * bar_s
    if (changes or other_metre) and second < seconds:
        low, high = words.value
        new_bpm = float(np.clip(np.round(bpm * ratio), low * 0.85, high * 1.15)) if changes else bpm
        new_metre = (3 if metre == 4 else 4) if other_metre else metre
        unit = points[0].beat_unit if not other_metre else 4
        points.append(TempoPoint(start_s=second, bpm=new_bpm, beats_per_bar=new_metre, beat_unit=unit))
    return TempoMap(points=tuple(points), first_downbeat_s=pickup, swing=swing)
