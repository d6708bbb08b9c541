"""The form of a take: an intro, sections of up to eight bars, and an ending that starts on a bar line."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from render_service.composer.bars import Bar
from render_service.composer.score import Section, SectionKind
from render_service.music.harmony import PHRASE_BARS
from render_service.music.tempo_map import TempoMap

_HALF = PHRASE_BARS // 2
_SHORTEST_BODY_BARS = 2
_TAIL_S = (1.2, 2.6)  # the final chord rings at least this long; at least so long in takes of 20 s and more
_LONG_TAKE_S = 20.0
_INTRO_SHARE = 0.75
_SHORTEST_WITH_INTRO_BARS = 6
_SHORTEST_WITH_OUTRO_BARS = 16
_OUTRO_SHARE = 0.5
_V, _C, _B = SectionKind.VERSE, SectionKind.CHORUS, SectionKind.BRIDGE
_FORMS = ((_V, _V, _C, _C, _V, _V), (_V, _C, _C, _B, _V, _C), (_C, _C, _V, _V, _C, _C), (_V, _C, _V, _C, _B, _C))
_FORM_SHARES = (0.35, 0.25, 0.2, 0.2)


@dataclass(frozen=True, kw_only=True)
class Form:
    """``sections`` in order, an ending included; ``bars`` before the ending."""

    sections: tuple[Section, ...]
    bars: tuple[Bar, ...]

    @property
    def ending(self) -> Section | None:
        """The section of the final chord, if there is one."""
        last = self.sections[-1] if self.sections else None
        return last if last is not None and last.kind is SectionKind.ENDING else None


def ending_start_s(tempo_map: TempoMap, seconds: float) -> float | None:
    """The bar line on which the final chord starts: the last one that leaves it time to ring.

    None if fewer than two bars come before it.
    """
    shortest, longest = _TAIL_S
    tail_s = shortest + (longest - shortest) * min(seconds / _LONG_TAKE_S, 1.0)
    starts = tempo_map.bars_s(seconds)
    fitting = [float(start) for start in starts[_SHORTEST_BODY_BARS:] if start <= seconds - tail_s]
    return fitting[-1] if fitting else None


def draw_form(rng: np.random.Generator, tempo_map: TempoMap, *, seconds: float, ending_s: float | None) -> Form:
    """Sections of up to eight bars, and all bars. Without an ending the last bar ends at ``seconds``."""
    body_end_s = seconds if ending_s is None else ending_s
    starts = [float(s) for s in tempo_map.bars_s(seconds) if s < body_end_s - 1e-4]
    if not starts:  # the take ends before its first downbeat
        return Form(sections=(), bars=())
    edges = [*starts, body_end_s]
    kinds = _draw_kinds(rng, len(starts))
    new_phrase = [kinds[i] is not kinds[i - 1] or i % PHRASE_BARS == 0 for i in range(len(kinds))]
    cuts = [0, *(i for i in range(1, len(kinds)) if new_phrase[i]), len(kinds)]
    sections, bars = [], []
    for first, end in pairwise(cuts):
        section = Section(kind=kinds[first], start_s=edges[first], end_s=edges[end])
        sections.append(section)
        bars += [_bar(i, edges[i], edges[i + 1], section, tempo_map) for i in range(first, end)]
    if ending_s is not None:
        sections.append(Section(kind=SectionKind.ENDING, start_s=ending_s, end_s=seconds))
    return Form(sections=tuple(sections), bars=tuple(bars))


def _draw_kinds(rng: np.random.Generator, count: int) -> list[SectionKind]:
    """The kind of each bar. The same number of draws for every length."""
    form = _FORMS[int(rng.choice(len(_FORMS), p=_FORM_SHARES))]
    has_intro, has_outro = rng.random() < _INTRO_SHARE, rng.random() < _OUTRO_SHARE
    intro_bars = 0
    if has_intro and count >= _SHORTEST_WITH_INTRO_BARS:
        intro_bars = _HALF if count >= _SHORTEST_WITH_OUTRO_BARS else _HALF // 2
    body = [form[i // _HALF % len(form)] for i in range(count - intro_bars)]
    kinds = [SectionKind.INTRO] * intro_bars + body
    if has_outro and count >= _SHORTEST_WITH_OUTRO_BARS:
        last = (count - 1 - intro_bars) // _HALF * _HALF + intro_bars
        kinds[last:] = [SectionKind.OUTRO] * (count - last)
    return kinds


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
