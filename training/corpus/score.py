"""What the composer writes: notes with exact times, and the bars and sections that they fill. No audio.

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
    """Who plays a note."""

    KIT = "kit"
    BASS = "bass"
    CHORDS = "chords"
    SECOND_CHORDS = "second chords"
    LINE = "line"

    @property
    def stem(self) -> str:
        """The stem that it sounds in."""
        return {Part.KIT: "drums", Part.BASS: "bass"}.get(self, "other")


class SectionKind(Enum):
    """Parts of a song; the value is how full it plays, 0 to 1."""

    INTRO = 0.35
    VERSE = 0.6
    CHORUS = 1.0
    BRIDGE = 0.5
    OUTRO = 0.4


@dataclass(frozen=True, kw_only=True)
class Section:
    """A run of whole bars."""

    kind: SectionKind
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Note:
    """``velocity`` 0 to 1. On the kit ``end_s`` is where the stroke is damped at the latest."""

    part: Part
    start_s: float
    end_s: float
    pitch: int
    velocity: float


@dataclass(frozen=True, kw_only=True)
class SungNote:
    """One syllable of the lead: a consonant before ``start_s``, then a vowel gliding to another.

    ``phrase`` counts breaths; ``layers`` is how many voices double it, ``harmony`` the pitch of a second voice or 0.
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
    """A sounding note of a stem. Its first sample is ``round(start_s * 44100)``."""

    start_s: float
    end_s: float
    stem: str
    pitch: int


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar of the tempo map. ``start_beat``: beats since the first downbeat; ``beats``: its metre."""

    index: int
    start_s: float
    end_s: float
    start_beat: float
    beats: int
    section: Section
    tempo_map: TempoMap

    def at(self, beat: float) -> float:
        """The second of a beat position in the bar, swung as the tempo map says."""
        if beat <= 0.0:
            return self.start_s
        return float(self.tempo_map.second_of_beat(self.tempo_map.swung([self.start_beat + beat]))[0])

    @property
    def opens_section(self) -> bool:
        """Whether its downbeat is the section's."""
        return abs(self.start_s - self.section.start_s) < 1e-4

    @property
    def closes_section(self) -> bool:
        """Whether the next downbeat begins another section."""
        return abs(self.end_s - self.section.end_s) < 1e-4


@dataclass(frozen=True, kw_only=True)
class Outline:
    """What is settled before any note is written, for those who write the parts."""

    bars: tuple[Bar, ...]
    chords: tuple[ChordSpan, ...]
    key: Key
    persona: PersonaSpec
    caption: Caption

    def density(self, reach: float) -> float:
        """The persona's density moved by the mood's, by ``reach`` at most. 0 to 1."""
        return float(np.clip(self.persona.density + reach * self.caption.shape.density, 0.0, 1.0))

    def force(self, centre: float, reach: float) -> float:
        """A touch about ``centre`` moved by the mood's, by ``reach`` at most. 0.3 to 1."""
        return float(np.clip(centre + reach * self.caption.shape.force, 0.3, 1.0))


@dataclass(frozen=True, kw_only=True)
class Score:
    """A whole song before any sound; :func:`training.corpus.song.perform` plays it."""

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
        """Every note as an event of its stem, in order of time."""
        played = [Event(start_s=n.start_s, end_s=n.end_s, stem=n.part.stem, pitch=n.pitch) for n in self.notes]
        sung = [Event(start_s=n.start_s, end_s=n.end_s, stem="vocals", pitch=n.pitch) for n in self.sung]
        return tuple(sorted(played + sung, key=lambda event: (event.start_s, event.stem, event.pitch)))

    def chord_at(self, second: float) -> ChordSpan:
        """The chord that sounds at a second."""
        return chord_at(self.chords, second)


def chord_at(chords: tuple[ChordSpan, ...], second: float) -> ChordSpan:
    """The chord that sounds at a second, a hair's breadth of rounding forgiven."""
    return chords[int(chord_index_at(chords, np.array([second + 1e-4]))[0])]
