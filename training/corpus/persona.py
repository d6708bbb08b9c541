"""Personas of the corpus: how a song sounds, independent of what is played.

The caption determines which instrument families play. The persona determines the instrument of each family, and kit, bass, voice,
room, spectrum and stereo image. Twelve personas are named in personas.json; :func:`random_persona` generates any number of others,
so that the encoder generalises to unseen personas.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from render_service.composer.habits import PERCUSSION_SETS, Habits
from render_service.composer.style import Instrumentation


class PanLaw(Enum):
    """Gain of each side at the centre, in dB."""

    LINEAR = -6.0
    COMPROMISE = -4.5
    CONSTANT_POWER = -3.0


class BassSound(Enum):
    """The persona's bass; the value is the General MIDI program (0-based), ``None`` for the synthesised 808."""

    ACOUSTIC = 32
    FINGERED = 33
    PICKED = 34
    FRETLESS = 35
    SLAPPED = 36
    SYNTH_ROUND = 38
    SYNTH_HARD = 39
    SUB_808 = None


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Parameters of a singing voice.

    ``formant_scale``: 0.85 a large head, 1.2 a small one. ``centre_pitch``: centre of its range, a MIDI note.
    ``tilt``: exponent of the glottal spectrum, higher is darker. ``breath``: amplitude of the noise relative to the tone.
    ``sharpness``: level of the consonants, 1 is normal.
    """

    formant_scale: float
    centre_pitch: int
    tilt: float
    breath: float
    vibrato_hz: float
    vibrato_cents: float
    glide_s: float
    detune_cents: float
    sharpness: float


@dataclass(frozen=True, kw_only=True)
class Room:
    """A reverb. ``decay_s``: time to -60 dB. ``wet``: level relative to direct sound. ``damping_hz``: low-pass cutoff."""

    decay_s: float
    wet: float
    damping_hz: float
    pre_delay_s: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Rack:
    """A persona's General MIDI programs (0-based) of one family, for chords and for lines."""

    family: Instrumentation
    chords: int
    lines: int


@dataclass(frozen=True, kw_only=True)
class PersonaSpec:
    """Everything that determines the sound of a persona.

    ``density`` 0 to 1; ``swing`` as in a tempo map; ``tilt_db``: dB per octave, 0 dB at 1 kHz; ``width`` 0 mono to 1; ``kit``:
    preset of the percussion bank; ``kit_tune`` in semitones; ``cymbals_db`` relative to the other drums; ``percussion``: index of a
    set; ``drive``: 0 clean to 1 saturated; ``balance_lu``: loudness offsets of drums, bass, vocals and other.
    """

    id: str
    prefix: str
    kit: int
    kit_tune: float
    cymbals_db: float
    percussion: int
    drive: float
    bass: BassSound
    racks: tuple[Rack, ...]
    voice: Voice
    room: Room
    density: float
    swing: float
    tilt_db: float
    width: float
    pan_law: PanLaw
    balance_lu: tuple[float, float, float, float]

    @property
    def habits(self) -> Habits:
        """How the persona plays."""
        return Habits(
            density=self.density,
            swing=self.swing,
            electronic_kit=self.kit in ELECTRONIC_KITS,
            percussion=self.percussion,
            sub_bass=self.bass is BassSound.SUB_808,
            voice_pitch=self.voice.centre_pitch,
        )

    def rack(self, family: Instrumentation) -> Rack:
        """The instruments of one family."""
        return next(rack for rack in self.racks if rack.family is family)


ELECTRONIC_KITS = frozenset({24, 25})
KITS = (0, 1, 2, 4, 6, 7, 8, 11, 16, 17, 18, 24, 25, 32, 34, 40)
CHORD_PROGRAMS = {
    Instrumentation.PIANO: (0, 1, 2, 3),
    Instrumentation.ELECTRIC_PIANO: (4, 5, 6, 7),
    Instrumentation.ACOUSTIC_GUITAR: (24, 25),
    Instrumentation.ELECTRIC_GUITAR: (26, 27, 28, 29, 30),
    Instrumentation.STRINGS: (48, 49, 44, 45),
    Instrumentation.SYNTHS: (50, 51, 62, 63, 89, 90, 93, 95),
    Instrumentation.ORGAN: (16, 17, 18, 19, 20),
    Instrumentation.BRASS: (61, 62, 60, 57),
    Instrumentation.MALLETS: (11, 12, 8, 108),
}
LINE_PROGRAMS = {
    Instrumentation.PIANO: (0, 1, 3),
    Instrumentation.ELECTRIC_PIANO: (4, 5, 7),
    Instrumentation.ACOUSTIC_GUITAR: (24, 25),
    Instrumentation.ELECTRIC_GUITAR: (26, 27, 29, 30),
    Instrumentation.STRINGS: (40, 41, 42, 110, 48),
    Instrumentation.SYNTHS: (80, 81, 82, 84, 87, 85),
    Instrumentation.ORGAN: (16, 18, 21, 22),
    Instrumentation.BRASS: (56, 57, 65, 66, 59),
    Instrumentation.MALLETS: (11, 13, 9, 10, 14),
}


def random_persona(rng: np.random.Generator, *, id: str = "random", prefix: str = "") -> PersonaSpec:  # noqa: A002 - the contract's name
    """A persona drawn from the whole range; the same generator state gives the same persona."""
    racks = tuple(
        Rack(family=family, chords=_choose(rng, CHORD_PROGRAMS[family]), lines=_choose(rng, LINE_PROGRAMS[family]))
        for family in Instrumentation
    )
    basses, laws = tuple(BassSound), tuple(PanLaw)
    bass = BassSound.SUB_808 if rng.random() < 0.2 else basses[rng.integers(len(basses))]
    return PersonaSpec(
        id=id,
        prefix=prefix,
        kit=_choose(rng, KITS),
        kit_tune=float(rng.uniform(-3.0, 3.0)),
        cymbals_db=float(rng.uniform(-5.0, 4.0)),
        percussion=int(rng.integers(PERCUSSION_SETS)),
        drive=float(rng.uniform(0.0, 1.0) ** 2),
        bass=bass,
        racks=racks,
        voice=_random_voice(rng),
        room=_random_room(rng),
        density=float(rng.uniform(0.15, 0.95)),
        swing=0.5 if rng.random() < 0.6 else float(rng.uniform(0.53, 0.67)),
        tilt_db=float(rng.uniform(-2.8, 2.8)),
        width=float(rng.uniform(0.1, 1.0)),
        pan_law=laws[rng.integers(len(laws))],
        balance_lu=_random_balance(rng),
    )


def _random_voice(rng: np.random.Generator) -> Voice:
    centre = int(rng.integers(48, 70))
    return Voice(
        formant_scale=float(np.clip(0.88 + (centre - 48) * 0.014 + rng.normal(0.0, 0.05), 0.82, 1.25)),
        centre_pitch=centre,
        tilt=float(rng.uniform(0.7, 1.7)),
        breath=float(rng.uniform(0.0, 1.0) ** 2 * 0.25),
        vibrato_hz=float(rng.uniform(4.2, 6.8)),
        vibrato_cents=float(rng.uniform(5.0, 60.0)),
        glide_s=float(rng.uniform(0.02, 0.09)),
        detune_cents=float(rng.uniform(5.0, 22.0)),
        sharpness=float(rng.uniform(0.7, 1.6)),
    )


def _random_room(rng: np.random.Generator) -> Room:
    return Room(
        decay_s=float(0.15 * 12.0 ** rng.random()),
        wet=float(rng.uniform(0.03, 0.35)),
        damping_hz=float(1500.0 * 6.0 ** rng.random()),
        pre_delay_s=float(rng.uniform(0.0, 0.03)),
        seed=int(rng.integers(2**31)),
    )


def _random_balance(rng: np.random.Generator) -> tuple[float, float, float, float]:
    drums, bass, vocals, other = (float(offset) for offset in np.clip(rng.normal(0.0, 1.3, 4), -2.5, 2.5))
    return drums, bass, vocals, other


def _choose(rng: np.random.Generator, options: tuple[int, ...]) -> int:
    return options[rng.integers(len(options))]
