"""What a prompt asks of the score: instrument families and a mood."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

_Value = TypeVar("_Value", bound=Enum)


class Instrumentation(Enum):
    """Instrument families of the stem "other"; the value is the family's plain name."""

    PIANO = "piano"
    ELECTRIC_PIANO = "electric piano"
    ACOUSTIC_GUITAR = "acoustic guitar"
    ELECTRIC_GUITAR = "electric guitar"
    STRINGS = "strings"
    SYNTHS = "synths"
    ORGAN = "organ"
    BRASS = "brass"
    MALLETS = "mallets"


class Mood(Enum):
    """Mood of a take; :data:`MOOD_SHAPES` has its effect on the music."""

    HAPPY = "happy"
    UPLIFTING = "uplifting"
    ENERGETIC = "energetic"
    CALM = "calm"
    DREAMY = "dreamy"
    SAD = "sad"
    DARK = "dark"
    TENSE = "tense"


@dataclass(frozen=True, kw_only=True)
class MoodShape:
    """Effect of a mood on the music.

    ``minor_share``: probability of a minor key. The others range from -1 to 1 and shift the persona's values: ``brightness`` the
    spectrum, ``register`` the pitch of the parts, ``density`` the number of notes, ``force`` their velocity.
    """

    minor_share: float
    brightness: float
    register: float
    density: float
    force: float


MOOD_SHAPES = {
    Mood.HAPPY: MoodShape(minor_share=0.0, brightness=0.6, register=0.6, density=0.3, force=0.2),
    Mood.UPLIFTING: MoodShape(minor_share=0.1, brightness=0.4, register=0.4, density=0.1, force=0.3),
    Mood.ENERGETIC: MoodShape(minor_share=0.4, brightness=0.8, register=0.1, density=0.9, force=0.9),
    Mood.CALM: MoodShape(minor_share=0.15, brightness=-0.5, register=0.0, density=-0.8, force=-0.8),
    Mood.DREAMY: MoodShape(minor_share=0.35, brightness=-0.2, register=0.9, density=-0.5, force=-0.5),
    Mood.SAD: MoodShape(minor_share=1.0, brightness=-0.6, register=-0.3, density=-0.5, force=-0.4),
    Mood.DARK: MoodShape(minor_share=1.0, brightness=-1.0, register=-1.0, density=0.0, force=0.3),
    Mood.TENSE: MoodShape(minor_share=1.0, brightness=0.3, register=-0.2, density=0.6, force=0.6),
}


@dataclass(frozen=True, kw_only=True)
class Style:
    """One or two instrument families, the first of which plays the chords, and a mood."""

    instrumentation: tuple[Instrumentation, ...]
    mood: Mood

    @property
    def shape(self) -> MoodShape:
        """The mood's effect on the music."""
        return MOOD_SHAPES[self.mood]


@dataclass(frozen=True, kw_only=True)
class Recognized(Generic[_Value]):
    """A value that a prompt names, and ``quote``, the words of the prompt that it was read from.

    ``listed``: the words are in the lists of words. Otherwise they are a clause that was matched by its meaning.
    """

    value: _Value
    quote: str
    listed: bool


@dataclass(frozen=True, kw_only=True)
class StyleReading:
    """What a prompt says: up to two families, the plainest first, and a mood. Empty and None: nothing."""

    recognized_families: tuple[Recognized[Instrumentation], ...]
    recognized_mood: Recognized[Mood] | None

    @property
    def families(self) -> tuple[Instrumentation, ...]:
        """The families alone."""
        return tuple(found.value for found in self.recognized_families)

    @property
    def mood(self) -> Mood | None:
        """The mood alone."""
        return None if self.recognized_mood is None else self.recognized_mood.value
