"""Chords as a caller writes them: ``Am F C G``, ``| Am F | C G/B |``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from render_service.music.harmony import ChordQuality, ChordSpan, cover_take
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap
from servicekit.key_names import pitch_class

MAX_CHARACTERS = 2000
MAX_BARS = 256
MAX_CHORDS_PER_BAR = 8
_SYMBOL = re.compile(r"([A-G][#b♯♭]?)(maj7|M7|maj|min7|min|m7|m|dim|7|sus4|sus|)(?:/([A-G][#b♯♭]?))?")
_EXAMPLES = '"A", "Am", "A7", "Amaj7", "Am7", "Adim", "Asus4" or "Am/C"'
_Q = ChordQuality
_QUALITIES = {
    "": _Q.MAJ,
    "maj": _Q.MAJ,
    "m": _Q.MIN,
    "min": _Q.MIN,
    "dim": _Q.DIM,
    "7": _Q.DOM7,
    "maj7": _Q.MAJ7,
    "M7": _Q.MAJ7,
    "m7": _Q.MIN7,
    "min7": _Q.MIN7,
    "sus4": _Q.SUS4,
    "sus": _Q.SUS4,
}
_ASCII = str.maketrans({"♯": "#", "♭": "b"})
_ROUND_BEATS = 4  # decimals of a bar's first beat position: bars lie on beats, but for a metre that was cut short


class ChordTextError(ValueError):
    """Chords that cannot be read; the message names the symbol."""


@dataclass(frozen=True, kw_only=True)
class Chord:
    """A chord without a time. ``root`` and ``bass`` are pitch classes, 0 = C to 11 = B."""

    root: int
    quality: ChordQuality
    bass: int

    def span(self, start_s: float, end_s: float) -> ChordSpan:
        """The chord from ``start_s`` to ``end_s``."""
        return ChordSpan(start_s=start_s, end_s=end_s, root=self.root, quality=self.quality, bass=self.bass)


Progression = tuple[tuple[Chord, ...], ...]
"""The chords of each bar; those of one bar share it."""


def read_chords(text: str) -> Progression:
    """Read chord symbols. Raises :class:`ChordTextError`.

    Between bar lines (``|``) all chords share a bar. Without bar lines each chord has a bar of its own; a comma joins chords that
    share one: ``Am,F C G``.
    """
    if len(text) > MAX_CHARACTERS:
        raise ChordTextError(f"must have at most {MAX_CHARACTERS} characters, got {len(text)}")
    if "|" in text:
        bars = [bar.replace(",", " ").split() for bar in text.split("|") if bar.strip()]
    else:
        bars = [[symbol for symbol in bar.split(",") if symbol] for bar in re.sub(r"\s*,\s*", ",", text).split()]
    bars = [bar for bar in bars if bar]
    if not 1 <= len(bars) <= MAX_BARS:
        raise ChordTextError(f"must have 1 to {MAX_BARS} bars of chords, got {len(bars) or 'none'}")
    crowded = next((bar for bar in bars if len(bar) > MAX_CHORDS_PER_BAR), None)
    if crowded is not None:
        raise ChordTextError(
            f"must have at most {MAX_CHORDS_PER_BAR} chords a bar, got {len(crowded)}: {' '.join(crowded)}"
        )
    return tuple(tuple(_read_symbol(symbol) for symbol in bar) for bar in bars)


def lay_chords(
    progression: Progression, *, key: Key, tempo_map: TempoMap, seconds: float, ending_s: float | None
) -> tuple[ChordSpan, ...]:
    """A progression from the first downbeat on, repeated to fill the take. The chords cover ``[0, seconds)``.

    ``ending_s``: the bar line from which one chord sounds to the end. It is the caller's, if the progression reaches that
    bar without a repetition, otherwise the tonic.
    """
    starts = [float(start) for start in tempo_map.bars_s(seconds)]
    spans: list[ChordSpan] = []
    for i, start in enumerate(starts):
        bar = progression[i % len(progression)]
        if ending_s is not None and start > ending_s - 1e-3:
            final = bar[0] if i < len(progression) else _tonic(key)
            spans.append(final.span(start, seconds))
            break
        end = starts[i + 1] if i + 1 < len(starts) else seconds
        spans += _lay_bar(bar, tempo_map, start, end)
    return cover_take(spans, key, seconds)


def _read_symbol(symbol: str) -> Chord:
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        raise ChordTextError(f"must consist of chord symbols such as {_EXAMPLES}, got {symbol[:32]!r}")
    root, quality, bass = match.groups()
    root_class = pitch_class(root.translate(_ASCII))
    return Chord(
        root=root_class,
        quality=_QUALITIES[quality],
        bass=pitch_class(bass.translate(_ASCII)) if bass else root_class,
    )


def _tonic(key: Key) -> Chord:
    return Chord(root=key.tonic, quality=_Q.MAJ if key.mode is Mode.MAJOR else _Q.MIN, bass=key.tonic)


def _lay_bar(bar: tuple[Chord, ...], tempo_map: TempoMap, start_s: float, end_s: float) -> list[ChordSpan]:
    """Chords that share a bar change on its beats, the first one lasting longest; what starts after a bar cut short is dropped."""
    beats = float(tempo_map.beats_per_bar_at([start_s + 1e-6])[0])
    shares = [i * beats / len(bar) for i in range(len(bar))]
    offsets = [math.ceil(share) for share in shares] if len(bar) <= beats else shares
    first_beat = round(float(tempo_map.beat_position([start_s])[0]), _ROUND_BEATS)
    starts = [float(second) for second in tempo_map.second_of_beat([first_beat + offset for offset in offsets])]
    edges = [start_s, *starts[1:], end_s]
    return [
        chord.span(min(edges[i], end_s), min(edges[i + 1], end_s)) for i, chord in enumerate(bar) if edges[i] < end_s
    ]
