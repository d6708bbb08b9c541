"""Names of tonics. Pitch classes are 0 = C to 11 = B."""

from __future__ import annotations

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "b": -1}
# Of two names for one key, the one with fewer accidentals in its signature; F# major and Eb minor, where both have six, by custom.
_MAJOR = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def pitch_class(name: str) -> int:
    """The pitch class of a letter A to G with at most one accidental, "#" or "b". Raises ValueError."""
    if name[:1] not in _LETTERS or name[1:] not in _ACCIDENTALS:
        raise ValueError(f'expected a note name such as "A", "F#" or "Eb", got {name!r}')
    return (_LETTERS[name[0]] + _ACCIDENTALS[name[1:]]) % 12


def usual_tonic(tonic: int, *, minor: bool) -> str:
    """The name that musicians give the tonic of a key: "Eb" major and not "D#", "F#" minor and not "Gb"."""
    return (_MINOR if minor else _MAJOR)[tonic]
