"""Tempo map, sections and bars of a song."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from render_service.music.harmony import PHRASE_BARS
from render_service.music.tempo_map import TempoMap, TempoPoint
from training.corpus.caption import TempoWords, draw_bpm
from training.corpus.score import Bar, Section, SectionKind

_METRES = (4, 3, 6, 5, 7)
_METRE_SHARES = (0.82, 0.09, 0.05, 0.02, 0.02)
_TEMPO_CHANGE_SHARE = 0.15
_METRE_CHANGE_SHARE = 0.03
_PICKUP_SHARE = 0.12
_HALF = PHRASE_BARS // 2
_FORMS = (
    (
        SectionKind.INTRO,
        SectionKind.VERSE,
        SectionKind.CHORUS,
        SectionKind.CHORUS,
        SectionKind.VERSE,
        SectionKind.VERSE,
    ),
    (
        SectionKind.VERSE,
        SectionKind.VERSE,
        SectionKind.CHORUS,
        SectionKind.CHORUS,
        SectionKind.BRIDGE,
        SectionKind.VERSE,
    ),
    (
        SectionKind.CHORUS,
        SectionKind.CHORUS,
        SectionKind.VERSE,
        SectionKind.VERSE,
        SectionKind.CHORUS,
        SectionKind.CHORUS,
    ),
    (
        SectionKind.INTRO,
        SectionKind.CHORUS,
        SectionKind.VERSE,
        SectionKind.VERSE,
        SectionKind.CHORUS,
        SectionKind.CHORUS,
    ),
    (
        SectionKind.VERSE,
        SectionKind.CHORUS,
        SectionKind.VERSE,
        SectionKind.CHORUS,
        SectionKind.BRIDGE,
        SectionKind.CHORUS,
    ),
)
_FORM_SHARES = (0.3, 0.2, 0.2, 0.15, 0.15)


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


def draw_bars(
    rng: np.random.Generator, tempo_map: TempoMap, seconds: float
) -> tuple[tuple[Section, ...], tuple[Bar, ...]]:
    """Sections of up to eight bars, and all bars. The last bar ends at ``seconds``."""
    starts = [float(s) for s in tempo_map.bars_s(seconds)]
    if not starts:  # the song ends before its first downbeat
        return (), ()
    edges = [*starts, seconds]
    form = _FORMS[int(rng.choice(len(_FORMS), p=_FORM_SHARES))]
    has_outro = rng.random() < 0.5
    kinds = [form[i // _HALF % len(form)] for i in range(len(starts))]
    if has_outro and len(kinds) > 2 * PHRASE_BARS:
        last = (len(kinds) - 1) // _HALF * _HALF
        kinds[last:] = [SectionKind.OUTRO] * (len(kinds) - last)
    cuts = [0, *(i for i in range(1, len(kinds)) if kinds[i] is not kinds[i - 1] or i % PHRASE_BARS == 0), len(kinds)]
    sections, bars = [], []
    for first, end in pairwise(cuts):
        section = Section(kind=kinds[first], start_s=edges[first], end_s=edges[end])
        sections.append(section)
        bars += [_bar(i, edges[i], edges[i + 1], section, tempo_map) for i in range(first, end)]
    return tuple(sections), tuple(bars)


def _bar(index: int, start_s: float, end_s: float, section: Section, tempo_map: TempoMap) -> Bar:
    start_beat = float(np.round(tempo_map.beat_position([start_s])[0], 4))
    beats = int(tempo_map.beats_per_bar_at([start_s + 1e-4])[0])
    return Bar(
        index=index,
        start_s=start_s,
        end_s=end_s,
        start_beat=start_beat,
        beats=beats,
        section=section,
        tempo_map=tempo_map,
    )
