"""Separates a bounce into stems, while this thread holds the device.

Letters: ``N`` stems asked for, ``C`` channels (2), ``T`` samples of the take, ``n`` of a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from separation_service.engine import Separator, SeparatorInfo, StemWaveforms, Waveform
from separation_service.receive import ReceivedBounce
from separation_service.scratch import FloatBuffer, Scratch
from separation_service.timing.progress import StageProgress
from servicekit.audio.pcm24 import CHANNELS, SAMPLE_RATE_HZ, from_pcm24
from servicekit.audio.wav import WavFile
from servicekit.delivery.names import StemName
from servicekit.errors import FailedPrecondition
from servicekit.gpu_lock import DeviceLock
from servicekit.journal import Stage

# What torch and demucs raise for weights whose shapes do not match, and for a device that lacks an operation.
_CANNOT_RUN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


LOOP_MARGIN_FRAMES = SAMPLE_RATE_HZ
"""What a separator gets of a loop on either side, so that its stems at both ends come from the same sound."""


@dataclass(frozen=True)
class Mix:
    """The bounce as a separator reads it: float32 ``(C, n)``, exact multiples of 2^-23.

    Of a loop, ``margin`` samples of its end come before its start, and as many of its start after its end.
    """

    wav: WavFile
    margin: int = 0

    @property
    def frames(self) -> int:
        """``T`` and both margins."""
        return self.wav.frames + 2 * self.margin

    def read(self, start: int, stop: int) -> Waveform:
        """Samples ``start`` to ``stop``."""
        at, end = start - self.margin, stop - self.margin
        pieces: list[Waveform] = []
        while at < end or not pieces:
            first = at % self.wav.frames
            last = min(first + end - at, self.wav.frames)
            pieces.append(from_pcm24(self.wav.read(first, last)))
            at += last - first
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)


@dataclass(frozen=True, kw_only=True)
class SeparatedStems:
    """The model's stems, and the execution fingerprint under which they were made."""

    names: tuple[StemName, ...]
    samples: FloatBuffer
    separator: SeparatorInfo
    fingerprint: Mapping[str, str]

    @property
    def frames(self) -> int:
        """``T``."""
        return self.samples.frames

    def read(self, start: int, stop: int) -> StemWaveforms:
        """``(N, C, stop - start)`` in the order of ``names``, read-only."""
        return self.samples.read(start, stop).reshape(len(self.names), CHANNELS, stop - start)


def separate(
    bounce: ReceivedBounce,
    names: Sequence[StemName],
    *,
    separator: Separator,
    lock: DeviceLock,
    fingerprint: Mapping[str, str],
    scratch: Scratch,
    progress: StageProgress,
    loop: bool = False,
) -> SeparatedStems:
    """The stems called ``names``; the ends of those of a ``loop`` lead into their starts.

    Reports one step per segment and model, and none while waiting for the device.

    ``fingerprint`` is that of host and separator; what the separator only knows after this take is added to it. Where ``progress``
    raises, the work stops within one batch and frees the device.
    """
    mix = Mix(bounce.wav, LOOP_MARGIN_FRAMES if loop else 0)
    progress.stage(Stage.SEPARATE, separator.steps(mix.frames, names))
    samples = scratch.floats(len(names) * CHANNELS, bounce.frames)
    with lock.held(check=progress.check):
        blocks = separator.separate_blocks(mix, lambda done, total: progress.step(done, total=total), names)
        with closing(blocks):
            for block in blocks:
                inside = slice(max(mix.margin - block.start, 0), max(mix.margin + bounce.frames - block.start, 0))
                samples.append(block.samples[..., inside].reshape(samples.rows, -1))
            fingerprint = {**fingerprint, **blocks.fingerprint}
    return SeparatedStems(names=tuple(names), samples=samples, separator=separator.info, fingerprint=fingerprint)


def warm_separator(separator: Separator) -> None:
    """Run every model once. Raises `FailedPrecondition` MODEL_UNUSABLE where the separator was loaded but cannot run."""
    try:
        separator.warm()
    except _CANNOT_RUN as error:
        raise FailedPrecondition(
            f"separator {separator.info.name!r} was loaded but cannot run: {type(error).__name__}: {error}; choose another model "
            "or another device",
            reason="MODEL_UNUSABLE",
            metadata={"model": separator.info.name},
        ) from error
