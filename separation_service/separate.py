"""The bounce becomes stems, while this thread has the device.

Letters: ``N`` stems asked for, ``C`` channels (2), ``T`` samples of the take, ``n`` of a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from separation_service.engine import Separator, StemWaveforms, Waveform
from separation_service.receive import Received
from separation_service.scratch import FloatBuffer, Scratch
from separation_service.timing.progress import StageProgress
from servicekit.audio.pcm24 import CHANNELS, from_pcm24
from servicekit.audio.wav import WavFile
from servicekit.delivery.names import STEMS, StemName
from servicekit.gpu_lock import DeviceLock
from servicekit.journal import Stage


@dataclass(frozen=True)
class Mix:
    """The bounce as a separator reads it: float32 ``(C, n)``, exact multiples of 2^-23."""

    wav: WavFile

    @property
    def frames(self) -> int:
        """``T``."""
        return self.wav.frames

    def read(self, start: int, stop: int) -> Waveform:
        """Samples ``start`` to ``stop``."""
        return from_pcm24(self.wav.read(start, stop))


@dataclass(frozen=True, kw_only=True)
class Separated:
    """What the model gave. ``fingerprint`` has the parts of the execution fingerprint that the separator knows of this take."""

    names: tuple[StemName, ...]
    track: FloatBuffer
    fingerprint: Mapping[str, str]

    @property
    def frames(self) -> int:
        """``T``."""
        return self.track.frames

    def read(self, start: int, stop: int) -> StemWaveforms:
        """``(N, C, stop - start)`` in the order of ``names``, not to be written to."""
        return self.track.read(start, stop).reshape(len(self.names), CHANNELS, stop - start)


def separate(
    received: Received,
    separator: Separator,
    lock: DeviceLock,
    scratch: Scratch,
    progress: StageProgress,
    *,
    stems: Sequence[StemName] = STEMS,
) -> Separated:
    """The stems that are asked for; one progress step a segment and model, none while it waits for its turn.

    Stops within one batch where ``progress`` raises, and then holds nothing of the device any more.
    """
    progress.stage(Stage.SEPARATE, separator.steps(received.frames, stems))
    track = scratch.floats(len(stems) * CHANNELS, received.frames)
    with lock.held(check=progress.check):
        blocks = separator.separate_blocks(
            Mix(received.wav), lambda done, total: progress.step(done, total=total), stems
        )
        with closing(blocks):
            for block in blocks:
                track.append(block.samples.reshape(track.rows, -1))
            fingerprint = dict(blocks.fingerprint)
    return Separated(names=tuple(stems), track=track, fingerprint=fingerprint)
