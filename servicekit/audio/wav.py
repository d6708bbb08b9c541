"""The delivered WAV format: plain RIFF, PCM format tag 1, 24-bit, stereo, 44.1 kHz, with ``bext`` and ``LIST/INFO``.

The bytes are a pure function of samples and facts: separation_service makes the same bytes that render_service stored. All chunks
come before the samples, so a file is a header and the samples, written without seeking.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from servicekit.audio.bext import WavFacts, bext_body, info_body
from servicekit.audio.digest import ContentDigest, digest
from servicekit.audio.pcm24 import (
    BIT_DEPTH,
    BYTES_PER_FRAME,
    CHANNELS,
    MAX_SAMPLE,
    MIN_SAMPLE,
    SAMPLE_RATE_HZ,
    Pcm24,
    blocks,
    pack_pcm24,
    unpack_pcm24,
)
from servicekit.errors import DataLoss, ResourceExhausted

MAX_RIFF_BYTES = 0xFFFFFFFF
"""RIFF counts in 32 bits: about 4.5 hours. RF64 is not promised."""

_PCM_TAG = 1
_FMT = struct.pack(
    "<HHIIHH", _PCM_TAG, CHANNELS, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * BYTES_PER_FRAME, BYTES_PER_FRAME, BIT_DEPTH
)
_CHUNK = struct.Struct("<4sI")
_MAX_HEADER_CHUNK_BYTES = 1 << 20


class Readable(Protocol):
    """A source of bytes in order; an empty result is the end."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""


class Sink(Protocol):
    """A sink for bytes in order."""

    def write(self, data: bytes, /) -> object:
        """Write all of ``data``."""


class WavFile(ABC):
    """A WAV file generated on demand from samples that can be read repeatedly."""

    facts: WavFacts

    @property
    @abstractmethod
    def frames(self) -> int:
        """Samples a channel."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Pcm24:
        """Samples ``start`` to ``stop`` as ``(2, stop - start)``, read-only."""

    def packed(self, start: int, stop: int) -> bytes:
        """The same samples as bytes of the file."""
        return b"".join(pack_pcm24(self.read(start, stop)))

    @property
    def size_bytes(self) -> int:
        """Length of the file."""
        return len(self.header) + self.frames * BYTES_PER_FRAME

    @cached_property
    def header(self) -> bytes:
        """Everything before the samples. Raises ResourceExhausted TOO_LARGE if RIFF cannot hold them."""
        return wav_header(self.frames, self.facts)

    @cached_property
    def digest(self) -> ContentDigest:
        """Digest of the whole file, computed once."""
        return digest(self)

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes in order."""
        yield self.header
        for block in blocks(self.frames):
            yield self.packed(block.start, block.stop)

    def write_to(self, sink: Sink) -> None:
        """Write the file to a sink, without seeking. The digest, if it is not known yet, is computed in passing."""
        written = _Written(self, sink)
        if "digest" in self.__dict__:
            deque(written.chunks(), maxlen=0)
        else:
            self.__dict__["digest"] = digest(written)  # where the cached property keeps it


@dataclass(frozen=True)
class _Written:
    """A WAV as content that is also written to ``sink`` when it is read."""

    wav: WavFile
    sink: Sink

    @property
    def size_bytes(self) -> int:
        return self.wav.size_bytes

    def chunks(self) -> Iterator[bytes]:
        for chunk in self.wav.chunks():
            self.sink.write(chunk)
            yield chunk


@dataclass(frozen=True, eq=False)
class Wav(WavFile):
    """A WAV file over samples in memory. ``pcm`` is ``(2, T)``.

    Raises ResourceExhausted TOO_LARGE where RIFF cannot hold it.
    """

    pcm: Pcm24
    facts: WavFacts

    def __post_init__(self) -> None:
        if self.pcm.ndim != 2 or self.pcm.shape[0] != CHANNELS or self.pcm.dtype != np.int32:
            raise ValueError(f"pcm must be int32 of shape ({CHANNELS}, T), got {self.pcm.dtype} of {self.pcm.shape}")
        if self.frames and not MIN_SAMPLE <= int(self.pcm.min()) <= int(self.pcm.max()) <= MAX_SAMPLE:
            raise ValueError(f"samples must have 24 bits, got {self.pcm.min()} to {self.pcm.max()}")
        _ = self.header

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return int(self.pcm.shape[1])

    def read(self, start: int, stop: int) -> Pcm24:
        """A view of the samples."""
        return self.pcm[:, start:stop]


def wav_header(frames: int, facts: WavFacts) -> bytes:
    """Everything before the samples of a file with ``frames`` samples a channel.

    Raises ResourceExhausted TOO_LARGE where RIFF cannot hold so many.
    """
    data_bytes = frames * BYTES_PER_FRAME
    chunks = b"".join((_chunk(b"fmt ", _FMT), _chunk(b"bext", bext_body(facts)), _chunk(b"LIST", info_body(facts))))
    riff_bytes = len(b"WAVE") + len(chunks) + _CHUNK.size + data_bytes
    if riff_bytes > MAX_RIFF_BYTES:
        raise ResourceExhausted(
            f"{frames} frames need {riff_bytes} bytes, a WAV holds at most {MAX_RIFF_BYTES}; make it shorter",
            reason="TOO_LARGE",
            metadata={"limit_bytes": str(MAX_RIFF_BYTES)},
        )
    return _CHUNK.pack(b"RIFF", riff_bytes) + b"WAVE" + chunks + _CHUNK.pack(b"data", data_bytes)


def read_wav(stream: Readable, *, name: str) -> Pcm24:
    """All samples of a WAV in the delivered format: see :func:`wav_blocks`."""
    return np.concatenate([np.empty((CHANNELS, 0), dtype=np.int32), *wav_blocks(stream, name=name)], axis=1)


def wav_blocks(stream: Readable, *, name: str, frames: int | None = None) -> Iterator[Pcm24]:
    """The samples of a WAV in the delivered format, in blocks ``(2, N)``, in bounded memory.

    ``name`` is the store's key, for the error. Raises DataLoss where it is not such a WAV, or not one of ``frames``.
    """
    found = read_frame_count(stream, name=name)
    if frames is not None and found != frames:
        raise _damaged(name, f"it has {found} frames, expected {frames}")
    yield from sample_blocks(stream, found, name=name)


def read_frame_count(stream: Readable, *, name: str) -> int:
    """Read a WAV in the delivered format up to its first sample; returns the announced samples a channel.

    Raises DataLoss where it is not such a WAV.
    """
    riff, _, wave = struct.unpack("<4sI4s", _exactly(stream, 12, name))
    if (riff, wave) != (b"RIFF", b"WAVE"):
        raise _damaged(name, "it does not begin as a WAV")
    while True:
        chunk, size = _CHUNK.unpack(_exactly(stream, _CHUNK.size, name))
        if chunk == b"data":
            if size % BYTES_PER_FRAME:
                raise _damaged(name, f"{size} bytes of samples are not a whole number of frames")
            return int(size) // BYTES_PER_FRAME
        if size > _MAX_HEADER_CHUNK_BYTES:
            raise _damaged(name, f"its chunk {chunk!r} announces {size} bytes")
        body = _exactly(stream, size + size % 2, name)
        if chunk == b"fmt " and body[: len(_FMT)] != _FMT:
            raise _damaged(name, "it is not 24-bit stereo PCM at 44100 Hz")


def sample_blocks(stream: Readable, frames: int, *, name: str) -> Iterator[Pcm24]:
    """The next ``frames`` samples a channel in blocks ``(2, N)``. Raises DataLoss where the stream ends before."""
    for block in blocks(frames):
        yield unpack_pcm24(_exactly(stream, (block.stop - block.start) * BYTES_PER_FRAME, name))


def _exactly(stream: Readable, size: int, name: str) -> bytes:
    """Read exactly ``size`` bytes."""
    data = bytearray()
    while len(data) < size:
        part = stream.read(size - len(data))
        if not part:
            raise _damaged(name, f"it ends {size - len(data)} bytes too early")
        data += part
    return bytes(data)


def _chunk(name: bytes, body: bytes) -> bytes:
    return _CHUNK.pack(name, len(body)) + body + bytes(len(body) % 2)


def _damaged(name: str, what: str) -> DataLoss:
    return DataLoss(
        f"the stored WAV {name} is damaged: {what}; restore it from a copy",
        reason="DIGEST_MISMATCH",
        metadata={"key": name, "detail": what},
    )
