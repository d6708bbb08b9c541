"""Uploaded WAVs: the header is checked first, then samples are read as 24-bit integers.

Taken: RIFF WAVE at 44.1 kHz, mono (doubled) or stereo, PCM of 8 to 32 bits or float of 32 or 64, plain or WAVE_FORMAT_EXTENSIBLE.
Refused with InvalidAudio, each in its own words: what is no WAV, another rate, more channels, another encoding, a file that ends
before its samples do, no samples, too many, and float samples that are NaN, infinite or beyond full scale.

The header is read here and not by a library, because libsndfile takes a truncated file for a shorter one.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import BLOCK_FRAMES, CHANNELS, FULL_SCALE, MAX_SAMPLE, SAMPLE_RATE_HZ, Pcm24, unpack_pcm24
from servicekit.errors import InvalidAudio

MIN_FRAMES = 2
"""The fewest frames with a standard deviation."""

Source = Path | bytes
"""A file, or its bytes."""

_PCM_TAG = 1
_FLOAT_TAG = 3
_EXTENSIBLE_TAG = 0xFFFE
# KSDATAFORMAT_SUBTYPE: the format tag in two bytes, then this.
_SUBTYPE_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_UNKNOWN_SIZE = 0xFFFFFFFF
_MAX_CHUNKS = 4096
_CHUNK = struct.Struct("<4sI")
_FMT = struct.Struct("<HHIIHH")


class Encoding(Enum):
    """Sample encoding: format tag and bytes per sample."""

    PCM8 = (_PCM_TAG, 1)
    PCM16 = (_PCM_TAG, 2)
    PCM24 = (_PCM_TAG, 3)
    PCM32 = (_PCM_TAG, 4)
    FLOAT32 = (_FLOAT_TAG, 4)
    FLOAT64 = (_FLOAT_TAG, 8)


@dataclass(frozen=True, kw_only=True)
class UploadFormat:
    """A checked header. The samples begin at byte ``data_offset`` and are complete."""

    encoding: Encoding
    channels: int
    frames: int
    data_offset: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.frames / SAMPLE_RATE_HZ

    @property
    def bytes_per_frame(self) -> int:
        """Bytes per frame in the file."""
        return self.channels * self.encoding.value[1]


def read_upload_header(source: Source, *, max_seconds: float) -> UploadFormat:
    """Check the header against the file. Raises InvalidAudio saying what was expected and received."""
    with _opened(source) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        _check_riff(file.read(12))
        fmt: bytes | None = None
        for _ in range(_MAX_CHUNKS):
            head = file.read(_CHUNK.size)
            if len(head) < _CHUNK.size:
                raise invalid_audio("it ends before its samples: the WAV is truncated or has no data chunk")
            name, length = _CHUNK.unpack(head)
            if name == b"data":
                return _format(
                    fmt, data_offset=file.tell(), data_bytes=length, file_bytes=size, max_seconds=max_seconds
                )
            if name == b"fmt ":
                fmt = file.read(min(length, 40))
                file.seek(length - len(fmt), os.SEEK_CUR)
            else:
                file.seek(length, os.SEEK_CUR)
            file.seek(length % 2, os.SEEK_CUR)
    raise invalid_audio(f"its first {_MAX_CHUNKS} chunks hold no samples; write it again with an audio editor")


def upload_blocks(source: Source, upload: UploadFormat) -> Iterator[Pcm24]:
    """The samples as ``(2, N)`` blocks, mono doubled, in memory that does not grow with length.

    16 bits and 8 are widened exactly; 32 bits and float are rounded to nearest, ties to even; what rounding lifts to +1.0, and a
    float that is just that, becomes the highest 24-bit integer. Raises InvalidAudio for float samples that are NaN,
    infinite or beyond full scale, saying where.
    """
    with _opened(source) as file:
        file.seek(upload.data_offset)
        for start in range(0, upload.frames, BLOCK_FRAMES):
            frames = min(BLOCK_FRAMES, upload.frames - start)
            data = _exactly(file, frames * upload.bytes_per_frame)
            block = _decode(data, upload, start)
            yield np.repeat(block, CHANNELS, axis=0) if upload.channels == 1 else block


def read_upload(source: Source, upload: UploadFormat) -> Pcm24:
    """All of :func:`upload_blocks` as one ``(2, T)``."""
    pcm = np.empty((CHANNELS, upload.frames), dtype=np.int32)
    start = 0
    for block in upload_blocks(source, upload):
        pcm[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return pcm


_KINDS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF"}
_COMMAND = f": ffmpeg -i FILE -ar {SAMPLE_RATE_HZ} -c:a pcm_s24le FILE.wav"


def _opened(source: Source) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def invalid_audio(detail: str) -> InvalidAudio:
    """The error for an upload that cannot be separated, and why."""
    return InvalidAudio(f"the upload cannot be separated: {detail}", metadata={"detail": detail})


def _check_riff(head: bytes) -> None:
    if len(head) == 0:
        raise invalid_audio("the file is empty")
    if head[:4] in (b"RF64", b"BW64", b"RIFX"):
        raise invalid_audio(f"it is a WAV of the kind {head[:4].decode()}; convert it to plain RIFF WAV")
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        kind = _KINDS.get(head[:4], _KINDS.get(head[:3]))
        raise invalid_audio(f"it is {f'{kind}, ' if kind else ''}not a WAV; convert it to WAV at 44100 Hz{_COMMAND}")


def _format(
    fmt: bytes | None, *, data_offset: int, data_bytes: int, file_bytes: int, max_seconds: float
) -> UploadFormat:
    """Check ``fmt`` and the length of the samples against the file."""
    if fmt is None or len(fmt) < _FMT.size:
        raise invalid_audio("its samples come before a format chunk; write it again with an audio editor")
    tag, channels, rate_hz, _, block_align, bits = _FMT.unpack(fmt[: _FMT.size])
    if rate_hz != SAMPLE_RATE_HZ:
        raise invalid_audio(f"it has {rate_hz} Hz; convert it to {SAMPLE_RATE_HZ} Hz{_COMMAND}")
    if channels not in (1, 2):
        raise invalid_audio(f"it has {channels} channels; mix it down to mono or stereo")
    encoding = _encoding(fmt, tag=tag, channels=channels, block_align=block_align, bits=bits)
    if data_bytes == _UNKNOWN_SIZE:
        raise invalid_audio("its header has no length, as in a WAV written to a pipe; write it to a file")
    if data_offset + data_bytes > file_bytes:
        there = max(file_bytes - data_offset, 0)
        raise invalid_audio(
            f"it is truncated: its header announces {data_bytes} bytes of samples, the file has {there}"
        )
    if data_bytes % block_align:
        raise invalid_audio(f"it is truncated: {data_bytes} bytes of samples are not a whole number of frames")
    frames = data_bytes // block_align
    if frames < MIN_FRAMES:
        raise invalid_audio(f"it holds {frames} frames; at least {MIN_FRAMES} are required")
    if frames > max_seconds * SAMPLE_RATE_HZ:
        raise invalid_audio(f"it lasts {frames / SAMPLE_RATE_HZ:.1f} s; at most {max_seconds:g} s are accepted")
    return UploadFormat(encoding=encoding, channels=channels, frames=frames, data_offset=data_offset)


def _encoding(fmt: bytes, *, tag: int, channels: int, block_align: int, bits: int) -> Encoding:
    if tag == _EXTENSIBLE_TAG and len(fmt) == 40 and fmt[26:] == _SUBTYPE_TAIL:
        tag = int.from_bytes(fmt[24:26], "little")
    for encoding in Encoding:
        width = encoding.value[1]
        # Fewer bits than the width are left-aligned (20 in 24), so only the width matters.
        if encoding.value[0] == tag and block_align == channels * width and 8 * (width - 1) < bits <= 8 * width:
            return encoding
    raise invalid_audio(
        f"its encoding (format tag {tag}, {bits} bits, {block_align} bytes per frame) is not supported; "
        "convert it to 16-bit or 24-bit PCM or to 32-bit float"
    )


def _decode(data: bytes, upload: UploadFormat, start_frame: int) -> Pcm24:
    """Interleaved samples to ``(channels, N)`` integers."""
    match upload.encoding:
        case Encoding.PCM8:
            return _planar((np.frombuffer(data, np.uint8).astype(np.int32) - 128) << 16, upload)
        case Encoding.PCM16:
            return _planar(np.frombuffer(data, "<i2").astype(np.int32) << 8, upload)
        case Encoding.PCM24:
            return unpack_pcm24(data, channels=upload.channels)
        case Encoding.PCM32:
            return _planar(_nearest(np.frombuffer(data, "<i4") / 256.0), upload)
        case Encoding.FLOAT32:
            with np.errstate(invalid="ignore"):  # a signalling NaN, which is refused below
                samples = np.frombuffer(data, "<f4").astype(np.float64)
        case Encoding.FLOAT64:
            samples = np.frombuffer(data, "<f8").astype(np.float64)
    _check_floats(samples, upload, start_frame)
    return _planar(_nearest(samples * FULL_SCALE), upload)


def _planar(samples: NDArray[np.int32], upload: UploadFormat) -> Pcm24:
    return np.ascontiguousarray(samples.reshape(-1, upload.channels).T)


def _nearest(units: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.minimum(np.rint(units), MAX_SAMPLE).astype(np.int32)


def _check_floats(samples: NDArray[np.float64], upload: UploadFormat, start_frame: int) -> None:
    bad = ~(np.abs(samples) <= 1.0)
    if not bad.any():
        return
    first = int(bad.argmax())
    at_s = (start_frame + first // upload.channels) / SAMPLE_RATE_HZ
    value = float(samples[first])
    if np.isfinite(value):
        raise invalid_audio(f"at {at_s:.3f} s a sample is {value:g}, beyond full scale; lower its level to at most 1.0")
    raise invalid_audio(
        f"at {at_s:.3f} s a sample is {'NaN' if np.isnan(value) else 'infinite'}; write it again with an audio editor"
    )


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise invalid_audio("it became shorter while it was read; send it again")
    return data
