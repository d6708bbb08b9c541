"""Headers of RIFF WAVE, of RF64 (EBU Tech 3306, BW64 likewise) and of Sony Wave64, which share the format chunk of WAVE."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from servicekit.audio.upload.layout import (
    Container,
    Encoding,
    UploadFormat,
    complete_frames,
    invalid_audio,
    unsupported_encoding,
)

_PCM_TAG = 1
_FLOAT_TAG = 3
_EXTENSIBLE_TAG = 0xFFFE
# KSDATAFORMAT_SUBTYPE: the format tag in two bytes, then this.
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_CHUNKS = 4096
_CHUNK = struct.Struct("<4sI")
_W64_CHUNK = struct.Struct("<4s12sQ")
_FMT = struct.Struct("<HHIIHH")
_FMT_BYTES = 40
_DS64 = struct.Struct("<QQ")

W64_RIFF = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
_W64_WAVE_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_ENCODINGS = {
    (_PCM_TAG, 1): Encoding.PCM8,
    (_PCM_TAG, 2): Encoding.PCM16,
    (_PCM_TAG, 3): Encoding.PCM24,
    (_PCM_TAG, 4): Encoding.PCM32,
    (_FLOAT_TAG, 4): Encoding.FLOAT32,
    (_FLOAT_TAG, 8): Encoding.FLOAT64,
}


def read_riff(file: BinaryIO, file_bytes: int) -> UploadFormat:
    """The format of a RIFF WAVE or RF64. Raises InvalidAudio."""
    head = file.read(12)
    if head[8:] != b"WAVE":
        raise invalid_audio(f"it is a RIFF file, but not a WAV: its form is {head[8:]!r}")
    container = Container.WAV if head[:4] == b"RIFF" else Container.RF64
    data_bytes_64: int | None = None
    fmt: bytes | None = None
    for name, length in _riff_chunks(file, file_bytes):
        if name == b"data":
            data_bytes = length
            if length == _UNKNOWN_SIZE:
                if data_bytes_64 is None:
                    raise invalid_audio("its header has no length, as in a WAV written to a pipe; write it to a file")
                data_bytes = data_bytes_64
            return _wave_format(container, fmt, data_offset=file.tell(), data_bytes=data_bytes, file_bytes=file_bytes)
        if name == b"fmt ":
            fmt = file.read(min(length, _FMT_BYTES))
        elif name == b"ds64" and container is Container.RF64:
            sizes = file.read(_DS64.size)
            if len(sizes) == _DS64.size:
                data_bytes_64 = _DS64.unpack(sizes)[1]
    raise _no_samples()


def read_w64(file: BinaryIO, file_bytes: int) -> UploadFormat:
    """The format of a Wave64. Raises InvalidAudio."""
    head = file.read(40)
    if len(head) < 40 or head[24:] != b"wave" + _W64_WAVE_TAIL:
        raise invalid_audio("it begins as a Wave64, but its form is not wave; write it again with an audio editor")
    fmt: bytes | None = None
    for name, length in _w64_chunks(file, file_bytes):
        if name == b"data":
            return _wave_format(Container.W64, fmt, data_offset=file.tell(), data_bytes=length, file_bytes=file_bytes)
        if name == b"fmt ":
            fmt = file.read(min(length, _FMT_BYTES))
    raise _no_samples()


def _riff_chunks(file: BinaryIO, file_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Name and length of each chunk; the file is at its first byte, and need not be read to its end."""
    for _ in range(_MAX_CHUNKS):
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            raise _truncated()
        name, length = _CHUNK.unpack(head)
        start = file.tell()
        yield name, length
        _go_to(file, start + length + length % 2, file_bytes)


def _w64_chunks(file: BinaryIO, file_bytes: int) -> Iterator[tuple[bytes, int]]:
    """As `_riff_chunks`: a Wave64 counts a chunk's head in its length and aligns chunks to 8 bytes."""
    for _ in range(_MAX_CHUNKS):
        head = file.read(_W64_CHUNK.size)
        if len(head) < _W64_CHUNK.size:
            raise _truncated()
        name, tail, length = _W64_CHUNK.unpack(head)
        if length < _W64_CHUNK.size:
            raise invalid_audio(f"its chunk {name!r} announces {length} bytes; write it again with an audio editor")
        start = file.tell()
        yield name if tail == _W64_WAVE_TAIL else b"", length - _W64_CHUNK.size
        _go_to(file, start - _W64_CHUNK.size + -(-length // 8) * 8, file_bytes)


def _wave_format(
    container: Container, fmt: bytes | None, *, data_offset: int, data_bytes: int, file_bytes: int
) -> UploadFormat:
    if fmt is None or len(fmt) < _FMT.size:
        raise invalid_audio("its samples come before a format chunk; write it again with an audio editor")
    tag, channels, rate_hz, _, block_align, bits = _FMT.unpack(fmt[: _FMT.size])
    if channels not in (1, 2):
        raise invalid_audio(f"it has {channels} channels; mix it down to mono or stereo")
    encoding = _encoding(fmt, tag=tag, channels=channels, block_align=block_align, bits=bits)
    return UploadFormat(
        container=container,
        encoding=encoding,
        channels=channels,
        rate_hz=rate_hz,
        source_frames=complete_frames(
            data_bytes=data_bytes, data_offset=data_offset, file_bytes=file_bytes, block_align=block_align
        ),
        data_offset=data_offset,
    )


def _encoding(fmt: bytes, *, tag: int, channels: int, block_align: int, bits: int) -> Encoding:
    if tag == _EXTENSIBLE_TAG and len(fmt) == _FMT_BYTES and fmt[26:] == _SUBTYPE_TAIL:
        tag = int.from_bytes(fmt[24:26], "little")
    for (encoding_tag, width), encoding in _ENCODINGS.items():
        # Fewer bits than the width are left-aligned (20 in 24), so only the width matters.
        if encoding_tag == tag and block_align == channels * width and 8 * (width - 1) < bits <= 8 * width:
            return encoding
    raise unsupported_encoding(f"format tag {tag}, {bits} bits, {block_align} bytes per frame")


def _go_to(file: BinaryIO, position: int, file_bytes: int) -> None:
    if position > file_bytes:
        raise _truncated()
    file.seek(position)


def _truncated() -> Exception:
    return invalid_audio("it ends before its samples: the file is truncated or has no data chunk")


def _no_samples() -> Exception:
    return invalid_audio(f"its first {_MAX_CHUNKS} chunks hold no samples; write it again with an audio editor")
