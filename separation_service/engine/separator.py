"""The interface of a separator: a mix becomes stems. No jobs, no files.

Letters: ``C`` channels (2), ``T`` samples, ``n`` samples of a block, ``N`` stems asked for, ``S`` sources of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from servicekit.delivery.names import STEMS, StemName

SAMPLE_RATE_HZ = 44100
CHANNELS = 2

StepReport = Callable[[int, int], None]
"""Called as ``report(steps_done, steps_total)``: first with 0, then after every batch, in segments times models.

May raise to stop the work; the exception reaches the caller.
"""

Waveform = NDArray[np.float32]
"""``(C, T)`` float32 at 44100 Hz, full scale 1.0."""

StemWaveforms = NDArray[np.float32]
"""``(N, C, T)`` float32 at 44100 Hz, in the requested order."""


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One weights file of a loaded separator: its name in the folder and the SHA-256 of all its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SeparatorInfo:
    """What is loaded.

    ``weights_sha256`` is the SHA-256 over the digests of ``files``, 64 hex digits and a line feed each, in the bag's order.
    ``fingerprint`` holds the separator's parts of the execution fingerprint.
    """

    name: str
    licence: str
    sources: tuple[str, ...]
    models: int
    parameters: int
    files: tuple[WeightsFile, ...]
    weights_sha256: str
    fingerprint: Mapping[str, str]


class MixSource(Protocol):
    """A mix with random access, such as an array or a file."""

    @property
    def frames(self) -> int:
        """``T``."""

    def read(self, start: int, stop: int) -> Waveform:
        """Samples ``start`` to ``stop``, ``0 <= start <= stop <= frames``, as float32 ``(C, stop - start)``; read-only."""


@dataclass(frozen=True)
class StemBlock:
    """Finished samples of the stems: ``(N, C, n)`` float32 from sample ``start`` on, owned by the receiver."""

    start: int
    samples: StemWaveforms


class StemBlocks(Protocol):
    """The blocks of one mix, consecutive from sample 0 to its last."""

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """The separator's parts of the execution fingerprint for this mix."""

    def __iter__(self) -> Iterator[StemBlock]:
        """Return self."""

    def __next__(self) -> StemBlock:
        """The next block, computed on demand."""

    def close(self) -> None:
        """Stop and free all memory. Call it unless all blocks were read."""


class Separator(Protocol):
    """A loaded model or bag. Thread-safe; concurrent jobs share batches on devices that batch."""

    @property
    def info(self) -> SeparatorInfo:
        """What is loaded."""

    def warm(self) -> None:
        """Run every model once on silence in the shapes that `separate` uses, so that the first job does not pay for it."""

    def steps(self, frames: int, stems: Sequence[StemName] = STEMS) -> int:
        """How many segments times models a mix of ``frames`` samples takes."""

    def separate_blocks(self, mix: MixSource, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemBlocks:
        """The stems of a mix of at least 2 samples, all finite, in memory that does not grow with its length.

        Reads the mix twice. Deterministic in the mix under one fingerprint. ``report`` is called in the thread that asks for
        blocks. Raises `InvalidTensor` for another shape or sample type, `Internal` (NOT_FINITE) where the model gives NaN or
        infinity, and `ResourceExhausted` (OUT_OF_MEMORY) where the device has no room for a batch.
        """

    def separate(self, mix: Waveform, report: StepReport, stems: Sequence[StemName] = STEMS) -> StemWaveforms:
        """``(C, T)`` to ``(N, C, T)``: the samples of `separate_blocks`, collected. The mix is not modified."""
