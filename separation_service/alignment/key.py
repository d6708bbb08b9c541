"""Keys, and how well sound fits one."""

from __future__ import annotations

from dataclasses import dataclass

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)


@dataclass(frozen=True, kw_only=True)
class Key:
    """``tonic`` is a pitch class, 0 = C to 11 = B."""

    tonic: int
    minor: bool

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the scale, tonic first."""
        return tuple((self.tonic + step) % 12 for step in (_MINOR if self.minor else _MAJOR))

    def __str__(self) -> str:
        return f"{_NAMES[self.tonic]} {'minor' if self.minor else 'major'}"

    @classmethod
    def named(cls, text: str) -> Key:
        """Read a key as manifests write it: "A minor", "F# major". Raises ValueError."""
        tonic, _, mode = text.partition(" ")
        if tonic not in _NAMES or mode not in {"major", "minor"}:
            raise ValueError(f'wanted a key such as "A minor" or "F# major", got {text!r}')
        return cls(tonic=_NAMES.index(tonic), minor=mode == "minor")
