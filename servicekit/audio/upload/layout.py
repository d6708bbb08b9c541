"""What the header of an uploaded recording says of its samples, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.audio.rate import converted_frames
from servicekit.errors import InvalidAudio

MIN_FRAMES = 2
"""The fewest frames with a standard deviation."""

MIN_RATE_HZ, MAX_RATE_HZ = 8000, 384000
_MAX_UP = 441
"""Bounds the filter of a conversion: 8000, 11025 and 16000 Hz need 441 or fewer, as every common rate does."""

FFMPEG = f"ffmpeg -i FILE -ar {SAMPLE_RATE_HZ} -c:a pcm_s24le FILE.wav"


class Encoding(Enum):
    """How one sample is stored: kind (``u`` unsigned, ``i`` signed integer, ``f`` float) and bytes."""

    PCM8 = "u1"
    PCM8_SIGNED = "i1"
    PCM16 = "i2"
    PCM24 = "i3"
    PCM32 = "i4"
    FLOAT32 = "f4"
    FLOAT64 = "f8"

    @property
    def width(self) -> int:
        """Bytes per sample."""
        return int(self.value[1])


class Container(Enum):
    """The file formats that are taken."""

    WAV = "WAV"
    RF64 = "RF64"
    W64 = "W64"
    AIFF = "AIFF"
    FLAC = "FLAC"


@dataclass(frozen=True, kw_only=True)
class UploadFormat:
    """A checked header. ``source_frames`` samples a channel begin at byte ``data_offset`` (not of FLAC) and are complete."""

    container: Container
    encoding: Encoding
    channels: int
    rate_hz: int
    source_frames: int
    data_offset: int = 0
    big_endian: bool = False

    @property
    def frames(self) -> int:
        """Samples a channel at 44100 Hz."""
        if not self.is_converted:
            return self.source_frames
        return converted_frames(self.source_frames, from_hz=self.rate_hz, to_hz=SAMPLE_RATE_HZ)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.source_frames / self.rate_hz

    @property
    def is_converted(self) -> bool:
        """Whether the samples have another rate and are converted while they are read."""
        return self.rate_hz != SAMPLE_RATE_HZ

    @property
    def bytes_per_frame(self) -> int:
        """Bytes per frame in the file."""
        return self.channels * self.encoding.width


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What an upload may be: its length at most, and whether another rate than 44100 Hz is converted.

    ``resample`` is None where the caller cannot ask for a conversion.
    """

    max_seconds: float
    resample: bool | None

    def check(self, upload: UploadFormat) -> UploadFormat:
        """The format itself. Raises InvalidAudio."""
        if upload.channels not in (1, 2):
            raise invalid_audio(f"it has {upload.channels} channels; mix it down to mono or stereo")
        self._check_rate(upload.rate_hz)
        if upload.frames < MIN_FRAMES:
            raise invalid_audio(f"it holds {upload.frames} frames; at least {MIN_FRAMES} are required")
        if upload.frames > self.max_seconds * SAMPLE_RATE_HZ:
            seconds = upload.frames / SAMPLE_RATE_HZ
            raise invalid_audio(f"it lasts {seconds:.1f} s; at most {self.max_seconds:g} s are accepted")
        return upload

    def _check_rate(self, rate_hz: int) -> None:
        if rate_hz == SAMPLE_RATE_HZ:
            return
        if not self.resample:
            offer = "" if self.resample is None else "set `resample` (--resample) to have it converted, or "
            raise invalid_audio(f"it has {rate_hz} Hz; {offer}convert it to {SAMPLE_RATE_HZ} Hz: {FFMPEG}")
        convertible = (
            MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ and SAMPLE_RATE_HZ // math.gcd(rate_hz, SAMPLE_RATE_HZ) <= _MAX_UP
        )
        if not convertible:
            raise invalid_audio(
                f"it has {rate_hz} Hz; rates from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz are converted whose ratio to "
                f"{SAMPLE_RATE_HZ} Hz is simple, such as 48000 and 96000 Hz; convert it: {FFMPEG}"
            )


def complete_frames(*, data_bytes: int, data_offset: int, file_bytes: int, block_align: int) -> int:
    """The number of frames in ``data_bytes``, which must lie in the file. Raises InvalidAudio."""
    if data_offset + data_bytes > file_bytes:
        there = max(file_bytes - data_offset, 0)
        raise invalid_audio(
            f"it is truncated: its header announces {data_bytes} bytes of samples, the file has {there}"
        )
    if data_bytes % block_align:
        raise invalid_audio(f"it is truncated: {data_bytes} bytes of samples are not a whole number of frames")
    return data_bytes // block_align


def unsupported_encoding(what: str) -> InvalidAudio:
    """The error for samples in an encoding that is not read."""
    return invalid_audio(
        f"its encoding ({what}) is not supported; convert it to 16-bit or 24-bit PCM or to 32-bit float"
    )


def invalid_audio(detail: str) -> InvalidAudio:
    """The error for an upload that cannot be separated, and why."""
    return InvalidAudio(f"the upload cannot be separated: {detail}", metadata={"detail": detail})
