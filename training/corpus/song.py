"""Renders a score as audio: four stems, each with the effects of its bus, and their sum.

Stem samples are multiples of 2**-23 of full scale, so in float32 they add up to the mix exactly, in any order.

Letters: ``T`` frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from render_service.music.harmony import ChordSpan
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from servicekit.delivery.names import STEMS
from training.corpus.bus import add_room, normalise_loudness, pan, saturate, widen
from training.corpus.caption import Caption
from training.corpus.compose import Stream, compose, generator_for
from training.corpus.drumming import CYMBALS, PERCUSSION_LEVEL, STROKE_LEVELS
from training.corpus.loudness import loudness_lufs
from training.corpus.persona import PersonaSpec
from training.corpus.score import Event, Part, Score, Section
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio, Soundfont, load_soundfont
from training.corpus.sub_bass import play_808
from training.corpus.voice import Singer, sing

_TARGET_LUFS = {"drums": -17.0, "bass": -19.5, "vocals": -17.5, "other": -19.0}
_TARGET_SPREAD_LU = 0.8
_MIX_LUFS = -15.0
_PEAK = 10.0 ** (-1.0 / 20.0)
_STEP = 2.0**-23
_WET = {"drums": 0.5, "bass": 0.08, "vocals": 1.0, "other": 0.9}
_TILT = {"drums": 0.7, "bass": 0.4, "vocals": 0.8, "other": 1.0}
_PART_LEVEL = {Part.CHORDS: 1.0, Part.SECOND_CHORDS: 0.8, Part.LINE: 0.9}
_PART_PAN = {Part.CHORDS: -0.35, Part.SECOND_CHORDS: 0.45, Part.LINE: 0.2}


@dataclass(frozen=True, kw_only=True)
class Song:
    """A rendered score. ``stems`` in the order of :data:`STEMS`, float32 ``(2, T)``; ``mix`` is their exact sum."""

    seed: int
    persona: PersonaSpec
    caption: Caption
    instrumental: bool
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    sections: tuple[Section, ...]
    events: tuple[Event, ...]
    stems: dict[str, Audio]
    mix: Audio
    sample_rate: int = SAMPLE_RATE_HZ


def songs(seeds: Iterable[int], seconds: float | None = None, *, soundfont: Soundfont | None = None) -> Iterator[Song]:
    """The song of each seed, rendered lazily."""
    for seed in seeds:
        yield perform(compose(seed, seconds=seconds), soundfont=soundfont)


def perform(score: Score, *, soundfont: Soundfont | None = None) -> Song:
    """Render a score with a soundfont; the default is FluidR3_GM, loaded once per process."""
    font = soundfont if soundfont is not None else load_soundfont()
    frames = round(score.seconds * SAMPLE_RATE_HZ)
    rng = generator_for(score.seed, Stream.MIX)
    dry = {
        "drums": _drums(score, font, frames),
        "bass": _bass(score, font, frames),
        "vocals": _vocals(score, frames),
        "other": _other(score, font, frames),
    }
    levelled: dict[str, Audio] = {}
    for stem in STEMS:
        offset_lu = float(rng.normal(0.0, _TARGET_SPREAD_LU))
        levelled[stem] = _apply_bus(stem, dry[stem], score, offset_lu)
    stems, mix = _sum(levelled)
    return Song(
        seed=score.seed,
        persona=score.persona,
        caption=score.caption,
        instrumental=score.instrumental,
        tempo_map=score.tempo_map,
        key=score.key,
        chords=score.chords,
        sections=score.sections,
        events=score.events,
        stems=stems,
        mix=mix,
    )


def _drums(score: Score, font: Soundfont, frames: int) -> Audio:
    notes = [note for note in score.notes if note.part is Part.KIT]
    brighter = 10.0 ** (score.persona.cymbals_db / 20.0)
    levels = {
        key: STROKE_LEVELS.get(key, PERCUSSION_LEVEL) * (brighter if key in CYMBALS else 1.0)
        for key in {note.pitch for note in notes}
    }
    return font.strike(notes, kit=score.persona.kit, tune=score.persona.kit_tune, levels=levels, frames=frames)


def _bass(score: Score, font: Soundfont, frames: int) -> Audio:
    notes = [note for note in score.notes if note.part is Part.BASS]
    if score.persona.bass.value is None:
        return play_808(notes, drive=score.persona.drive, frames=frames)
    return widen(font.play(notes, program=score.persona.bass.value, frames=frames), 0.0)


def _vocals(score: Score, frames: int) -> Audio:
    """The lead in the centre, doubling voices at the sides, the second voice in between."""
    rng, law, width = generator_for(score.seed, Stream.SINGERS), score.persona.pan_law, score.persona.width
    sung, voice = list(score.sung), score.persona.voice
    audio = pan(sing(rng, sung, [note.pitch for note in sung], Singer(voice=voice), frames=frames), 0.0, law)
    for layer in range(max((note.layers for note in sung), default=0)):
        doubled = [note for note in sung if note.layers > layer]
        side = (-1.0 if layer % 2 == 0 else 1.0) * (0.35 + 0.55 * width)
        cents, delay_s = float(rng.normal(0.0, voice.detune_cents)), float(rng.uniform(0.006, 0.022))
        singer = Singer(voice=voice, delay_s=delay_s, cents=cents)
        audio += np.float32(0.5) * pan(
            sing(rng, doubled, [note.pitch for note in doubled], singer, frames=frames), side, law
        )
    above = [note for note in sung if note.harmony]
    second = Singer(voice=voice, delay_s=0.012, cents=4.0)
    high = sing(rng, above, [note.harmony for note in above], second, frames=frames)
    return audio + np.float32(0.55) * pan(high, 0.6 * width, law)


def _other(score: Score, font: Soundfont, frames: int) -> Audio:
    """Each part at its own level and pan position."""
    persona, families = score.persona, score.caption.instrumentation
    programs = {
        Part.CHORDS: persona.rack(families[0]).chords,
        Part.SECOND_CHORDS: persona.rack(families[-1]).chords,
        Part.LINE: persona.rack(families[-1]).lines,
    }
    audio = np.zeros((2, frames), dtype=np.float32)
    for part, program in programs.items():
        notes = [note for note in score.notes if note.part is part]
        if notes:
            played = font.play(notes, program=program, frames=frames)
            loud = np.abs(played).max(axis=0) > 1e-3
            rms = float(np.sqrt(np.mean(np.square(played[:, loud])))) if loud.any() else 1.0
            balance = _PART_PAN[part] * persona.width
            sides = np.array([[1.0 - max(balance, 0.0)], [1.0 + min(balance, 0.0)]])
            audio += played * (sides * _PART_LEVEL[part] * 0.1 / rms).astype(np.float32)
    return audio


def _apply_bus(stem: str, dry: Audio, score: Score, offset_lu: float) -> Audio:
    if not np.any(dry):
        return dry
    persona = score.persona
    mood_tilt = (
        0.9 * score.caption.shape.brightness if stem in {"other", "vocals"} else 0.3 * score.caption.shape.brightness
    )
    wet = _WET[stem] * persona.room.wet
    placed = add_room(dry, room=persona.room, wet=wet, tilt_db=_TILT[stem] * persona.tilt_db + mood_tilt)
    if stem in {"drums", "bass"}:
        placed = saturate(placed, 0.25 + 0.5 * persona.drive if stem == "drums" else 0.3 * persona.drive)
    if stem != "bass":
        placed = widen(placed, 0.3 + 0.7 * persona.width)
    return normalise_loudness(placed, _TARGET_LUFS[stem] + persona.balance_lu[STEMS.index(stem)] + offset_lu)


def _sum(stems: dict[str, Audio]) -> tuple[dict[str, Audio], Audio]:
    """Apply one gain to all stems, limited by the peak of the mix; round to the sample grid; sum."""
    rough = sum(stems.values(), start=np.zeros((2, 1), dtype=np.float32))
    loudness = loudness_lufs(rough)
    target = 1.0 if loudness is None else 10.0 ** ((_MIX_LUFS - loudness) / 20.0)
    peak = float(np.abs(rough).max(initial=0.0))
    gain = min(target, (_PEAK - 4 * _STEP) / peak) if peak > 0.0 else 1.0
    gridded = {
        name: (np.rint(stem * np.float32(gain / _STEP)) * np.float32(_STEP)).astype(np.float32)
        for name, stem in stems.items()
    }
    mix = gridded["drums"] + gridded["bass"] + gridded["vocals"] + gridded["other"]
    return gridded, mix
