"""The twelve named personas: ids and prefixes are in personas.json, sounds are defined here."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import numpy as np

from training.corpus.persona import BassSound, PanLaw, PersonaSpec, Room, Voice, random_persona

_RANDOM_SEED = 20_240


@dataclass(frozen=True, kw_only=True)
class NamedPersona:
    """A row of personas.json. ``built_in``: whether the service ships it, as clips, embedding and prefix."""

    id: str
    prefix: str
    built_in: bool


def _voice(
    centre: int, scale: float, *, tilt: float, breath: float, vibrato: tuple[float, float], sharpness: float = 1.0
) -> Voice:
    return Voice(
        formant_scale=scale,
        centre_pitch=centre,
        tilt=tilt,
        breath=breath,
        vibrato_hz=vibrato[0],
        vibrato_cents=vibrato[1],
        glide_s=0.045,
        detune_cents=12.0,
        sharpness=sharpness,
    )


def _room(decay_s: float, wet: float, damping_hz: float, seed: int) -> Room:
    return Room(decay_s=decay_s, wet=wet, damping_hz=damping_hz, pre_delay_s=min(0.03, decay_s / 50.0), seed=seed)


@dataclass(frozen=True, kw_only=True)
class _Sound:
    kit: int
    kit_tune: float
    cymbals_db: float
    percussion: int
    drive: float
    bass: BassSound
    voice: Voice
    room: Room
    density: float
    swing: float
    tilt_db: float
    width: float
    pan_law: PanLaw = PanLaw.CONSTANT_POWER


_SOUNDS = {
    "neon-drift": _Sound(
        kit=24, kit_tune=-1.0, cymbals_db=1.0, percussion=1, drive=0.25, bass=BassSound.SYNTH_ROUND,
        voice=_voice(60, 1.02, tilt=1.0, breath=0.05, vibrato=(5.2, 18.0)),
        room=_room(1.3, 0.28, 7000.0, 11), density=0.65, swing=0.5, tilt_db=1.1, width=1.0,
    ),
    "velvet-lounge": _Sound(
        kit=40, kit_tune=0.0, cymbals_db=2.0, percussion=0, drive=0.0, bass=BassSound.ACOUSTIC,
        voice=_voice(54, 0.93, tilt=1.5, breath=0.14, vibrato=(5.0, 42.0)),
        room=_room(0.5, 0.15, 3500.0, 12), density=0.3, swing=0.66, tilt_db=-1.7, width=0.5,
    ),
    "granite-road": _Sound(
        kit=16, kit_tune=-2.0, cymbals_db=0.0, percussion=2, drive=0.7, bass=BassSound.PICKED,
        voice=_voice(55, 0.95, tilt=0.8, breath=0.02, vibrato=(5.8, 14.0), sharpness=0.8),
        room=_room(0.7, 0.22, 5000.0, 13), density=0.75, swing=0.5, tilt_db=0.4, width=0.8, pan_law=PanLaw.LINEAR,
    ),
    "paper-lantern": _Sound(
        kit=32, kit_tune=2.0, cymbals_db=-3.0, percussion=3, drive=0.0, bass=BassSound.FRETLESS,
        voice=_voice(66, 1.14, tilt=1.4, breath=0.25, vibrato=(5.6, 12.0)),
        room=_room(0.25, 0.06, 4500.0, 14), density=0.35, swing=0.54, tilt_db=-0.6, width=0.3, pan_law=PanLaw.COMPROMISE,
    ),
    "midnight-808": _Sound(
        kit=25, kit_tune=0.0, cymbals_db=-4.0, percussion=4, drive=0.35, bass=BassSound.SUB_808,
        voice=_voice(50, 0.88, tilt=1.1, breath=0.08, vibrato=(4.5, 6.0), sharpness=1.3),
        room=_room(0.35, 0.1, 2500.0, 15), density=0.55, swing=0.5, tilt_db=-2.2, width=0.7,
    ),
    "harbour-brass": _Sound(
        kit=0, kit_tune=0.5, cymbals_db=1.0, percussion=2, drive=0.3, bass=BassSound.FINGERED,
        voice=_voice(58, 0.98, tilt=0.9, breath=0.04, vibrato=(6.2, 50.0), sharpness=1.1),
        room=_room(0.6, 0.16, 5000.0, 16), density=0.7, swing=0.58, tilt_db=0.7, width=0.6,
    ),
    "glass-orchard": _Sound(
        kit=8, kit_tune=2.0, cymbals_db=4.0, percussion=1, drive=0.0, bass=BassSound.FRETLESS,
        voice=_voice(69, 1.2, tilt=1.2, breath=0.06, vibrato=(6.4, 34.0), sharpness=1.4),
        room=_room(1.6, 0.3, 8500.0, 17), density=0.4, swing=0.5, tilt_db=2.2, width=0.9, pan_law=PanLaw.COMPROMISE,
    ),
    "rust-circuit": _Sound(
        kit=24, kit_tune=-3.0, cymbals_db=-1.0, percussion=4, drive=1.0, bass=BassSound.SYNTH_HARD,
        voice=_voice(52, 0.86, tilt=0.7, breath=0.12, vibrato=(4.2, 8.0), sharpness=1.6),
        room=_room(0.2, 0.12, 6000.0, 18), density=0.9, swing=0.5, tilt_db=1.7, width=0.4, pan_law=PanLaw.LINEAR,
    ),
    "cedar-porch": _Sound(
        kit=6, kit_tune=-1.0, cymbals_db=-4.0, percussion=3, drive=0.0, bass=BassSound.ACOUSTIC,
        voice=_voice(57, 1.0, tilt=1.2, breath=0.1, vibrato=(5.4, 20.0)),
        room=_room(0.18, 0.05, 3000.0, 19), density=0.45, swing=0.62, tilt_db=-1.1, width=0.2,
    ),
    "solar-arcade": _Sound(
        kit=7, kit_tune=3.0, cymbals_db=3.0, percussion=1, drive=0.15, bass=BassSound.SYNTH_ROUND,
        voice=_voice(68, 1.22, tilt=0.8, breath=0.02, vibrato=(6.6, 10.0), sharpness=0.9),
        room=_room(0.3, 0.08, 9000.0, 20), density=0.85, swing=0.5, tilt_db=2.8, width=0.85,
    ),
    "winter-choir": _Sound(
        kit=18, kit_tune=-3.0, cymbals_db=-2.0, percussion=0, drive=0.1, bass=BassSound.SLAPPED,
        voice=_voice(62, 1.08, tilt=1.6, breath=0.18, vibrato=(4.8, 30.0), sharpness=0.75),
        room=_room(1.8, 0.35, 4000.0, 21), density=0.25, swing=0.5, tilt_db=-1.4, width=1.0,
    ),
    "tin-carnival": _Sound(
        kit=4, kit_tune=2.5, cymbals_db=2.0, percussion=2, drive=0.5, bass=BassSound.SLAPPED,
        voice=_voice(63, 1.05, tilt=0.75, breath=0.03, vibrato=(5.9, 26.0), sharpness=1.5),
        room=_room(0.4, 0.2, 2200.0, 22), density=0.8, swing=0.55, tilt_db=0.0, width=0.5, pan_law=PanLaw.LINEAR,
    ),
}  # fmt: skip


@cache
def named_personas() -> tuple[NamedPersona, ...]:
    """The rows of personas.json, in order."""
    rows = json.loads(files("training.corpus").joinpath("personas.json").read_text(encoding="utf-8"))
    return tuple(NamedPersona(id=row["id"], prefix=row["prefix"], built_in=row["built_in"]) for row in rows)


@cache
def personas() -> tuple[PersonaSpec, ...]:
    """All twelve, in the order of personas.json."""
    return tuple(_build(i, row) for i, row in enumerate(named_personas()))


def built_in_personas() -> tuple[PersonaSpec, ...]:
    """The personas that ship with the service."""
    shipped = {row.id for row in named_personas() if row.built_in}
    return tuple(persona for persona in personas() if persona.id in shipped)


def _build(index: int, row: NamedPersona) -> PersonaSpec:
    sound = _SOUNDS[row.id]
    drawn = random_persona(np.random.default_rng(_RANDOM_SEED + index), id=row.id, prefix=row.prefix)
    return replace(
        drawn,
        kit=sound.kit,
        kit_tune=sound.kit_tune,
        cymbals_db=sound.cymbals_db,
        percussion=sound.percussion,
        drive=sound.drive,
        bass=sound.bass,
        voice=sound.voice,
        room=sound.room,
        density=sound.density,
        swing=sound.swing,
        tilt_db=sound.tilt_db,
        width=sound.width,
        pan_law=sound.pan_law,
    )
