"""The names that files, manifests, journal and wire share.

A member's value is its spelling in files and manifests ("vocals"); its ``name`` is the spelling in the journal and, with a prefix,
on the wire (``STEM_VOCALS``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class StemName(StrEnum):
    """One of the four stems (docs/contract.md, section 1)."""

    DRUMS = "drums"
    BASS = "bass"
    VOCALS = "vocals"
    OTHER = "other"


STEMS = (StemName.DRUMS, StemName.BASS, StemName.VOCALS, StemName.OTHER)
"""In the order of the ZIP and of every array of stems (docs/contract.md, section 4)."""

WavName = StemName | Literal["bounce"]
"""What a WAV of a version holds; with ".wav" it is the file's name in the ZIP."""


class StemMode(StrEnum):
    """How the stems relate to the bounce (docs/contract.md, section 3)."""

    EXACT = "exact"
    RAW = "raw"


class LicenceCoverage(StrEnum):
    """What a licence covers."""

    BOUNCE = "bounce"
    BOUNCE_AND_STEMS = "bounce_and_stems"
