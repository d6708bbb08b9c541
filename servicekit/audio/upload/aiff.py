"""Headers of AIFF and of AIFF-C without compression (Apple, AIFF 1.3 and AIFF-C 9/26/91)."""

from __future__ import annotations

import struct
from typing import BinaryIO

from servicekit.audio.upload.layout import (
    Container,
    Encoding,
    UploadFormat,
    complete_frames,
    invalid_audio,
    unsupported_encoding,
)

_MAX_CHUNKS = 4096
_CHUNK = struct.Struct(">4sI")
_COMM = struct.Struct(">hIhH8s")  # channels, frames, bits, then the rate as an 80-bit float
_SSND = struct.Struct(">II")
_INTEGERS = {1: Encoding.PCM8_SIGNED, 2: Encoding.PCM16, 3: Encoding.PCM24, 4: Encoding.PCM32}
_WIDTHS = {b"in24": 3, b"42n1": 3, b"in32": 4, b"23ni": 4}
"""Bytes of a sample that the compression states; with others the width follows from the bits alone."""
_BIG_ENDIAN_INTEGERS = frozenset({b"NONE", b"twos", b"in24", b"in32"})
_LITTLE_ENDIAN_INTEGERS = frozenset({b"sowt", b"42n1", b"23ni"})
_FLOATS = {b"fl32": Encoding.FLOAT32, b"FL32": Encoding.FLOAT32, b"fl64": Encoding.FLOAT64, b"FL64": Encoding.FLOAT64}
_EXPONENT_BIAS = 16383
_MANTISSA_BITS = 63


def read_aiff(file: BinaryIO, file_bytes: int) -> UploadFormat:
    """The format of an AIFF or AIFF-C. Its chunks may come in any order. Raises InvalidAudio."""
    form = file.read(12)[8:]
    if form not in (b"AIFF", b"AIFC"):
        raise invalid_audio(f"it is an IFF file, but not an AIFF: its form is {form!r}")
    comm: bytes | None = None
    samples: tuple[int, int] | None = None
    for _ in range(_MAX_CHUNKS):
        if comm is not None and samples is not None:
            return _format(form, comm, samples, file_bytes)
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            raise invalid_audio("it is truncated: it ends before its samples or its COMM chunk")
        name, length = _CHUNK.unpack(head)
        start = file.tell()
        if name == b"COMM":
            comm = file.read(min(length, _COMM.size + 4))
        elif name == b"SSND":
            samples = _samples(file, length)
        file.seek(start + length + length % 2)
    raise invalid_audio(f"its first {_MAX_CHUNKS} chunks hold no samples; write it again with an audio editor")


def _samples(file: BinaryIO, length: int) -> tuple[int, int]:
    """Where the samples begin, and how many bytes of them the chunk announces."""
    head = file.read(_SSND.size)
    if len(head) < _SSND.size:
        raise invalid_audio("it is truncated: it ends before its samples")
    offset, _ = _SSND.unpack(head)
    return file.tell() + offset, max(length - _SSND.size - offset, 0)


def _format(form: bytes, comm: bytes, samples: tuple[int, int], file_bytes: int) -> UploadFormat:
    if len(comm) < _COMM.size:
        raise invalid_audio("its COMM chunk is too short; write it again with an audio editor")
    channels, frames, bits, exponent, mantissa = _COMM.unpack(comm[: _COMM.size])
    if channels not in (1, 2):
        raise invalid_audio(f"it has {channels} channels; mix it down to mono or stereo")
    compression = comm[_COMM.size :] if form == b"AIFC" else b"NONE"
    encoding = _encoding(compression, bits)
    data_offset, announced = samples
    block_align = channels * encoding.width
    data_bytes = frames * block_align
    if announced < data_bytes:
        raise invalid_audio(
            f"it is truncated: its header announces {frames} frames, its sample chunk has {announced} bytes"
        )
    return UploadFormat(
        container=Container.AIFF,
        encoding=encoding,
        channels=channels,
        rate_hz=_rate_hz(exponent, mantissa),
        source_frames=complete_frames(
            data_bytes=data_bytes, data_offset=data_offset, file_bytes=file_bytes, block_align=block_align
        ),
        data_offset=data_offset,
        big_endian=compression not in _LITTLE_ENDIAN_INTEGERS,
    )


def _encoding(compression: bytes, bits: int) -> Encoding:
    if compression in _FLOATS:
        return _FLOATS[compression]
    if compression in _BIG_ENDIAN_INTEGERS | _LITTLE_ENDIAN_INTEGERS and 1 <= bits <= 32:
        width = -(-bits // 8)  # fewer bits than the width are left-aligned, so only the width matters
        if width == _WIDTHS.get(compression, width):
            return _INTEGERS[width]
    raise unsupported_encoding(f"AIFF-C compression {compression!r}, {bits} bits")


def _rate_hz(exponent: int, mantissa: bytes) -> int:
    """An 80-bit float as a whole number of Hz; 0 where it is none."""
    shift = _MANTISSA_BITS - (exponent - _EXPONENT_BIAS)
    value = int.from_bytes(mantissa, "big")
    if not 0 <= shift <= _MANTISSA_BITS or value % (1 << shift):
        return 0
    return value >> shift
