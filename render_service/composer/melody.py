"""Melodies: phrases of two bars over the chords with a recurring rhythmic motif and breaths in between.

One melody is sung, with doubled voices in choruses; another is the line of the stem "other".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from render_service.composer.accompaniment import voice_chords
from render_service.composer.bars import Bar, Outline, chord_at
from render_service.composer.score import CONSONANTS, VOWELS, Note, Part, SectionKind, SungNote
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key

_PHRASE_BARS = 2
_BREATH_BEATS = 0.5


@dataclass(frozen=True, kw_only=True)
class _Tone:
    start_s: float
    end_s: float
    pitch: int
    phrase: int
    accented: bool
    section: SectionKind


def write_vocals(rng: np.random.Generator, outline: Outline) -> list[SungNote]:
    """The lead voice; in choruses with the number of doubling voices and the pitch of a second one."""
    habits, shape, chords = outline.habits, outline.style.shape, outline.chords
    density = float(np.clip(0.35 + 0.3 * habits.density + 0.25 * shape.density, 0.1, 0.95))
    centre = habits.voice_pitch + round(3 * shape.register)
    kinds = {SectionKind.VERSE, SectionKind.CHORUS, SectionKind.BRIDGE}
    tones = _sing(rng, [bar for bar in outline.bars if bar.section.kind in kinds], outline, centre, density)
    stacks = int(rng.integers(1, 4))
    harmonised = rng.random() < 0.6
    thirds = voice_chords(chords, centre + 6)
    words = rng.integers(0, CONSONANTS, size=(len(tones), 1)), rng.integers(0, VOWELS, size=(len(tones), 1))
    sung = []
    for i, tone in enumerate(tones):
        full = tone.section is SectionKind.CHORUS
        above = [p for p in thirds[chord_at(chords, tone.start_s)] if 2 < p - tone.pitch < 10]
        sung.append(
            SungNote(
                start_s=tone.start_s,
                end_s=tone.end_s,
                pitch=tone.pitch,
                velocity=min(max(0.7 + 0.2 * shape.force + (0.1 if full else 0.0), 0.4), 1.0),
                consonant=int(words[0][i, 0]),
                vowel=int(words[1][i, 0]),
                phrase=tone.phrase,
                layers=stacks if full else int(rng.random() < 0.1),
                harmony=above[0] if full and harmonised and above else 0,
            )
        )
    return sung


def write_line(rng: np.random.Generator, outline: Outline, sung: list[SungNote]) -> list[Note]:
    """An instrument's melody, where nobody sings."""
    shape = outline.style.shape
    centre = 72 + round(6 * shape.register)
    density = float(np.clip(0.5 + 0.35 * shape.density, 0.1, 0.9))
    tones = _sing(rng, list(outline.bars), outline, centre, density)
    busy = np.array([(note.start_s, note.end_s) for note in sung]).reshape(-1, 2)
    notes = []
    for tone in tones:
        if np.any((busy[:, 0] < tone.end_s) & (busy[:, 1] > tone.start_s)):
            continue
        velocity = 0.75 if tone.accented else 0.62
        notes.append(Note(part=Part.LINE, start_s=tone.start_s, end_s=tone.end_s, pitch=tone.pitch, velocity=velocity))
    return notes


def _sing(rng: np.random.Generator, bars: list[Bar], outline: Outline, centre: int, density: float) -> list[_Tone]:
    motifs: dict[SectionKind, dict[int, list[float]]] = {kind: {} for kind in SectionKind}
    tones: list[_Tone] = []
    pitch = float(centre)
    for phrase, first in enumerate(range(0, len(bars), _PHRASE_BARS)):
        pair = bars[first : first + _PHRASE_BARS]
        chorus = pair[0].section.kind is SectionKind.CHORUS
        aim = centre + (4 if chorus else 0)
        rhythm = motifs[pair[0].section.kind]
        for position, bar in enumerate(pair):
            slot = bar.beats * 2 + position
            if slot not in rhythm:
                rhythm[slot] = _draw_rhythm(rng, bar.beats, density, last=position == _PHRASE_BARS - 1)
            for start, end, at in _times(bar, rhythm[slot]):
                strong = at % 1.0 == 0.0
                pitch = _next_pitch(rng, pitch, aim, outline.key, chord_at(outline.chords, start), strong=strong)
                tones.append(
                    _Tone(
                        start_s=start,
                        end_s=end,
                        pitch=int(pitch),
                        phrase=phrase,
                        accented=strong,
                        section=bar.section.kind,
                    )
                )
    return tones


def _draw_rhythm(rng: np.random.Generator, beats: int, density: float, *, last: bool) -> list[float]:
    """Onsets of a bar in beats, then its end in beats; the last bar of a phrase ends with a rest."""
    steps = np.arange(0.0, beats - (1.0 if last else 0.0), 0.5)
    weight = np.where(steps % 2 == 0, 0.95, np.where(steps % 1 == 0, 0.5 + 0.4 * density, 0.75 * density))
    onsets = [float(step) for step in steps[rng.random(len(steps)) < weight]] or [0.0]
    extra = [at + 0.25 for at in onsets if rng.random() < 0.12 * density]
    return [*sorted(onsets + extra), beats - (_BREATH_BEATS if last else 0.0)]


def _times(bar: Bar, rhythm: list[float]) -> list[tuple[float, float, float]]:
    """(start_s, end_s, beat) of the notes that start inside the bar."""
    edges = [bar.at(at) for at in rhythm]
    spans = zip(edges[:-1], edges[1:], rhythm[:-1], strict=True)
    return [(start, min(end, bar.end_s) - 0.015, at) for start, end, at in spans if start < bar.end_s - 0.08]


def _next_pitch(
    rng: np.random.Generator, last: float, aim: float, key: Key, chord: ChordSpan, *, strong: bool
) -> float:
    """A pitch near the last one, drawn towards ``aim``: a chord note on strong beats, otherwise a note of the scale."""
    target = last + rng.normal(0.0, 2.4) + 0.25 * (aim - last)
    allowed = set(chord.pitch_classes) if strong else {*key.scale}
    options = [p for p in range(int(aim) - 9, int(aim) + 10) if p % 12 in allowed]
    cost = [abs(p - target) + (1.0 if p == last else 0.0) for p in options]
    return float(options[cost.index(min(cost))])
