"""Estimates tempo map and key of foreign audio, each with a confidence. Letters: ``C`` channels (2), ``T`` samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.beats import Bars, Straight, find_bars, straighten, track_beats
from separation_service.alignment.grid import Times, nearest
from separation_service.alignment.key import Key, chroma_frames, frame_seconds, key_scores
from separation_service.alignment.onsets import Onsets, find_onsets
from separation_service.alignment.tempo import Pulse, Tempo, tempos

_SWUNG_FROM, _SWUNG_TO = 0.54, 0.75
_OFFBEATS = (0.42, 0.78)  # range of the second eighth's position in a beat
_FEWEST_OFFBEATS = 12
_OFFBEAT_SPREAD = 0.03
_ON_GRID_S = 0.025
_KEY_MARGIN = 0.12  # margin in correlation of the best key over the next at which confidence is 1
_LONGEST_LEAD_S = 60.0


@dataclass(frozen=True, kw_only=True)
class TempoSpan:
    """Tempo and metre from ``start_s`` to the next span. The beat is assumed to be a quarter note; audio cannot show it."""

    start_s: float
    bpm: float
    beats_per_bar: int
    beat_unit: int = 4


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the caller knows. ``bpm_range`` limits the tempo (against octave errors), ``beats_per_bar`` fixes the metre."""

    bpm_range: tuple[float, float] | None = None
    beats_per_bar: int | None = None


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Estimates, each with a confidence of 0 (a guess) to 1. ``tempo`` is empty if no beat was found, ``key`` None in silence.

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
    """Analyse ``(C, T)`` at 44.1 kHz."""
    hints = hints or Hints()
    harmony = chroma_frames(waveform)
    key, key_confidence = _key(harmony)
    onsets = find_onsets(waveform)
    found: tuple[Tempo, ...] = ()
    if onsets.count:
        pulse = Pulse.of(waveform.mean(axis=0, dtype=np.float64))
        found = tempos(pulse, hints.bpm_range)
    beats_s = track_beats(pulse, found[0].period_s, onsets) if found else np.zeros(0)
    if beats_s.size < 2:
        return Analysis(
            tempo=(),
            first_downbeat_s=0.0,
            swing=0.5,
            tempo_confidence=0.0,
            other_bpm=None,
            downbeat_confidence=0.0,
            key=key,
            key_confidence=key_confidence,
        )
    stretches = straighten(beats_s)
    bars = find_bars(pulse, beats_s, _changes(harmony, beats_s), hints.beats_per_bar)
    swing = _swing(onsets, stretches, beats_s)
    return Analysis(
        tempo=_spans(stretches, bars),
        first_downbeat_s=_first_downbeat_s(stretches[0], bars),
        swing=swing,
        tempo_confidence=round(found[0].share * _share_on_grid(onsets, stretches, beats_s, swing), 3),
        other_bpm=round(found[1].bpm, 2) if len(found) > 1 else None,
        downbeat_confidence=round(bars.confidence, 3),
        key=key,
        key_confidence=key_confidence,
    )


def _key(harmony: NDArray[np.float64]) -> tuple[Key | None, float]:
    total = harmony.sum(axis=0)
    if total.sum() <= 0.0:
        return None, 0.0
    (best, key), (second, _), *_ = key_scores(total / total.sum())
    return key, round(float(np.clip((best - second) / _KEY_MARGIN, 0.0, 1.0)), 3)


def _changes(harmony: NDArray[np.float64], beats_s: Times) -> NDArray[np.float64]:
    """Difference of the chroma of the two frames after each beat from the two before it. ``-> (N,)``."""
    at = np.clip(np.rint(beats_s / frame_seconds()).astype(np.intp), 2, max(harmony.shape[0] - 3, 2))
    scaled = harmony / np.maximum(np.linalg.norm(harmony, axis=1, keepdims=True), 1e-12)
    padded = np.concatenate([scaled, np.repeat(scaled[-1:], 4, axis=0)])
    before, after = padded[at - 2] + padded[at - 1], padded[at + 1] + padded[at + 2]
    difference: NDArray[np.float64] = np.linalg.norm(after - before, axis=1)
    return difference


def _spans(stretches: tuple[Straight, ...], bars: Bars) -> tuple[TempoSpan, ...]:
    spans = []
    for stretch in stretches:
        begins_s = 0.0 if stretch.start == 0 else stretch.origin_s + stretch.start * stretch.period_s
        bpm = 60.0 / stretch.period_s
        spans.append(TempoSpan(start_s=round(begins_s, 4), bpm=round(bpm, 3), beats_per_bar=bars.beats))
    return tuple(spans)


def _first_downbeat_s(first: Straight, bars: Bars) -> float:
    """The earliest downbeat at 0 s or later by the first stretch."""
    bar_s = bars.beats * first.period_s
    at_s = first.origin_s + bars.first * first.period_s
    # A downbeat just before the first sample counts as the first sample.
    return round(max(min(at_s - math.floor((at_s + _ON_GRID_S) / bar_s) * bar_s, _LONGEST_LEAD_S), 0.0), 4)


def _positions(times_s: Times, stretches: tuple[Straight, ...], beats_s: Times) -> NDArray[np.float64]:
    """The position of each time in its beat, 0 to 1, by the stretch's line."""
    edges = np.array([beats_s[stretch.start] for stretch in stretches[1:]])
    which = np.searchsorted(edges, times_s, side="right")
    origins, periods = (np.array([getattr(s, name) for s in stretches])[which] for name in ("origin_s", "period_s"))
    shares: NDArray[np.float64] = np.mod((times_s - origins) / periods, 1.0)
    return shares


def _swing(onsets: Onsets, stretches: tuple[Straight, ...], beats_s: Times) -> float:
    """Position of the second eighth in a beat; 0.5 if straight or unknown."""
    shares = _positions(onsets.times_s, stretches, beats_s)
    offbeats = shares[(shares > _OFFBEATS[0]) & (shares < _OFFBEATS[1])]
    if offbeats.size < _FEWEST_OFFBEATS:
        return 0.5
    typical = float(np.median(offbeats))
    together = float(np.median(np.abs(offbeats - typical))) < _OFFBEAT_SPREAD
    return round(typical, 3) if together and _SWUNG_FROM <= typical <= _SWUNG_TO else 0.5


def _share_on_grid(onsets: Onsets, stretches: tuple[Straight, ...], beats_s: Times, swing: float) -> float:
    """Share of onsets within 25 ms of a sixteenth beyond chance, 0 to 1."""
    period_s = stretches[0].period_s
    shares = _positions(onsets.times_s, stretches, beats_s)
    lines = np.array([0.0, 0.5 * swing, swing, 0.5 * (1.0 + swing), 1.0])
    off_s = np.abs(lines[nearest(lines, shares)] - shares) * period_s
    chance = min(8.0 * _ON_GRID_S / period_s, 0.9)
    return float(np.clip((np.mean(off_s < _ON_GRID_S) - chance) / (1.0 - chance), 0.0, 1.0))
