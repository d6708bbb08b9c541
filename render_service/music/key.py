"""Keys: a tonic and a mode, as written by a caller ("A minor", "F# major", "Bb major")."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from servicekit.key_names import pitch_class, usual_tonic

PITCH_CLASS_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_PATTERN = re.compile(r"\s*([A-Ga-g])([#b♯♭]?)\s*(major|minor|maj|min|m)?\s*")
_ASCII = {"♯": "#", "♭": "b"}


class Mode(Enum):
    """The two modes that the renderer is conditioned on; the value is its scale in semitones above the tonic."""

    MAJOR = (0, 2, 4, 5, 7, 9, 11)
    MINOR = (0, 2, 3, 5, 7, 8, 10)


class KeyFormatError(ValueError):
    """A key that is not written as a tonic and a mode."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """``tonic`` is a pitch class, 0 = C to 11 = B. ``spelling`` is its name as the caller wrote it; empty: the usual one."""

    tonic: int
    mode: Mode
    spelling: str = field(default="", compare=False)

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the scale, tonic first."""
        return tuple((self.tonic + step) % 12 for step in self.mode.value)

    @property
    def with_sharps(self) -> str:
        """The same for every spelling of the key, such as "D# major" for "Eb major"."""
        return f"{PITCH_CLASS_NAMES[self.tonic]} {self.mode.name.lower()}"

    def __str__(self) -> str:
        tonic = self.spelling or usual_tonic(self.tonic, minor=self.mode is Mode.MINOR)
        return f"{tonic} {self.mode.name.lower()}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read "A minor", "Bb major", "f#m". A tonic alone is major. Raises :class:`KeyFormatError`."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise KeyFormatError(f'must be a tonic and a mode such as "A minor" or "Eb major", got {text!r}')
        letter, accidental, mode = match.groups()
        spelling = letter.upper() + _ASCII.get(accidental, accidental)
        mode = Mode.MINOR if mode in {"minor", "min", "m"} else Mode.MAJOR
        return cls(tonic=pitch_class(spelling), mode=mode, spelling=spelling)
