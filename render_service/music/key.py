"""Keys: a tonic and a mode, as written by a caller ("A minor", "F# major", "Bb major")."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

PITCH_CLASS_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_PATTERN = re.compile(r"^\s*([A-Ga-g])([#b♯♭]?)\s*(major|minor|maj|min|m)?\s*$")


class Mode(Enum):
    """The two modes that the renderer is conditioned on; the value is its scale in semitones above the tonic."""

    MAJOR = (0, 2, 4, 5, 7, 9, 11)
    MINOR = (0, 2, 3, 5, 7, 8, 10)


class KeyFormatError(ValueError):
    """A key that is not written as a tonic and a mode."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """``tonic`` is a pitch class, 0 = C to 11 = B."""

    tonic: int
    mode: Mode

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the scale, tonic first."""
        return tuple((self.tonic + step) % 12 for step in self.mode.value)

    def __str__(self) -> str:
        return f"{PITCH_CLASS_NAMES[self.tonic]} {self.mode.name.lower()}"

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read "A minor", "Bb major", "f#m". A tonic alone is major. Raises :class:`KeyFormatError`."""
        match = _PATTERN.match(text)
        if match is None:
            raise KeyFormatError(f'wants a tonic and a mode such as "A minor" or "Eb major", got {text!r}')
        letter, accidental, mode = match.groups()
        shift = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(accidental, 0)
        tonic = (_LETTERS[letter.upper()] + shift) % 12
        return cls(tonic=tonic, mode=Mode.MINOR if mode in {"minor", "min", "m"} else Mode.MAJOR)
