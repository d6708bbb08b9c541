"""Reads a WAV that somebody uploaded: checked whole, and turned into the 24-bit stereo samples that are separated.

Taken: RIFF/WAVE at 44.1 kHz, one channel (doubled) or two, PCM of 8, 16, 24 or 32 bits or IEEE float of 32 or 64 bits within
full scale, also as WAVE_FORMAT_EXTENSIBLE. Everything else is refused by name (CONTRACT 7).
Source: Microsoft, "Multiple channel audio data and WAVE files"; RFC 2361 for the format tags.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import (
    BLOCK_FRAMES,
    CHANNELS,
    FULL_SCALE,
    MAX_SAMPLE,
    SAMPLE_RATE_HZ,
    Pcm24,
    blocks,
    unpack_pcm24,
)
from servicekit.errors import InvalidAudio, ResourceExhausted

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_FMT = struct.Struct("<HHIIHH")
_CHUNK = struct.Struct("<4sI")
_EXTENSIBLE_BYTES = 40
_SUBFORMAT_AT = 24
_MIN_FRAMES = 2  # a single sample has no spread to normalise by
_LARGEST_FMT_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How samples lie in the file. ``tag`` is PCM or float, ``bits`` a sample's width, ``data_at`` a byte offset."""

    tag: int
    channels: int
    bits: int
    data_at: int
    data_bytes: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8

    @property
    def frames(self) -> int:
        return self.data_bytes // self.frame_bytes


def read_upload(file: IO[bytes], *, size_bytes: int, max_frames: int) -> Pcm24:
    """``(2, T)`` of a whole file, read from its beginning.

    Raises `InvalidAudio` saying what is wrong with it, `ResourceExhausted` TOO_LARGE for more than ``max_frames``.
    """
    layout = _read_layout(file, size_bytes)
    if layout.frames > max_frames:
        raise ResourceExhausted(
            f"the upload lasts {layout.frames / SAMPLE_RATE_HZ:.1f} s, at most {max_frames / SAMPLE_RATE_HZ:.1f} s are taken; "
            "cut it into parts",
            reason="TOO_LARGE",
            metadata={"limit_seconds": f"{max_frames / SAMPLE_RATE_HZ:g}"},
        )
    pcm = np.empty((CHANNELS, layout.frames), dtype=np.int32)
    for block, samples in _read_blocks(file, layout):
        pcm[:, block] = samples  # a single channel is doubled
    return pcm


def _read_layout(file: IO[bytes], size_bytes: int) -> _Layout:
    """Walk the chunks up to ``data``."""
    file.seek(0)
    head = file.read(12)
    if len(head) == 0:
        raise _refused("it is empty")
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        raise _refused(f"it is not a WAV: it begins with {head[:12]!r}, not with RIFF....WAVE")
    fmt: tuple[int, int, int] | None = None
    position = 12
    while position + _CHUNK.size <= size_bytes:
        file.seek(position)
        name, length = _CHUNK.unpack(file.read(_CHUNK.size))
        body_at = position + _CHUNK.size
        if name == b"fmt ":
            fmt = _read_fmt(file.read(min(length, _LARGEST_FMT_BYTES)))
        elif name == b"data":
            if fmt is None:
                raise _refused("its samples come before its fmt chunk")
            return _checked(*fmt, data_at=body_at, data_bytes=length, size_bytes=size_bytes)
        position = body_at + length + length % 2
    raise _refused(f"it is truncated: it ends after {size_bytes} bytes, before any samples")


def _read_fmt(body: bytes) -> tuple[int, int, int]:
    """Tag, channels and bits of a fmt chunk that this house separates."""
    if len(body) < _FMT.size:
        raise _refused(f"its fmt chunk has {len(body)} bytes, {_FMT.size} are the least")
    tag, channels, rate_hz, _, _, bits = _FMT.unpack(body[: _FMT.size])
    if tag == _EXTENSIBLE and len(body) >= _EXTENSIBLE_BYTES:
        tag = int.from_bytes(body[_SUBFORMAT_AT : _SUBFORMAT_AT + 2], "little")
    if (tag, bits) not in {(_PCM, 8), (_PCM, 16), (_PCM, 24), (_PCM, 32), (_FLOAT, 32), (_FLOAT, 64)}:
        raise _refused(f"wanted PCM of 8, 16, 24 or 32 bits or float of 32 or 64, got format {tag:#06x} with {bits} bits")
    if rate_hz != SAMPLE_RATE_HZ:
        raise _refused(f"wanted {SAMPLE_RATE_HZ} Hz, got {rate_hz} Hz; convert it before, nothing is resampled here")
    if channels not in {1, CHANNELS}:
        raise _refused(f"wanted 1 or {CHANNELS} channels, got {channels}")
    return tag, channels, bits


def _checked(tag: int, channels: int, bits: int, *, data_at: int, data_bytes: int, size_bytes: int) -> _Layout:
    layout = _Layout(tag=tag, channels=channels, bits=bits, data_at=data_at, data_bytes=data_bytes)
    there = size_bytes - data_at
    if data_bytes > there:
        raise _refused(f"it is truncated: it says {data_bytes} bytes of samples and {there} are there")
    if data_bytes % layout.frame_bytes:
        raise _refused(f"{data_bytes} bytes of samples are no whole number of frames of {layout.frame_bytes}")
    if layout.frames < _MIN_FRAMES:
        raise _refused(f"it is empty: {layout.frames} frames, at least {_MIN_FRAMES} are wanted")
    return layout


def _read_blocks(file: IO[bytes], layout: _Layout) -> Iterator[tuple[slice, Pcm24]]:
    """Samples as ``(channels, N)`` of 24 bits, block by block."""
    file.seek(layout.data_at)
    for block in blocks(layout.frames, BLOCK_FRAMES):
        wanted = (block.stop - block.start) * layout.frame_bytes
        data = file.read(wanted)
        if len(data) != wanted:
            raise _refused("it is truncated while being read")
        if layout.bits == 24:
            yield block, unpack_pcm24(data, channels=layout.channels)
        else:
            yield block, _to_24_bits(data, layout, first_frame=block.start)


def _to_24_bits(data: bytes, layout: _Layout, *, first_frame: int) -> Pcm24:
    kinds = {(_PCM, 8): "u1", (_PCM, 16): "<i2", (_PCM, 32): "<i4", (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}
    samples = np.frombuffer(data, dtype=kinds[layout.tag, layout.bits]).reshape(-1, layout.channels).T
    if layout.tag == _FLOAT:
        return _float_to_24_bits(samples.astype(np.float64), first_frame=first_frame)
    if layout.bits == 8:
        return (samples.astype(np.int32) - 128) << 16
    if layout.bits == 16:
        return samples.astype(np.int32) << 8
    return np.minimum(np.rint(samples / 256.0), MAX_SAMPLE).astype(np.int32)  # the top half step rounds to full scale


def _float_to_24_bits(samples: NDArray[np.float64], *, first_frame: int) -> Pcm24:
    finite = np.isfinite(samples).all(axis=0)
    if not finite.all():
        frame = first_frame + int(np.argmin(finite))
        raise _refused(f"it holds samples that are NaN or infinite, the first at {frame / SAMPLE_RATE_HZ:.3f} s")
    peak = float(np.abs(samples).max())
    if peak > 1.0:
        raise _refused(f"its float samples pass full scale: {peak:.4f} where 1.0 is the most; lower its level before")
    return np.minimum(np.rint(samples * FULL_SCALE), MAX_SAMPLE).astype(np.int32)


def _refused(what: str) -> InvalidAudio:
    return InvalidAudio(f"the upload cannot be separated: {what}", metadata={"detail": what})
