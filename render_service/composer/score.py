"""The score: sections and notes with exact times. No audio.

Pitches are MIDI note numbers; on the kit they are General MIDI percussion keys. Seconds count from the first sample. They are
multiples of 10 microseconds and velocities are multiples of 1/127, so a score is read back from JSON exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import TypeVar

from render_service.composer.style import Instrumentation

TICKS_PER_SECOND = 100_000
VELOCITY_STEPS = 127
MAX_NOTES = 20_000
MAX_SECTIONS = 512
MAX_FAMILIES = 2
MAX_PITCH = 127
MAX_RING_S = 10.0
VOWELS = 8
CONSONANTS = 10
MAX_LAYERS = 4


class ScoreError(ValueError):
    """A score that cannot be played; the message names the part of it."""


class Part(Enum):
    """The part that plays a note. Sung notes are apart: see :class:`SungNote`."""

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
    """Kinds of section."""

    INTRO = "intro"
    VERSE = "verse"
    CHORUS = "chorus"
    BRIDGE = "bridge"
    OUTRO = "outro"
    ENDING = "ending"

    @property
    def intensity(self) -> float:
        """How fully the band plays, 0 to 1."""
        return _INTENSITY[self]


_INTENSITY = {
    SectionKind.INTRO: 0.35,
    SectionKind.VERSE: 0.6,
    SectionKind.CHORUS: 1.0,
    SectionKind.BRIDGE: 0.5,
    SectionKind.OUTRO: 0.4,
    SectionKind.ENDING: 0.3,
}


@dataclass(frozen=True, kw_only=True)
class Section:
    """Consecutive whole bars; an ending lasts to the end of the take."""

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


_N = TypeVar("_N", Note, SungNote)


@dataclass(frozen=True, kw_only=True)
class Event:
    """A note of a stem. Its first sample is ``round(start_s * 44100)``."""

    start_s: float
    end_s: float
    stem: str
    pitch: int


@dataclass(frozen=True, kw_only=True)
class Score:
    """Everything that is played and sung in a take, ordered by time.

    ``instrumentation``: the families of the stem "other". The first plays :attr:`Part.CHORDS`; the last plays
    :attr:`Part.SECOND_CHORDS` and :attr:`Part.LINE`.
    """

    instrumentation: tuple[Instrumentation, ...]
    sections: tuple[Section, ...]
    notes: tuple[Note, ...]
    sung: tuple[SungNote, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        """Every note as an event of its stem, ordered by time."""
        played = [Event(start_s=n.start_s, end_s=n.end_s, stem=n.part.stem, pitch=n.pitch) for n in self.notes]
        sung = [Event(start_s=n.start_s, end_s=n.end_s, stem="vocals", pitch=n.pitch) for n in self.sung]
        return tuple(sorted(played + sung, key=lambda event: (event.start_s, event.stem, event.pitch)))

    def starts_s(self, stem: str) -> list[float]:
        """When notes of a stem start, in order of time, each second once."""
        return sorted({event.start_s for event in self.events if event.stem == stem})

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems that have notes."""
        return frozenset(note.part.stem for note in self.notes) | ({"vocals"} if self.sung else frozenset())

    @property
    def ending_s(self) -> float | None:
        """When the final chord starts; None without an ending."""
        last = self.sections[-1] if self.sections else None
        return last.start_s if last is not None and last.kind is SectionKind.ENDING else None

    def snapped(self) -> Score:
        """The same score, in order of time, with times and velocities on their steps."""
        notes = sorted((_snap(note) for note in self.notes), key=lambda n: (n.start_s, n.part.name, n.pitch))
        sung = sorted((_snap(note) for note in self.sung), key=lambda n: (n.start_s, n.pitch))
        return Score(
            instrumentation=self.instrumentation,
            sections=tuple(
                replace(section, start_s=snap_s(section.start_s), end_s=snap_s(section.end_s))
                for section in self.sections
            ),
            notes=tuple(notes),
            sung=tuple(sung),
        )


def snap_s(second: float) -> float:
    """The nearest multiple of 10 microseconds."""
    return round(second * TICKS_PER_SECOND) / TICKS_PER_SECOND


def snap_velocity(velocity: float) -> float:
    """The nearest multiple of 1/127, at least that."""
    return max(round(velocity * VELOCITY_STEPS), 1) / VELOCITY_STEPS


def _snap(note: _N) -> _N:
    snapped = {"start_s": snap_s(note.start_s), "end_s": snap_s(note.end_s), "velocity": snap_velocity(note.velocity)}
    return type(note)(**vars(note) | snapped)


def check_score(score: Score, *, seconds: float) -> None:
    """Check the bounds of a score for a take of ``seconds``. Raises :class:`ScoreError`."""
    count = len(score.notes) + len(score.sung)
    if count > MAX_NOTES:
        raise ScoreError(f"must have at most {MAX_NOTES} notes, got {count}")
    if not 1 <= len(score.instrumentation) <= MAX_FAMILIES:
        raise ScoreError(f"must name 1 to {MAX_FAMILIES} instrument families, got {len(score.instrumentation)}")
    if len(score.sections) > MAX_SECTIONS:
        raise ScoreError(f"must have at most {MAX_SECTIONS} sections, got {len(score.sections)}")
    for note in score.notes:
        _check_note(note, seconds)
    for sung in score.sung:
        _check_note(sung, seconds)
        _check_syllable(sung)


def _check_note(note: Note | SungNote, seconds: float) -> None:
    if not 0.0 <= note.start_s < seconds:
        raise ScoreError(f"notes must start within 0 to {seconds:g} s, got {note.start_s:g} s")
    if not note.start_s < note.end_s <= seconds + MAX_RING_S:
        raise ScoreError(
            f"notes must end after they start, at most {MAX_RING_S:g} s after the take, got {note.start_s:g} to {note.end_s:g} s"
        )
    if not 0 <= note.pitch <= MAX_PITCH:
        raise ScoreError(f"pitches must be 0 to {MAX_PITCH}, got {note.pitch}")
    if not 0.0 < note.velocity <= 1.0:
        raise ScoreError(f"velocities must be above 0 and at most 1, got {note.velocity:g}")


def _check_syllable(sung: SungNote) -> None:
    limits = {
        "consonant": (sung.consonant, CONSONANTS - 1),
        "vowel": (sung.vowel, VOWELS - 1),
        "layers": (sung.layers, MAX_LAYERS),
        "harmony": (sung.harmony, MAX_PITCH),
    }
    for name, (value, highest) in limits.items():
        if not 0 <= value <= highest:
            raise ScoreError(f"{name} must be 0 to {highest}, got {value} at {sung.start_s:g} s")
