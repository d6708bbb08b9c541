"""Renders a composition as audio: four stems, each with the effects of its bus, and their sum.

Stem samples are multiples of 2**-23 of full scale, so in float32 they add up to the mix exactly, in any order.

Letters: ``T`` frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from render_service.composer.drumming import (
    CLAP,
    CLOSED_HAT,
    CRASH,
    CRASH_2,
    CYMBALS,
    KICK,
    OPEN_HAT,
    PEDAL_HAT,
    RIDE,
    RIM,
    SNARE,
)
from render_service.composer.score import Part, Score
from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from servicekit.delivery.names import STEMS
from training.corpus.bus import add_room, normalise_loudness, pan_gains, peak_of, saturate, widen
from training.corpus.caption import Caption
from training.corpus.compose import Stream, compose, generator_for
from training.corpus.composition import Composition
from training.corpus.loudness import levelling_lufs
from training.corpus.persona import PersonaSpec
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio, Soundfont, load_soundfont
from training.corpus.sub_bass import play_808
from training.corpus.voice import Singer, sing

_TARGET_LUFS = {"drums": -17.0, "bass": -19.5, "vocals": -17.5, "other": -19.0}
_TARGET_SPREAD_LU = 0.8
_MIX_LUFS = -15.0
_SLICE_FRAMES = 1 << 15  # the mix is summed in slices that fit the processor's cache
_LEVEL_STRIDE = 7  # a part's level is measured on every seventh frame
_PEAK = 10.0 ** (-1.0 / 20.0)
_STEP = 2.0**-23
_WET = {"drums": 0.5, "bass": 0.08, "vocals": 1.0, "other": 0.9}
_TILT = {"drums": 0.7, "bass": 0.4, "vocals": 0.8, "other": 1.0}
_PART_LEVEL = {Part.CHORDS: 1.0, Part.SECOND_CHORDS: 0.8, Part.LINE: 0.9}
_STROKE_LEVELS = {
    KICK: 1.0, SNARE: 0.8, RIM: 0.45, CLAP: 0.5, CLOSED_HAT: 0.32, PEDAL_HAT: 0.25, OPEN_HAT: 0.34, RIDE: 0.26,
    CRASH: 0.5, CRASH_2: 0.5, 50: 0.65, 48: 0.7, 45: 0.75, 41: 0.8,
}  # fmt: skip
_PERCUSSION_LEVEL = 0.35
"""Peak of a stroke at full velocity. Strokes are normalised to it, because the soundfont's kits differ by 30 dB."""
_PART_PAN = {Part.CHORDS: -0.35, Part.SECOND_CHORDS: 0.45, Part.LINE: 0.2}


@dataclass(frozen=True, kw_only=True)
class Song:
    """A rendered composition. ``stems`` in the order of :data:`STEMS`, float32 ``(2, T)``; ``mix`` is their exact sum."""

    seed: int
    persona: PersonaSpec
    caption: Caption
    instrumental: bool
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    score: Score
    stems: dict[str, Audio]
    mix: Audio
    sample_rate: int = SAMPLE_RATE_HZ


def songs(seeds: Iterable[int], seconds: float | None = None, *, soundfont: Soundfont | None = None) -> Iterator[Song]:
    """The song of each seed, rendered lazily."""
    for seed in seeds:
        yield perform(compose(seed, seconds=seconds), soundfont=soundfont)


def perform(composition: Composition, *, soundfont: Soundfont | None = None) -> Song:
    """Render a composition with a soundfont; the default is FluidR3_GM, loaded once per process."""
    font = soundfont if soundfont is not None else load_soundfont()
    frames = round(composition.seconds * SAMPLE_RATE_HZ)
    rng = generator_for(composition.seed, Stream.MIX)
    play = {
        "drums": partial(_drums, composition, font, frames),
        "bass": partial(_bass, composition, font, frames),
        "vocals": partial(_vocals, composition, frames),
        "other": partial(_other, composition, font, frames),
    }
    stems: dict[str, Audio] = {}
    for stem in STEMS:
        offset_lu = float(rng.normal(0.0, _TARGET_SPREAD_LU))
        stems[stem] = _apply_bus(stem, play[stem](), composition, offset_lu)
    return Song(
        seed=composition.seed,
        persona=composition.persona,
        caption=composition.caption,
        instrumental=composition.instrumental,
        tempo_map=composition.tempo_map,
        key=composition.key,
        chords=composition.chords,
        score=composition.score,
        stems=stems,
        mix=_sum(stems),
    )


def _drums(composition: Composition, font: Soundfont, frames: int) -> Audio:
    notes = [note for note in composition.score.notes if note.part is Part.KIT]
    brighter = 10.0 ** (composition.persona.cymbals_db / 20.0)
    levels = {
        key: _STROKE_LEVELS.get(key, _PERCUSSION_LEVEL) * (brighter if key in CYMBALS else 1.0)
        for key in {note.pitch for note in notes}
    }
    return font.strike(
        notes, kit=composition.persona.kit, tune=composition.persona.kit_tune, levels=levels, frames=frames
    )


def _bass(composition: Composition, font: Soundfont, frames: int) -> Audio:
    """Mono, ``(1, T)``."""
    notes = [note for note in composition.score.notes if note.part is Part.BASS]
    if composition.persona.bass.value is None:
        return play_808(notes, drive=composition.persona.drive, frames=frames)
    played = font.play(notes, program=composition.persona.bass.value, frames=frames)
    played[:1] += played[1:]
    return played[:1]


def _vocals(composition: Composition, frames: int) -> Audio:
    """The lead in the centre, doubling voices at the sides, the second voice in between."""
    rng, law, width = (
        generator_for(composition.seed, Stream.SINGERS),
        composition.persona.pan_law,
        composition.persona.width,
    )
    sung, voice = list(composition.score.sung), composition.persona.voice
    audio = np.zeros((2, frames), dtype=np.float32)
    sing(rng, sung, [note.pitch for note in sung], Singer(voice=voice, sides=pan_gains(0.0, law)), audio)
    for layer in range(max((note.layers for note in sung), default=0)):
        doubled = [note for note in sung if note.layers > layer]
        side = (-1.0 if layer % 2 == 0 else 1.0) * (0.35 + 0.55 * width)
        cents, delay_s = float(rng.normal(0.0, voice.detune_cents)), float(rng.uniform(0.006, 0.022))
        sides = pan_gains(side, law, level=0.5)
        singer = Singer(voice=voice, delay_s=delay_s, cents=cents, sides=sides)
        sing(rng, doubled, [note.pitch for note in doubled], singer, audio)
    above = [note for note in sung if note.harmony]
    second = Singer(voice=voice, delay_s=0.012, cents=4.0, sides=pan_gains(0.6 * width, law, level=0.55))
    sing(rng, above, [note.harmony for note in above], second, audio)
    return audio


def _other(composition: Composition, font: Soundfont, frames: int) -> Audio:
    """Each part at its own level and pan position."""
    persona, families = composition.persona, composition.caption.instrumentation
    programs = {
        Part.CHORDS: persona.rack(families[0]).chords,
        Part.SECOND_CHORDS: persona.rack(families[-1]).chords,
        Part.LINE: persona.rack(families[-1]).lines,
    }
    audio = np.zeros((2, frames), dtype=np.float32)
    for part, program in programs.items():
        notes = [note for note in composition.score.notes if note.part is part]
        if notes:
            played = font.play(notes, program=program, frames=frames)
            sample = np.ascontiguousarray(played[:, ::_LEVEL_STRIDE])
            loud = np.maximum(np.abs(sample[0]), np.abs(sample[1])) > 1e-3
            rms = float(np.sqrt(np.mean(np.square(sample[:, loud])))) if loud.any() else 1.0
            balance = _PART_PAN[part] * persona.width
            for side, share in enumerate((1.0 - max(balance, 0.0), 1.0 + min(balance, 0.0))):
                played[side] *= np.float32(share * _PART_LEVEL[part] * 0.1 / rms)
            audio += played
    return audio


def _apply_bus(stem: str, dry: Audio, composition: Composition, offset_lu: float) -> Audio:
    """The stem in its place in the mix, ``(1 or 2, T) -> (2, T)``."""
    if peak_of(dry) == 0.0:
        return np.zeros((2, dry.shape[1]), dtype=np.float32)
    persona = composition.persona
    reach = 0.9 if stem in {"other", "vocals"} else 0.3
    mood_tilt = reach * composition.caption.style.shape.brightness
    wet = _WET[stem] * persona.room.wet
    placed = add_room(dry, room=persona.room, wet=wet, tilt_db=_TILT[stem] * persona.tilt_db + mood_tilt)
    if stem in {"drums", "bass"}:
        placed = saturate(placed, 0.25 + 0.5 * persona.drive if stem == "drums" else 0.3 * persona.drive)
    if stem != "bass":
        placed = widen(placed, 0.3 + 0.7 * persona.width)
    return normalise_loudness(placed, _TARGET_LUFS[stem] + persona.balance_lu[STEMS.index(stem)] + offset_lu)


def _sum(stems: dict[str, Audio]) -> Audio:
    """The mix. Applies one gain to all stems in place, limited by the peak of the mix, and rounds them to the sample grid."""
    mix = stems["drums"] + stems["bass"]
    mix += stems["vocals"]
    mix += stems["other"]
    loudness = levelling_lufs(mix)
    target = 1.0 if loudness is None else 10.0 ** ((_MIX_LUFS - loudness) / 20.0)
    peak = peak_of(mix)
    gain = min(target, (_PEAK - 4 * _STEP) / peak) if peak > 0.0 else 1.0
    for start in range(0, mix.shape[1], _SLICE_FRAMES):
        part = slice(start, start + _SLICE_FRAMES)
        mix[:, part] = 0.0
        for stem in stems.values():
            section = stem[:, part]
            section *= np.float32(gain / _STEP)
            np.rint(section, out=section)
            section *= np.float32(_STEP)
            mix[:, part] += section
    return mix
