"""Harmony theory: chord progressions in a key, laid over a tempo map.

The renderer is conditioned, frame by frame, on a chord's pitch classes and on its bass note. It draws the
progression here when it plans a take, and the training corpus draws it here too, so both know one distribution.

Phrases last eight bars and end in a cadence. Phrases follow a form of letters ("AABA", ...): the same letter
brings back the same chords. Bars are those of the tempo map, so any metre and tempo curve works.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from render_service.music.key import PITCH_CLASS_NAMES, Key, Mode
from render_service.music.tempo_map import TempoMap

PHRASE_BARS = 8
_SHORTEST_CHORD_S = 0.05  # a sliver left by a change of metre belongs to the chord before it
_SEVENTH_SHARE = 0.3
_INVERSION_SHARE = 0.12
_SPLIT_BAR_SHARE = 0.12
_FORMS = ("AABA", "ABAB", "ABAC", "AAB", "AB")


class ChordQuality(Enum):
    """What a chord is made of; the value is its notes in semitones above the root."""

    MAJ = (0, 4, 7)
    MIN = (0, 3, 7)
    DIM = (0, 3, 6)
    DOM7 = (0, 4, 7, 10)
    MAJ7 = (0, 4, 7, 11)
    MIN7 = (0, 3, 7, 10)
    SUS4 = (0, 5, 7)


@dataclass(frozen=True, kw_only=True)
class ChordSpan:
    """One chord from ``start_s`` to ``end_s``. ``root`` and ``bass`` are pitch classes, 0 = C to 11 = B."""

    start_s: float
    end_s: float
    root: int
    quality: ChordQuality
    bass: int

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes that sound, root first."""
        return tuple((self.root + step) % 12 for step in self.quality.value)

    def __str__(self) -> str:
        over = "" if self.bass == self.root else f"/{PITCH_CLASS_NAMES[self.bass]}"
        return f"{PITCH_CLASS_NAMES[self.root]}:{self.quality.name.lower()}{over}"


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A chord before it has a time: scale degree 0 to 6, quality, and which chord note is the bass."""

    degree: int
    quality: ChordQuality
    inversion: int = 0


_Bar = tuple[_Step, ...]  # one chord, or two that share the bar

_Q = ChordQuality
_TRIADS = {
    Mode.MAJOR: (_Q.MAJ, _Q.MIN, _Q.MIN, _Q.MAJ, _Q.MAJ, _Q.MIN, _Q.DIM),
    Mode.MINOR: (_Q.MIN, _Q.DIM, _Q.MAJ, _Q.MIN, _Q.MIN, _Q.MAJ, _Q.MAJ),
}
_SEVENTHS = {
    Mode.MAJOR: (_Q.MAJ7, _Q.MIN7, _Q.MIN7, _Q.MAJ7, _Q.DOM7, _Q.MIN7, _Q.DIM),
    Mode.MINOR: (_Q.MIN7, _Q.DIM, _Q.MAJ7, _Q.MIN7, _Q.MIN7, _Q.MAJ7, _Q.DOM7),
}
# Scale degrees (0 = tonic) of four bars that set out from the tonic, or from its relative.
_OPENINGS = {
    Mode.MAJOR: (
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 3, 0, 4),
        (5, 3, 0, 4),
        (0, 2, 3, 4),
        (0, 5, 1, 4),
        (0, 3, 5, 4),
        (0, 0, 3, 3),
        (0, 4, 3, 3),
        (3, 4, 2, 5),
    ),
    Mode.MINOR: (
        (0, 5, 2, 6),
        (0, 6, 5, 6),
        (0, 3, 5, 6),
        (0, 5, 3, 4),
        (0, 2, 6, 3),
        (5, 6, 0, 0),
        (0, 0, 5, 6),
        (0, 3, 0, 6),
        (0, 6, 3, 5),
        (0, 2, 5, 3),
    ),
}
# The last two bars of a phrase: authentic, plagal, half, deceptive.
_CADENCES = {
    Mode.MAJOR: ((4, 0), (4, 0), (3, 0), (1, 4), (3, 4), (4, 5)),
    Mode.MINOR: ((4, 0), (6, 0), (3, 0), (5, 4), (3, 4), (5, 6)),
}
_DOMINANT = 4


def draw_chords(
    rng: np.random.Generator, *, key: Key, tempo_map: TempoMap, seconds: float, ending_s: float | None = None
) -> tuple[ChordSpan, ...]:
    """Chords that cover ``[0, seconds)`` without a gap, a cadence at the end of every eighth bar.

    ``ending_s``: a bar line from which the tonic sounds to the end; a dominant fills the bar before it.
    A pickup before the first downbeat holds the first chord. Draws are taken per phrase letter before any time is
    known, so two lengths from one seed begin with the same chords.
    """
    form = _FORMS[rng.integers(len(_FORMS))]
    phrases = {letter: _draw_phrase(rng, key.mode) for letter in "ABC"}
    starts = tempo_map.bars_s(seconds)
    cadence = _cadence_bar(rng, key.mode, _Step(degree=_DOMINANT, quality=_Q.MAJ))
    spans: list[ChordSpan] = []
    for i, start in enumerate(starts):
        end = float(starts[i + 1]) if i + 1 < len(starts) else seconds
        if ending_s is not None and start > ending_s - _SHORTEST_CHORD_S:
            spans.append(_span(_Step(degree=0, quality=_TRIADS[key.mode][0]), key, float(start), seconds))
            break
        if ending_s is not None and end > ending_s - _SHORTEST_CHORD_S:
            spans += _lay_bar(cadence, key, tempo_map, float(start), end)
            continue
        phrase = phrases[form[i // PHRASE_BARS % len(form)]]
        spans += _lay_bar(phrase[i % PHRASE_BARS], key, tempo_map, float(start), end)
    return cover_take(spans, key, seconds)


def _draw_phrase(rng: np.random.Generator, mode: Mode) -> tuple[_Bar, ...]:
    openings, cadences = _OPENINGS[mode], _CADENCES[mode]
    first = openings[rng.integers(len(openings))]
    second = first if rng.random() < 0.6 else openings[rng.integers(len(openings))]
    cadence = cadences[rng.integers(len(cadences))]
    degrees = (*first, *second[:2], *cadence)
    colour = _SEVENTH_SHARE * 2.0 * rng.random()
    bars: list[_Bar] = [(_colour_step(rng, mode, degree, colour),) for degree in degrees]
    bars[-2:] = [_cadence_bar(rng, mode, bar[0]) for bar in bars[-2:]]
    moving = [_maybe_split(rng, mode, bar, following) for bar, following in zip(bars[:-2], degrees[1:-1], strict=True)]
    return (*moving, *bars[-2:])


def _colour_step(rng: np.random.Generator, mode: Mode, degree: int, colour: float) -> _Step:
    qualities = _SEVENTHS if rng.random() < colour else _TRIADS
    inverted = rng.random() < _INVERSION_SHARE and degree != 0
    return _Step(degree=degree, quality=qualities[mode][degree], inversion=int(inverted))


def _cadence_bar(rng: np.random.Generator, mode: Mode, step: _Step) -> _Bar:
    """The dominant of a cadence is major, often with its seventh, sometimes suspended first; the root is the bass."""
    if step.degree != _DOMINANT:
        return (_Step(degree=step.degree, quality=_TRIADS[mode][step.degree]),)
    major = _Step(degree=_DOMINANT, quality=_Q.DOM7 if rng.random() < 0.5 else _Q.MAJ)
    if rng.random() < 0.2:
        return (_Step(degree=_DOMINANT, quality=_Q.SUS4), major)
    return (major,)


def _maybe_split(rng: np.random.Generator, mode: Mode, bar: _Bar, following: int) -> _Bar:
    """Sometimes step towards the next bar's chord in the second half of this one."""
    drawn = rng.random() < _SPLIT_BAR_SHARE
    passing = (following + (1 if rng.random() < 0.5 else 4)) % 7
    if not drawn or len(bar) > 1 or passing == bar[0].degree or _TRIADS[mode][passing] is _Q.DIM:
        return bar
    return (*bar, _Step(degree=passing, quality=_TRIADS[mode][passing]))


def _lay_bar(bar: _Bar, key: Key, tempo_map: TempoMap, start_s: float, end_s: float) -> list[ChordSpan]:
    if len(bar) == 1:
        return [_span(bar[0], key, start_s, end_s)]
    inside = start_s + 1e-6
    half = float(np.ceil(tempo_map.beats_per_bar_at([inside])[0] / 2.0))
    middle_s = float(tempo_map.second_of_beat(np.round(tempo_map.beat_position([start_s]), 4) + half)[0])
    if not start_s + _SHORTEST_CHORD_S < middle_s < end_s - _SHORTEST_CHORD_S:
        return [_span(bar[0], key, start_s, end_s)]
    return [_span(bar[0], key, start_s, middle_s), _span(bar[1], key, middle_s, end_s)]


def _span(step: _Step, key: Key, start_s: float, end_s: float) -> ChordSpan:
    root = key.scale[step.degree]
    bass = (root + step.quality.value[step.inversion]) % 12
    return ChordSpan(start_s=start_s, end_s=end_s, root=root, quality=step.quality, bass=bass)


def cover_take(spans: list[ChordSpan], key: Key, seconds: float) -> tuple[ChordSpan, ...]:
    """Extend the first span back over the pickup, and merge spans shorter than 0.05 s into their neighbours."""
    if not spans:
        return (_span(_Step(degree=0, quality=_TRIADS[key.mode][0]), key, 0.0, seconds),)
    covered: list[ChordSpan] = []
    for span in spans:
        start = 0.0 if not covered else covered[-1].end_s
        if span.end_s - start >= _SHORTEST_CHORD_S or span is spans[-1]:
            covered.append(_moved(span, start, span.end_s))
        elif covered:
            covered[-1] = _moved(covered[-1], covered[-1].start_s, span.end_s)
    return tuple(covered)


def _moved(span: ChordSpan, start_s: float, end_s: float) -> ChordSpan:
    return ChordSpan(start_s=start_s, end_s=end_s, root=span.root, quality=span.quality, bass=span.bass)


def chord_index_at(chords: tuple[ChordSpan, ...], seconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the chord that sounds at each second; times outside take the nearest. ``(N,) -> (N,)``."""
    starts = np.array([chord.start_s for chord in chords])
    return np.clip(np.searchsorted(starts, seconds, side="right") - 1, 0, len(chords) - 1)
