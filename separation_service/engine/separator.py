"""What a separator is to the rest of the house: a mix becomes stems, and nothing about jobs or files.

Letters: ``C`` channels (2), ``T`` samples, ``N`` stems asked for, ``S`` sources of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 44100
CHANNELS = 2

StemName = Literal["drums", "bass", "vocals", "other"]

STEMS: tuple[StemName, ...] = ("drums", "bass", "vocals", "other")
"""The stems in the order of the ZIP (CONTRACT 1)."""

StepReport = Callable[[int, int], None]
"""Called as ``report(steps_done, steps_total)``: first with 0, then after every segment through every model.

May raise to stop the work; what it raises reaches the caller of ``separate``.
"""

Waveform = NDArray[np.float32]
"""``(C, T)`` float32 at 44100 Hz, full scale 1.0."""

StemWaveforms = NDArray[np.float32]
"""``(N, C, T)`` float32 at 44100 Hz, in the order asked for."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One weights file of a loaded separator: its name in the folder and the SHA-256 of all its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SeparatorInfo:
    """What is loaded.

    ``weights_sha256`` is the SHA-256 over the digests of ``files``, 64 hex digits and a line feed each, in the bag's order.
    ``fingerprint`` holds the parts of the execution fingerprint that the separator knows.
    """

    name: str
    licence: str
    sources: tuple[str, ...]
    models: int
    parameters: int
    files: tuple[WeightsFile, ...]
    weights_sha256: str
    fingerprint: Mapping[str, str]


class Separator(Protocol):
    """A loaded model or bag. Not safe for two threads at once: callers hold the GPU turn."""

    @property
    def info(self) -> SeparatorInfo:
        """What is loaded."""

    def warm(self) -> None:
        """Run every model once on silence in the shapes that `separate` uses, so that the first job finds all things ready."""

    def steps(self, frames: int, stems: Sequence[StemName] = STEMS) -> int:
        """How many segments times models a mix of ``frames`` samples takes."""

    def separate(self, mix: Waveform, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemWaveforms:
        """``(C, T)``, at least 2 samples and all finite, to ``(N, C, T)``; the mix is read and never written.

        Deterministic in the mix under one fingerprint. Raises `InvalidTensor` for another shape or sample type and
        `Internal` (NOT_FINITE) where the model gives NaN or infinity.
        """
