"""The mix as the models' input: read twice, first for its level, then segment by segment, normalised.

Letters: ``C`` channels, ``n`` samples read at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.engine.separator import CHANNELS, MixSource, Waveform
from servicekit.errors import InvalidTensor

MIN_SAMPLES = 2
"""The standard deviation of one sample is not defined."""

_READ_SAMPLES = 1 << 20
_STD_FLOOR = 1e-8  # demucs.api.Separator.separate_tensor


@dataclass(frozen=True)
class ArrayMix:
    """A mix in memory, float32 ``(C, T)``."""

    samples: Waveform

    @property
    def frames(self) -> int:
        """``T``."""
        return int(self.samples.shape[-1])

    def read(self, start: int, stop: int) -> Waveform:
        """A view of the samples."""
        return self.samples[..., start:stop]


@dataclass(frozen=True)
class Level:
    """Mean and standard deviation of the track's mono mix, by which demucs normalises the whole track."""

    mean: np.float32
    std: np.float32

    def normalise(self, samples: Waveform) -> Waveform:
        """A normalised copy."""
        normalised: Waveform = samples - self.mean
        normalised /= self.std
        return normalised


def check_mix(mix: MixSource) -> None:
    """Raise `InvalidTensor` unless the mix has the shape and sample type of the models."""
    frames = mix.frames
    found: NDArray[np.generic] = mix.read(0, min(frames, 1))
    if found.dtype != np.float32 or found.ndim != 2 or found.shape[0] != CHANNELS or frames < MIN_SAMPLES:
        shape = (*found.shape[:-1], frames)
        raise InvalidTensor(
            f"mix must be float32 ({CHANNELS}, at least {MIN_SAMPLES}), got {found.dtype} {shape}",
            metadata={"detail": f"{found.dtype} {shape}"},
        )


def measure_level(mix: MixSource) -> Level:
    """Read the mix once, a block at a time, and combine the blocks' moments (Chan, Golub and LeVeque 1983) in float64."""
    count, mean, squares = 0, 0.0, 0.0
    for start in range(0, mix.frames, _READ_SAMPLES):
        left, right = mix.read(start, min(start + _READ_SAMPLES, mix.frames))
        mono = ((left + right) * np.float32(0.5)).astype(np.float64)
        middle = float(mono.mean())
        step = middle - mean
        share = mono.size / (count + mono.size)
        mono -= middle
        squares += float(mono @ mono) + step * step * count * share
        mean += step * share
        count += mono.size
    std = np.sqrt(squares / (count - 1))
    return Level(mean=np.float32(mean), std=np.float32(np.float32(std) + np.float32(_STD_FLOOR)))
