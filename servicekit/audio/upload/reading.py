"""Reads a checked upload as 24-bit integers at 44100 Hz, in bounded memory."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import BLOCK_FRAMES, CHANNELS, MAX_SAMPLE, MIN_SAMPLE, SAMPLE_RATE_HZ, Pcm24
from servicekit.audio.rate import conversion_text, convert_blocks
from servicekit.audio.upload.aiff import read_aiff
from servicekit.audio.upload.decode import Units, decode, rounded
from servicekit.audio.upload.flac import flac_blocks, read_flac
from servicekit.audio.upload.layout import FFMPEG, Accepted, Container, UploadFormat, invalid_audio
from servicekit.audio.upload.riff import W64_RIFF, read_riff, read_w64
from servicekit.errors import InvalidAudio

Source = Path | bytes
"""A file, or its bytes."""

_KINDS = {b"OggS": "Ogg", b"ID3": "MP3"}
_HEADER_READERS = {b"RIFF": read_riff, b"RF64": read_riff, b"BW64": read_riff, b"FORM": read_aiff, b"fLaC": read_flac}
_HEAD_BYTES = 16


def read_upload_header(source: Source, *, max_seconds: float, resample: bool | None = None) -> UploadFormat:
    """Check the header against the file.

    ``resample`` says whether other rates than 44100 Hz are converted; None: they are not, and the caller cannot ask for it.

    Raises InvalidAudio saying what was expected and received.
    """
    with _opened(source) as file:
        file_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(_HEAD_BYTES)
        file.seek(0)
        reader = read_w64 if head == W64_RIFF else _HEADER_READERS.get(head[:4])
        if reader is None or len(head) < _HEAD_BYTES:
            raise _not_taken(head)
        return Accepted(max_seconds=max_seconds, resample=resample).check(reader(file, file_bytes))


class UploadReader:
    """Reads the samples of an upload, once. ``clipped`` counts samples that a rate conversion lifted beyond full scale."""

    def __init__(self, source: Source, upload: UploadFormat) -> None:
        self._source = source
        self._upload = upload
        self.clipped = 0

    def blocks(self) -> Iterator[Pcm24]:
        """The samples as ``(2, N)`` blocks, mono doubled, in memory that does not grow with length.

        24 bits and fewer are widened exactly; 32 bits, float and what a rate conversion makes are rounded to nearest, ties to even,
        once; a float of +1.0 becomes the highest 24-bit integer. Raises InvalidAudio for damaged files and for float samples that
        are NaN, infinite or beyond full scale, saying where.
        """
        for units in self._at_44100_hz():
            block = rounded(units)
            yield np.repeat(block, CHANNELS, axis=0) if self._upload.channels == 1 else block

    @property
    def processing(self) -> tuple[str, ...]:
        """What was done to the samples, for the manifest. Complete once all blocks were read."""
        upload = self._upload
        if not upload.is_converted:
            return ()
        text = conversion_text(from_hz=upload.rate_hz, to_hz=SAMPLE_RATE_HZ)
        return (f"{text}; {self.clipped} samples beyond full scale clipped",)

    def _at_44100_hz(self) -> Iterator[Units]:
        upload = self._upload
        if not upload.is_converted:
            yield from self._source_blocks()
            return
        wide = (block.astype(np.float64) for block in self._source_blocks())
        for block in convert_blocks(wide, from_hz=upload.rate_hz, to_hz=SAMPLE_RATE_HZ, frames=upload.source_frames):
            self.clipped += _beyond_full_scale(block)
            yield block

    def _source_blocks(self) -> Iterator[Units]:
        upload = self._upload
        with _opened(self._source) as file:
            if upload.container is Container.FLAC:
                yield from flac_blocks(file, upload)
                return
            file.seek(upload.data_offset)
            for start in range(0, upload.source_frames, BLOCK_FRAMES):
                frames = min(BLOCK_FRAMES, upload.source_frames - start)
                yield decode(_exactly(file, frames * upload.bytes_per_frame), upload, start)


def read_upload(source: Source, upload: UploadFormat) -> Pcm24:
    """All blocks of an `UploadReader` as one ``(2, T)``."""
    pcm = np.empty((CHANNELS, upload.frames), dtype=np.int32)
    start = 0
    for block in UploadReader(source, upload).blocks():
        pcm[:, start : start + block.shape[1]] = block
        start += block.shape[1]
    return pcm


def _beyond_full_scale(units: NDArray[np.float64]) -> int:
    nearest = np.rint(units)
    return int(((nearest < MIN_SAMPLE) | (nearest > MAX_SAMPLE)).sum())


def _opened(source: Source) -> BinaryIO:
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def _not_taken(head: bytes) -> InvalidAudio:
    if not head:
        return invalid_audio("the file is empty")
    if head[:4] == b"RIFX":
        return invalid_audio("it is a WAV of the kind RIFX; convert it to plain RIFF WAV")
    kind = _KINDS.get(head[:4], _KINDS.get(head[:3]))
    return invalid_audio(
        f"it is {f'{kind}, ' if kind else ''}not a WAV, RF64, W64, AIFF or FLAC file; convert it: {FFMPEG}"
    )


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise invalid_audio("it became shorter while it was read; send it again")
    return data
