"""The bass: the chord's bass note on beat 1 of every bar, then a pattern of bass note, fifth and octave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from render_service.composer.bars import Bar, Outline, chord_at
from render_service.composer.score import Note, Part, SectionKind
from render_service.music.harmony import ChordSpan

LOWEST, HIGHEST = 28, 47
_SUB_LOWEST = 26
_MIN_GAP_S = 0.02  # a step closer than this to a chord change is dropped in favour of the change


@dataclass(frozen=True, kw_only=True)
class _Pattern:
    """Steps of a bar: (beat, interval), the interval 0 root, 7 fifth, 12 octave, 1 approach to the next root."""

    steps: tuple[tuple[float, int], ...]
    length: float


_EVERY = 99.0
_PATTERNS = (
    _Pattern(steps=((0.0, 0),), length=_EVERY),
    _Pattern(steps=((0.0, 0), (2.0, 0)), length=1.6),
    _Pattern(steps=((0.0, 0), (1.5, 0), (2.0, 7)), length=1.0),
    _Pattern(steps=((0.0, 0), (1.0, 0), (2.0, 7), (3.0, 1)), length=0.95),
    _Pattern(steps=((0.0, 0), (0.75, 0), (2.5, 0), (3.5, 7)), length=0.6),
    _Pattern(steps=tuple((k / 2.0, 0) for k in range(8)), length=0.45),
    _Pattern(steps=tuple((k / 2.0, 12 * (k % 2)) for k in range(8)), length=0.4),
    _Pattern(steps=((0.0, 0), (0.5, 0), (1.5, 12), (2.0, 0), (2.75, 7), (3.5, 1)), length=0.45),
)


def write_bass(rng: np.random.Generator, outline: Outline) -> list[Note]:
    """Notes for every bar; in some songs the intro has none."""
    density = outline.density(0.3)
    sub = outline.habits.sub_bass
    reach = 5 if sub else len(_PATTERNS)
    calm, full = (
        _PATTERNS[int(np.clip(rng.normal(centre, 1.2), 0, reach - 1))]
        for centre in (density * reach * 0.5, density * reach)
    )
    floor = _SUB_LOWEST if sub else LOWEST + int(rng.integers(0, 5))
    rests = rng.random() < 0.3
    force = outline.force(0.8, 0.15)
    notes: list[Note] = []
    for bar in outline.bars:
        if bar.section.kind is SectionKind.INTRO and rests:
            continue
        pattern = full if bar.section.kind.intensity > 0.7 else calm
        notes += _play_bar(bar, outline.chords, pattern, floor, force)
    return notes


def _play_bar(bar: Bar, chords: tuple[ChordSpan, ...], pattern: _Pattern, floor: int, force: float) -> list[Note]:
    changes = [chord.start_s for chord in chords if bar.start_s + 1e-3 < chord.start_s < bar.end_s - 1e-3]
    steps = [(bar.at(beat), interval) for beat, interval in pattern.steps if beat < bar.beats]
    intervals = {
        start: interval for start, interval in steps if all(abs(start - change) > _MIN_GAP_S for change in changes)
    }
    times = sorted({*intervals, *changes})
    notes = []
    for start, following in zip(times, [*times[1:], bar.end_s], strict=True):
        if start > bar.end_s - 0.03:
            continue
        end = min(following - 0.01, start + pattern.length * bar.beat_s, bar.end_s - 0.01)
        on_root = start in changes or start == bar.start_s
        pitch = _pitch(chords, start, bar.end_s, 0 if on_root else intervals.get(start, 0), floor)
        notes.append(
            Note(
                part=Part.BASS,
                start_s=start,
                end_s=max(end, start + 0.05),
                pitch=pitch,
                velocity=force if on_root else force * 0.88,
            )
        )
    return notes


def _pitch(chords: tuple[ChordSpan, ...], start_s: float, bar_end_s: float, interval: int, floor: int) -> int:
    chord = chord_at(chords, start_s)
    root = floor + (chord.bass - floor) % 12
    if interval == 1:
        target = floor + (chord_at(chords, bar_end_s).bass - floor) % 12
        between = [floor + (pc - floor) % 12 for pc in chord.pitch_classes]
        return min(between, key=lambda pitch: (abs(pitch - target), pitch))
    if interval == 7:
        pitch = root + (chord.root + 7 - chord.bass) % 12 if chord.quality.name != "DIM" else root
        return pitch if pitch <= HIGHEST else pitch - 12
    return root + interval
