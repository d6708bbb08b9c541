"""The chords of the stem "other", played by the instrument families in patterns of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from render_service.composer.bars import Bar, Outline
from render_service.composer.score import Note, Part, SectionKind
from render_service.composer.style import Instrumentation
from render_service.music.harmony import ChordSpan

_STRUM_S = 0.009  # delay between strings
_CENTRE = 62
_RELEASE_S = 0.02

BarPlayer = Callable[[Bar, list[tuple[float, float, list[int]]], Part, float], list[Note]]
"""Returns the notes of a bar, given its chords as (start_s, end_s, pitches), the part, and the velocity 0 to 1."""


def write_chords(rng: np.random.Generator, outline: Outline) -> list[Note]:
    """Chord parts for one or two families; the second one plays full sections and bridges, in half of the songs everything."""
    density, velocity = outline.density(0.4), outline.force(0.65, 0.25)
    families, chords, shape = outline.style.instrumentation, outline.chords, outline.style.shape
    notes: list[Note] = []
    for family, part in zip(families, (Part.CHORDS, Part.SECOND_CHORDS), strict=False):
        calm, full = _draw_player(rng, family, density * 0.6), _draw_player(rng, family, density)
        centre = _CENTRE + round(7 * shape.register) - (5 if family is Instrumentation.BRASS else 0)
        voicings = voice_chords(chords, centre + (5 if part is Part.SECOND_CHORDS else 0))
        plays_all = part is Part.CHORDS or rng.random() < 0.5
        for bar in outline.bars:
            lively = bar.section.kind.intensity > 0.7
            if plays_all or lively or bar.section.kind is SectionKind.BRIDGE:
                player = full if lively else calm
                notes += player(bar, _chords_of(bar, chords, voicings), part, velocity * (1.0 if lively else 0.85))
    return notes


def voice_chords(chords: tuple[ChordSpan, ...], centre: int) -> dict[ChordSpan, list[int]]:
    """Pitches of each chord in close position, near the previous chord and near the pitch ``centre``."""
    voicings: dict[ChordSpan, list[int]] = {}
    last = float(centre)
    for chord in chords:
        aim = 0.5 * (last + centre)
        tones = chord.pitch_classes
        options = [
            _stack(tones[turn:] + tones[:turn], floor)
            for turn in range(len(tones))
            for floor in (centre - 14, centre - 2)
        ]
        best = min(options, key=lambda option: (abs(_mean(option) - aim), option))
        voicings[chord] = best
        last = _mean(best)
    return voicings


def _mean(pitches: list[int]) -> float:
    return sum(pitches) / len(pitches)  # for a few numbers, numpy takes twenty times as long


def _stack(tones: tuple[int, ...], floor: int) -> list[int]:
    pitches = [floor + (tones[0] - floor) % 12]
    for tone in tones[1:]:
        pitches.append(pitches[-1] + ((tone - pitches[-1]) % 12 or 12))
    return pitches


def _chords_of(
    bar: Bar, chords: tuple[ChordSpan, ...], voicings: dict[ChordSpan, list[int]]
) -> list[tuple[float, float, list[int]]]:
    inside = [chord for chord in chords if chord.start_s < bar.end_s - 1e-3 and chord.end_s > bar.start_s + 1e-3]
    return [(max(chord.start_s, bar.start_s), min(chord.end_s, bar.end_s), voicings[chord]) for chord in inside]


def _draw_player(rng: np.random.Generator, family: Instrumentation, density: float) -> BarPlayer:
    """A random player of the family, around ``density``: they are listed from sparse to dense."""
    players = _PLAYERS[family]
    return players[int(np.clip(np.round(rng.normal(density * (len(players) - 1), 0.6)), 0, len(players) - 1))]


def _sustained(bar: Bar, spans: list[tuple[float, float, list[int]]], part: Part, velocity: float) -> list[Note]:
    del bar
    return [_note(part, start, end - _RELEASE_S, pitch, velocity) for start, end, pitches in spans for pitch in pitches]


def _struck(
    bar: Bar,
    spans: list[tuple[float, float, list[int]]],
    part: Part,
    velocity: float,
    *,
    beats: tuple[float, ...],
    length: float,
) -> list[Note]:
    """The whole chord at each of ``beats``, ``length`` beats long."""
    beat_s = bar.beat_s
    notes = []
    for beat in beats:
        start = bar.at(beat)
        if beat >= bar.beats or start > bar.end_s - 0.04:
            continue
        accent = velocity if beat % 2 == 0 else velocity * 0.85
        end = min(start + length * beat_s, bar.end_s) - _RELEASE_S
        notes += [_note(part, start, end, pitch, accent) for pitch in _sounding(spans, start)]
    return notes


def _strummed(
    bar: Bar, spans: list[tuple[float, float, list[int]]], part: Part, velocity: float, *, beats: tuple[float, ...]
) -> list[Note]:
    """Five or six strings in quick succession, down on the beat and up between beats."""
    notes = []
    times = [(beat, bar.at(beat)) for beat in beats if beat < bar.beats]
    for (beat, start), end in zip(times, [*(t for _, t in times[1:]), bar.end_s], strict=True):
        if start > bar.end_s - 0.06:
            continue
        pitches = _sounding(spans, start)
        strings = sorted({*pitches, pitches[0] - 12 if pitches[0] > 52 else pitches[0] + 12, pitches[1] + 12})
        down = beat % 1.0 == 0.0
        for i, pitch in enumerate(strings if down else strings[::-1][:4]):
            notes.append(_note(part, start + i * _STRUM_S, end - _RELEASE_S, pitch, velocity * (0.95 if down else 0.7)))
    return notes


def _arpeggio(
    bar: Bar, spans: list[tuple[float, float, list[int]]], part: Part, velocity: float, *, step: float, ring: float
) -> list[Note]:
    """One note per ``step`` beats, up and down the chord and its octave, each ``ring`` beats long."""
    beat_s = bar.beat_s
    notes = []
    for i, beat in enumerate(np.arange(0.0, bar.beats, step)):
        start = bar.at(float(beat))
        if start > bar.end_s - 0.04:
            continue
        pitches = _sounding(spans, start)
        ladder = [*pitches, pitches[0] + 12, *pitches[:0:-1]]
        accent = velocity if i % round(1 / step) == 0 else velocity * 0.8
        notes.append(
            _note(part, start, min(start + ring * beat_s, bar.end_s) - _RELEASE_S, ladder[i % len(ladder)], accent)
        )
    return notes


def _sounding(spans: list[tuple[float, float, list[int]]], second: float) -> list[int]:
    return next((pitches for start, end, pitches in spans if start - 1e-3 <= second < end - 1e-3), spans[-1][2])


def _note(part: Part, start_s: float, end_s: float, pitch: int, velocity: float) -> Note:
    return Note(part=part, start_s=start_s, end_s=max(end_s, start_s + 0.04), pitch=pitch, velocity=velocity)


def _at(*beats: float, length: float) -> BarPlayer:
    return lambda bar, spans, part, velocity: _struck(bar, spans, part, velocity, beats=beats, length=length)


def _strum(*beats: float) -> BarPlayer:
    return lambda bar, spans, part, velocity: _strummed(bar, spans, part, velocity, beats=beats)


def _arp(step: float, ring: float) -> BarPlayer:
    return lambda bar, spans, part, velocity: _arpeggio(bar, spans, part, velocity, step=step, ring=ring)


_EVERY_BEAT = tuple(float(k) for k in range(16))
_OFF_BEATS = tuple(k + 0.5 for k in range(16))
_EIGHTHS = tuple(k / 2.0 for k in range(32))
_PUSHED = (0.0, 1.5, 3.0, 4.5, 6.0)
_PLAYERS: dict[Instrumentation, tuple[BarPlayer, ...]] = {
    Instrumentation.PIANO: (
        _sustained,
        _arp(0.5, 2.0),
        _at(0.0, 2.0, 4.0, 6.0, length=1.9),
        _at(*_EVERY_BEAT, length=0.9),
        _at(*_PUSHED, length=1.2),
        _arp(0.25, 1.0),
    ),
    Instrumentation.ELECTRIC_PIANO: (
        _sustained,
        _at(0.0, 1.5, 4.0, length=1.4),
        _at(*_PUSHED, length=0.7),
        _at(*_OFF_BEATS, length=0.4),
    ),
    Instrumentation.ACOUSTIC_GUITAR: (
        _arp(0.5, 3.0),
        _strum(0.0, 2.0, 4.0, 6.0),
        _strum(0.0, 1.0, 1.5, 2.5, 3.0, 3.5, 4.0),
        _strum(*_EIGHTHS),
    ),
    Instrumentation.ELECTRIC_GUITAR: (
        _strum(0.0, 4.0),
        _at(*_PUSHED, length=1.3),
        _strum(0.0, 1.0, 2.0, 2.5, 3.5),
        _at(*_EIGHTHS, length=0.42),
    ),
    Instrumentation.STRINGS: (_sustained, _sustained, _at(0.0, 2.0, 4.0, 6.0, length=1.9), _at(*_EIGHTHS, length=0.4)),
    Instrumentation.SYNTHS: (_sustained, _sustained, _arp(0.5, 0.5), _at(*_OFF_BEATS, length=0.45), _arp(0.25, 0.25)),
    Instrumentation.ORGAN: (
        _sustained,
        _at(0.0, 1.5, 4.0, length=1.4),
        _at(*_OFF_BEATS, length=0.4),
        _at(*_EVERY_BEAT, length=0.7),
    ),
    Instrumentation.BRASS: (
        _sustained,
        _at(0.0, 2.5, 4.0, length=0.8),
        _at(0.0, 1.5, 3.5, 4.5, length=0.4),
        _at(0.0, 0.75, 1.5, 2.5, 3.0, 4.5, length=0.3),
    ),
    Instrumentation.MALLETS: (_arp(1.0, 2.0), _at(0.0, 1.5, 4.0, length=1.5), _arp(0.5, 1.0), _arp(0.25, 0.5)),
}
