"""The score: notes with exact times, bars and sections. No audio.

Pitches are MIDI note numbers; on the kit they are General MIDI percussion keys. Seconds count from the first sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from render_service.music.harmony import ChordSpan, chord_index_at
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from training.corpus.caption import Caption
from training.corpus.persona import PersonaSpec


class Part(Enum):
    """The part that plays a note."""

    KIT = "kit"
    BASS = "bass"
    CHORDS = "chords"
    SECOND_CHORDS = "second chords"
    LINE = "line"

    @property
    def stem(self) -> str:
        """The stem that contains the part."""
        return {Part.KIT: "drums", Part.BASS: "bass"}.get(self, "other")


class SectionKind(Enum):
    """Kinds of section; the value is the intensity, 0 to 1."""

    INTRO = 0.35
    VERSE = 0.6
    CHORUS = 1.0
    BRIDGE = 0.5
    OUTRO = 0.4


@dataclass(frozen=True, kw_only=True)
class Section:
    """Consecutive whole bars."""

    kind: SectionKind
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Note:
    """``velocity`` 0 to 1. On the kit, the stroke is damped at ``end_s`` at the latest."""

    part: Part
    start_s: float
    end_s: float
    pitch: int
    velocity: float


@dataclass(frozen=True, kw_only=True)
class SungNote:
    """One syllable of the lead: a consonant before ``start_s``, then a vowel gliding to another.

    ``phrase``: index of its phrase; ``layers``: number of doubling voices; ``harmony``: pitch of a second voice, or 0.
    """

    start_s: float
    end_s: float
    pitch: int
    velocity: float
    consonant: int
    vowel: int
    phrase: int
    layers: int
    harmony: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """A note of a stem. Its first sample is ``round(start_s * 44100)``."""

    start_s: float
    end_s: float
    stem: str
    pitch: int


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of the tempo map. ``start_beat``: beats since the first downbeat; ``beats``: beats per bar."""

    index: int
    start_s: float
    end_s: float
    start_beat: float
    beats: int
    section: Section
    tempo_map: TempoMap

    def at(self, beat: float) -> float:
        """The second of a beat position in the bar, with the tempo map's swing."""
        if beat <= 0.0:
            return self.start_s
        return float(self.tempo_map.second_of_beat(self.tempo_map.swung([self.start_beat + beat]))[0])

    @property
    def opens_section(self) -> bool:
        """Whether it is the first bar of its section."""
        return abs(self.start_s - self.section.start_s) < 1e-4

    @property
    def closes_section(self) -> bool:
        """Whether it is the last bar of its section."""
        return abs(self.end_s - self.section.end_s) < 1e-4


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The input for writing the parts: everything but the notes."""

    bars: tuple[Bar, ...]
    chords: tuple[ChordSpan, ...]
    key: Key
    persona: PersonaSpec
    caption: Caption

    def density(self, reach: float) -> float:
        """The persona's density, shifted by the mood by up to ``reach``; 0 to 1."""
        return float(np.clip(self.persona.density + reach * self.caption.shape.density, 0.0, 1.0))

    def force(self, centre: float, reach: float) -> float:
        """``centre``, shifted by the mood's force by up to ``reach``; a velocity, 0.3 to 1."""
        return float(np.clip(centre + reach * self.caption.shape.force, 0.3, 1.0))


@dataclass(frozen=True, kw_only=True)
class Score:
    """A whole song without audio; :func:`training.corpus.song.perform` renders it."""

    seed: int
    seconds: float
    persona: PersonaSpec
    caption: Caption
    instrumental: bool
    tempo_map: TempoMap
    key: Key
    chords: tuple[ChordSpan, ...]
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]
    sung: tuple[SungNote, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """Every note as an event of its stem, ordered by time."""
        played = [Event(start_s=n.start_s, end_s=n.end_s, stem=n.part.stem, pitch=n.pitch) for n in self.notes]
        sung = [Event(start_s=n.start_s, end_s=n.end_s, stem="vocals", pitch=n.pitch) for n in self.sung]
        return tuple(sorted(played + sung, key=lambda event: (event.start_s, event.stem, event.pitch)))

    def chord_at(self, second: float) -> ChordSpan:
        """The chord that sounds at a second."""
        return chord_at(self.chords, second)


def chord_at(chords: tuple[ChordSpan, ...], second: float) -> ChordSpan:
    """The chord that sounds at a second; tolerates rounding of 0.1 ms."""
    return chords[int(chord_index_at(chords, np.array([second + 1e-4]))[0])]
