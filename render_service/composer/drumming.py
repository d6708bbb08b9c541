"""The drums: one pattern per take, fills before new sections, crashes where choruses start. Every stroke is on the grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from render_service.composer.bars import Bar, Outline
from render_service.composer.score import Note, Part, SectionKind

KICK, RIM, SNARE, CLAP = 36, 37, 38, 39
CLOSED_HAT, PEDAL_HAT, OPEN_HAT, CRASH, RIDE, CRASH_2 = 42, 44, 46, 49, 51, 57
TOMS = (50, 48, 45, 41)
_RING_S = {CRASH: 4.0, CRASH_2: 4.0, RIDE: 0.9, OPEN_HAT: 0.6}
CYMBALS = frozenset({CLOSED_HAT, PEDAL_HAT, OPEN_HAT, CRASH, RIDE, CRASH_2})
_FULL = 0.7  # sections of at least this intensity play the whole pattern


@dataclass(frozen=True, kw_only=True)
class _Groove:
    """A pattern for one bar; positions in beats."""

    kick: tuple[float, ...]
    snare: tuple[float, ...]
    hat_step: float
    off_beat_open: bool = False
    ride: bool = False


_GROOVES = (
    _Groove(kick=(0, 2), snare=(1, 3), hat_step=0.5),
    _Groove(kick=(0, 1.5, 2), snare=(1, 3), hat_step=0.5),
    _Groove(kick=(0, 2, 2.5), snare=(1, 3), hat_step=0.5, ride=True),
    _Groove(kick=(0, 1, 2, 3), snare=(1, 3), hat_step=0.5, off_beat_open=True),
    _Groove(kick=(0, 1, 2, 3), snare=(1, 3), hat_step=0.25, off_beat_open=True),
    _Groove(kick=(0, 0.75, 2.5), snare=(1, 3), hat_step=0.5),
    _Groove(kick=(0, 1.75, 2.25), snare=(1, 3), hat_step=0.25),
    _Groove(kick=(0, 1.5), snare=(2,), hat_step=0.5),
    _Groove(kick=(0, 0.75, 3.5), snare=(2,), hat_step=0.25),
    _Groove(kick=(0, 1.5, 2, 3.5), snare=(1, 3), hat_step=0.5, ride=True),
    _Groove(kick=(0, 1.5, 2.5), snare=(0.75, 1.5, 2.25, 3), hat_step=0.5),
)
_METRE_GROOVES = {
    3: (_Groove(kick=(0,), snare=(1, 2), hat_step=0.5), _Groove(kick=(0, 1.5), snare=(2,), hat_step=0.5, ride=True)),
    5: (_Groove(kick=(0, 1.5, 3), snare=(2, 4), hat_step=0.5),),
    6: (_Groove(kick=(0, 5), snare=(3,), hat_step=1.0), _Groove(kick=(0, 2, 4), snare=(3,), hat_step=0.5)),
    7: (_Groove(kick=(0, 3.5, 4), snare=(2, 6), hat_step=0.5),),
}

# Per set: (key, positions within each beat, velocity); set 0 is empty.
_PERCUSSION: tuple[tuple[tuple[int, tuple[float, ...], float], ...], ...] = (
    (),
    ((54, (0.5,), 0.5), (39, (), 0.6)),
    ((70, (0.0, 0.25, 0.5, 0.75), 0.45), (64, (0.75,), 0.5), (63, (0.5,), 0.55)),
    ((70, (0.0, 0.5), 0.4), (75, (0.25,), 0.4)),
    ((82, (0.25, 0.75), 0.45), (56, (0.0,), 0.35)),
)


@dataclass(frozen=True, kw_only=True)
class _Style:
    grooves: dict[int, _Groove]
    force: float
    rolls: bool
    percussion: tuple[tuple[int, tuple[float, ...], float], ...]
    clap: bool
    ghosts: bool
    rests_in_intro: bool


def ring_s(key: int) -> float:
    """How long a stroke of a General MIDI percussion key may ring, in seconds."""
    return _RING_S.get(key, 0.8)


def write_drums(rng: np.random.Generator, outline: Outline) -> list[Note]:
    """Notes of the drum kit for every bar."""
    style = _draw_style(rng, outline)
    bars = outline.bars
    notes = _count_in(outline)
    for bar in bars:
        fills = bar.closes_section and (bar is not bars[-1] or outline.ending is not None) and rng.random() < 0.85
        crashes, key = rng.random() < _crash_share(bar, first=bar is bars[0]), CRASH if rng.random() < 0.7 else CRASH_2
        if crashes:
            notes.append(_stroke(bar, 0.0, key, 0.95 * style.force))
        if bar.section.kind is SectionKind.INTRO and style.rests_in_intro:
            notes += _fill(rng, bar, bar.beats - 1.0, style.force) if fills and bar.beats > 1 else []
        else:
            notes += _play_bar(rng, bar, style, fills=fills)
    return notes


def _crash_share(bar: Bar, *, first: bool) -> float:
    if not bar.opens_section or bar.section.kind is SectionKind.INTRO:
        return 0.0
    if bar.section.kind is SectionKind.CHORUS:
        return 0.5 if first else 0.9
    return 0.0 if first else 0.35


def _count_in(outline: Outline) -> list[Note]:
    """The beats before the first downbeat, on the closed hat."""
    if not outline.bars:
        return []
    first = outline.bars[0]
    beats = first.tempo_map.beats_s(max(first.start_s - 0.01, 0.0))
    return [
        Note(part=Part.KIT, start_s=float(at), end_s=float(at) + 0.4, pitch=CLOSED_HAT, velocity=0.7) for at in beats
    ]


def _draw_style(rng: np.random.Generator, outline: Outline) -> _Style:
    density, habits = outline.density(0.35), outline.habits
    order = sorted(_GROOVES, key=lambda groove: len(groove.kick) + 1.5 / groove.hat_step)
    centre = density * (len(order) - 1)
    at = int(np.clip(np.round(rng.normal(centre, 2.0)), 0, len(order) - 1))
    grooves = {metre: options[rng.integers(len(options))] for metre, options in _METRE_GROOVES.items()}
    grooves[4] = order[at]
    return _Style(
        grooves=grooves,
        force=outline.force(0.75, 0.2),
        rolls=habits.electronic_kit and density > 0.5,
        percussion=_PERCUSSION[habits.percussion] if density > 0.3 else (),
        clap=habits.electronic_kit or habits.percussion == 1,
        ghosts=density > 0.6 and not habits.electronic_kit,
        rests_in_intro=rng.random() < 0.35,
    )


def _groove(style: _Style, beats: int) -> _Groove:
    if beats in style.grooves:
        return style.grooves[beats]
    back = tuple(float(b) for b in range(1, beats, 2))
    return _Groove(kick=tuple(float(b) for b in range(0, beats, 2)), snare=back, hat_step=0.5)


def _play_bar(rng: np.random.Generator, bar: Bar, style: _Style, *, fills: bool) -> list[Note]:
    groove = _groove(style, bar.beats)
    intensity = bar.section.kind.intensity
    until = bar.beats - float(rng.choice([1.0, 2.0])) if fills else float(bar.beats)
    notes = _hats(rng, bar, groove, style, until)
    if intensity >= 0.45 or bar.index % 2 == 1:
        notes += [_stroke(bar, at, KICK, style.force * (1.0 if at == 0 else 0.9)) for at in groove.kick if at < until]
    if intensity >= 0.45:
        notes += _snares(rng, bar, groove, style, until)
    if intensity >= _FULL:
        notes += _percussion(bar, style, until)
    if fills:
        notes += _fill(rng, bar, until, style.force)
    return notes


def _snares(rng: np.random.Generator, bar: Bar, groove: _Groove, style: _Style, until: float) -> list[Note]:
    hit = RIM if bar.section.kind is SectionKind.BRIDGE else SNARE
    notes = [_stroke(bar, at, hit, style.force) for at in groove.snare if at < until]
    if style.clap and bar.section.kind is SectionKind.CHORUS:
        notes += [_stroke(bar, at, CLAP, style.force * 0.8) for at in groove.snare if at < until]
    if style.ghosts:
        free = [at for at in np.arange(0.75, until, 0.5) if at not in groove.snare and at not in groove.kick]
        notes += [_stroke(bar, float(at), SNARE, 0.25) for at in free if rng.random() < 0.2]
    return notes


def _hats(rng: np.random.Generator, bar: Bar, groove: _Groove, style: _Style, until: float) -> list[Note]:
    full = bar.section.kind.intensity >= _FULL
    key = RIDE if groove.ride and full else CLOSED_HAT
    step = groove.hat_step if bar.section.kind.intensity >= 0.45 else max(0.5, groove.hat_step)
    notes = []
    for at in np.arange(0.0, until, step):
        accent = 0.75 if at % 1.0 == 0.0 else 0.5
        opened = full and at % 1.0 == 0.5 and (groove.off_beat_open or rng.random() < 0.04)
        velocity = accent * style.force * (0.6 if key == RIDE else 1.0)
        notes.append(_stroke(bar, float(at), OPEN_HAT if opened else key, velocity))
        if style.rolls and not opened and step == 0.5 and rng.random() < 0.2:
            notes.append(_stroke(bar, float(at + 0.25), CLOSED_HAT, 0.45))
    return notes


def _percussion(bar: Bar, style: _Style, until: float) -> list[Note]:
    return [
        _stroke(bar, beat + part, key, velocity)
        for key, parts, velocity in style.percussion
        for beat in range(bar.beats)
        for part in parts
        if beat + part < until
    ]


def _fill(rng: np.random.Generator, bar: Bar, start: float, force: float) -> list[Note]:
    steps = np.arange(start, bar.beats, 0.25)
    keep = rng.random(len(steps)) < 0.8
    keep[0] = True
    drums = (SNARE, *TOMS) if rng.random() < 0.7 else (SNARE,)
    notes = []
    for i in np.flatnonzero(keep):
        drum = drums[min(len(drums) - 1, int(i * len(drums) / len(steps)))]
        notes.append(_stroke(bar, float(steps[i]), drum, force * (0.65 + 0.3 * i / len(steps))))
    return notes


def _stroke(bar: Bar, at: float, key: int, velocity: float) -> Note:
    start = bar.at(at)
    return Note(
        part=Part.KIT,
        start_s=start,
        end_s=start + ring_s(key),
        pitch=key,
        velocity=min(max(velocity, 0.05), 1.0),
    )
