"""24-bit integer samples: conversion from floats, and layout in a WAV.

Scale 2^23, round to nearest, ties to even, no dither: dither would break the exact sum of the stems (docs/contract.md,
section 3). The caller chooses what happens to samples beyond full scale: :func:`to_pcm24` refuses them,
:func:`to_pcm24_saturated` saturates and counts them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import Internal

SAMPLE_RATE_HZ = 44100
CHANNELS = 2
BIT_DEPTH = 24
FULL_SCALE = 1 << 23
"""The integer that represents 1.0, one above :data:`MAX_SAMPLE`."""
MIN_SAMPLE = -FULL_SCALE
MAX_SAMPLE = FULL_SCALE - 1
BYTES_PER_FRAME = CHANNELS * BIT_DEPTH // 8
BLOCK_FRAMES = 1 << 16
"""Block size in frames; bounds the memory besides the arrays."""

Pcm24 = NDArray[np.int32]
"""``(C, T)`` int32, each in ``[-2^23, 2^23 - 1]``."""

Waveform = NDArray[np.float32] | NDArray[np.float64]
"""``(C, T)``, full scale 1.0."""


def to_pcm24(waveform: Waveform, *, stage: str) -> Pcm24:
    """Round ``(C, T)``. ``stage`` made the waveform; errors name it.

    Raises Internal: NOT_FINITE for NaN or infinity, INTERNAL for a sample beyond full scale.
    """
    pcm, beyond = to_pcm24_saturated(waveform, stage=stage)
    if beyond:
        raise Internal(
            f"stage {stage} returned {beyond} samples beyond full scale; it must limit them",
            metadata={"stage": stage, "samples": str(beyond)},
        )
    return pcm


def to_pcm24_saturated(waveform: Waveform, *, stage: str) -> tuple[Pcm24, int]:
    """Round ``(C, T)`` and clip at full scale. Also returns the number of clipped samples.

    Raises Internal NOT_FINITE for NaN or infinity.
    """
    if waveform.ndim != 2 or waveform.shape[0] != CHANNELS:
        raise ValueError(f"waveform must have shape ({CHANNELS}, T), got {waveform.shape}")
    pcm = np.empty(waveform.shape, dtype=np.int32)
    beyond = 0
    for block in blocks(waveform.shape[1]):
        # Exact in either type: the scale is a power of two, and float32 holds every integer up to 2^24.
        samples = np.rint(waveform[:, block] * waveform.dtype.type(FULL_SCALE))
        if not np.isfinite(samples).all():
            raise not_finite(stage)
        beyond += int(np.count_nonzero((samples < MIN_SAMPLE) | (samples > MAX_SAMPLE)))
        pcm[:, block] = np.clip(samples, MIN_SAMPLE, MAX_SAMPLE)
    return pcm, beyond


def from_pcm24(pcm: Pcm24) -> NDArray[np.float32]:
    """``(C, T)`` int32 to float32: exact multiples of 2^-23, so that :func:`to_pcm24` returns the same integers."""
    waveform = np.empty(pcm.shape, dtype=np.float32)
    np.multiply(pcm, np.float32(1.0 / FULL_SCALE), out=waveform, casting="unsafe")
    return waveform


def pack_pcm24(pcm: Pcm24) -> Iterator[bytes]:
    """``(C, T)`` as interleaved little-endian 24-bit samples, block by block."""
    for block in blocks(pcm.shape[1]):
        packed = np.empty((block.stop - block.start, pcm.shape[0], 3), dtype=np.uint8)
        for channel, samples in enumerate(pcm[:, block]):
            source = np.ascontiguousarray(samples, dtype="<i4").view(np.uint8).reshape(-1, 4)
            for place in range(3):  # byte by byte: eight times as fast as three of four bytes at once
                packed[:, channel, place] = source[:, place]
        yield packed.tobytes()


def unpack_pcm24(data: bytes | memoryview, *, channels: int = CHANNELS) -> Pcm24:
    """Interleaved little-endian 24-bit samples, whole frames, to ``(channels, N)`` int32."""
    packed = np.frombuffer(data, dtype=np.uint8).reshape(-1, channels, 3)
    # The three bytes fill the top of four, so that the shift extends the sign.
    pcm = np.zeros((channels, packed.shape[0]), dtype="<i4")
    widened = pcm.view(np.uint8).reshape(channels, -1, 4)
    for place in range(3):
        widened[:, :, place + 1] = packed[:, :, place].T
    pcm >>= 8
    return pcm


def blocks(frames: int, block_frames: int = BLOCK_FRAMES) -> Iterator[slice]:
    """``[0, frames)`` in slices of at most ``block_frames``."""
    for start in range(0, frames, block_frames):
        yield slice(start, min(start + block_frames, frames))


def not_finite(stage: str) -> Internal:
    """The error for NaN or infinity in the samples of ``stage``."""
    return Internal(
        f"stage {stage} returned NaN or infinity; its weights or its input are broken",
        reason="NOT_FINITE",
        metadata={"stage": stage},
    )
