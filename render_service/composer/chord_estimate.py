"""The chords of a given score, one for each half bar, estimated from its notes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import Part, Score
from render_service.music.harmony import ChordQuality, ChordSpan, cover_take
from render_service.music.key import Key
from render_service.music.key_estimate import estimate_key
from render_service.music.tempo_map import TempoMap

_PITCH_CLASSES = 12
_OUTSIDE = 0.7  # what a note outside the chord costs, relative to one inside
_EXTRA_TONE = 0.08  # what a fourth chord tone costs, as a share of all that sounds
_BASS_ROOT = 0.2  # what a root in the bass earns, likewise
_PARTS = {Part.BASS: 1.5, Part.CHORDS: 1.0, Part.SECOND_CHORDS: 1.0, Part.LINE: 0.5}
_SUNG = 0.5
_CHORDS = tuple((root, quality) for quality in ChordQuality for root in range(_PITCH_CLASSES))
_TONES = np.array(
    [[(tone - root) % _PITCH_CLASSES in quality.value for tone in range(_PITCH_CLASSES)] for root, quality in _CHORDS],
    dtype=np.float64,
)
_EXTRA_TONES = _TONES.sum(axis=1) - 3.0
_NOTHING = 1e-9


def estimate_chords(score: Score, *, tempo_map: TempoMap, seconds: float, key: Key) -> tuple[ChordSpan, ...]:
    """Chords that cover ``[0, seconds)``. Where nothing sounds, the chord before goes on; before the first note, the first one."""
    return cover_take(_spans(score, tempo_map, seconds), key, seconds)


def estimate_score_key(score: Score, *, tempo_map: TempoMap, seconds: float) -> Key | None:
    """The key of the score's chords; None if it has no pitched notes."""
    spans = _spans(score, tempo_map, seconds)
    return estimate_key(spans) if spans else None


def _spans(score: Score, tempo_map: TempoMap, seconds: float) -> list[ChordSpan]:
    """One for each half bar in which something sounds, and for those after it; equal neighbours are one."""
    edges = _half_bars(tempo_map, seconds)
    sounding, bass = _histograms(score, edges)
    spans: list[ChordSpan] = []
    for i, (weights, low) in enumerate(zip(sounding, bass, strict=True)):
        chord = _best_chord(weights, low) or (spans[-1] if spans else None)
        if chord is None:
            continue
        start_s, end_s = float(edges[i]), float(edges[i + 1])
        if spans and (spans[-1].root, spans[-1].quality, spans[-1].bass) == (chord.root, chord.quality, chord.bass):
            start_s = spans.pop().start_s
        spans.append(replace(chord, start_s=start_s, end_s=end_s))
    return spans


def _half_bars(tempo_map: TempoMap, seconds: float) -> NDArray[np.float64]:
    """Seconds of the bar lines and of the beat in the middle of each bar, then the end. ``-> (N,)``."""
    edges = []
    for start in tempo_map.bars_s(seconds):
        half = math.ceil(float(tempo_map.beats_per_bar_at([start + 1e-6])[0]) / 2.0)
        middle = tempo_map.second_of_beat(np.round(tempo_map.beat_position([start]), 4) + half)
        edges += [float(start), float(middle[0])]
    inside = np.array([0.0, *(edge for edge in edges if 0.0 < edge < seconds)])
    return np.append(np.unique(inside), seconds)


def _histograms(score: Score, edges: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How long each pitch class sounds between edges, weighted by part and velocity; and that of the bass. ``-> (N-1, 12)``."""
    played = [note for note in score.notes if note.part in _PARTS]
    tones = [(n.start_s, n.end_s, n.pitch, n.velocity * _PARTS[n.part], n.part is Part.BASS) for n in played]
    tones += [(n.start_s, n.end_s, n.pitch, n.velocity * _SUNG, False) for n in score.sung]
    sounding = np.zeros((len(edges) - 1, _PITCH_CLASSES))
    bass = np.zeros_like(sounding)
    for start_s, end_s, pitch, weight, low in tones:
        first = max(int(np.searchsorted(edges, start_s, side="right")) - 1, 0)
        last = min(int(np.searchsorted(edges, end_s, side="left")), len(sounding))
        for i in range(first, last):
            covered = weight * max(min(end_s, edges[i + 1]) - max(start_s, edges[i]), 0.0)
            sounding[i, pitch % _PITCH_CLASSES] += covered
            if low:
                bass[i, pitch % _PITCH_CLASSES] += covered
    return sounding, bass


def _best_chord(sounding: NDArray[np.float64], bass: NDArray[np.float64]) -> ChordSpan | None:
    """What fits best, without a time; None where nothing sounds. ``(12,), (12,)``."""
    total = float(sounding.sum())
    if total < _NOTHING:
        return None
    lowest = int(np.argmax(bass)) if bass.sum() > _NOTHING else None
    inside = _TONES @ sounding
    in_root = np.array([root == lowest for root, _ in _CHORDS])
    fit = inside - _OUTSIDE * (total - inside) + total * (_BASS_ROOT * in_root - _EXTRA_TONE * _EXTRA_TONES)
    root, quality = _CHORDS[int(np.argmax(fit))]
    chord = ChordSpan(start_s=0.0, end_s=0.0, root=root, quality=quality, bass=root)
    return replace(chord, bass=lowest) if lowest in chord.pitch_classes else chord
