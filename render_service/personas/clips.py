"""Reference clips of a persona, as callers send them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import soundfile
from numpy.typing import NDArray

from render_service.renderers.renderer import Waveform
from servicekit.audio.pcm24 import from_pcm24
from servicekit.audio.upload import read_upload, read_upload_header
from servicekit.errors import InvalidAudio

MAX_CLIPS = 32
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MIN_CLIP_SECONDS = 1.0
MAX_CLIP_SECONDS = 120.0
_MIN_RMS = 1e-4
_MAX_LEVEL = 8.0
"""Far beyond full scale: lossy codecs overshoot it by a little, broken files by anything."""
_FORMATS = frozenset({"FLAC", "AIFF", "OGG"})
_OGG_END_OF_STREAM = 4
_RATE_HZ = 44100


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One reference clip: the bytes of an audio file."""

    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()

    def waveform(self, *, name: str) -> Waveform:
        """Decode to ``(2, T)`` at 44100 Hz. Raises :class:`InvalidAudio` naming the clip.

        A WAV is read by the rules of uploads. Of the formats that libsndfile reads, those are accepted whose end can be checked.
        """
        samples = _read_wav(self.data, name) if self.data[:4] == b"RIFF" else _read_coded(self.data, name)
        if not np.isfinite(samples).all():
            raise _invalid(name, "must have finite samples, got NaN or infinity")
        if float(np.abs(samples).max()) > _MAX_LEVEL:
            raise _invalid(name, f"must not exceed full scale, got a sample of {float(np.abs(samples).max()):g}")
        # A constant is no sound, however large.
        if (
            float(np.sqrt(np.mean(np.square(samples - samples.mean(axis=1, keepdims=True), dtype=np.float64))))
            < _MIN_RMS
        ):
            raise _invalid(name, "must be audible, got silence or a constant")
        return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[1])), dtype=np.float32)


class DecodedClips(Sequence[Waveform]):
    """The waveforms of clips, each decoded when it is read: one at a time is in memory."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    @overload
    def __getitem__(self, index: int) -> Waveform: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Waveform]: ...

    def __getitem__(self, index: int | slice) -> Waveform | Sequence[Waveform]:
        if isinstance(index, slice):
            return DecodedClips(self._clips[index])
        return self._clips[index].waveform(name=f"clip {index}")


def _read_wav(data: bytes, name: str) -> NDArray[np.float32]:
    """Samples ``(2, T)`` by the rules of uploads."""
    try:
        header = read_upload_header(data, max_seconds=MAX_CLIP_SECONDS)
        samples = read_upload(data, header)
    except InvalidAudio as error:
        raise _invalid(name, f"cannot be used: {error.metadata.get('detail', error.message)}") from None
    _check_clip(name, _RATE_HZ, header.channels, header.seconds)
    return from_pcm24(samples)


def _read_coded(data: bytes, name: str) -> NDArray[np.float32]:
    """Samples ``(C, T)`` of a FLAC, AIFF or Ogg."""
    try:
        with soundfile.SoundFile(_Bytes(data)) as file:
            if file.format not in _FORMATS:
                raise _invalid(name, f"must be WAV, FLAC, AIFF or Ogg, got {file.format_info}")
            _check_clip(name, file.samplerate, file.channels, file.frames / max(file.samplerate, 1))
            frames = file.frames
            samples: NDArray[np.float32] = file.read(dtype="float32", always_2d=True).T
    except soundfile.LibsndfileError as error:
        raise _invalid(name, f"must be a readable audio file, got {error.error_string}") from None
    if samples.shape[1] != frames or _is_cut(data):
        raise _invalid(name, "must be complete, got a file that ends early")
    return samples


class _Bytes(io.BytesIO):
    """Bytes in which a broken file's offsets lead to the start instead of to an exception inside libsndfile's callback."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move to an offset, at least to the start."""
        base = (0, self.tell(), len(self.getbuffer()))[whence]
        return super().seek(max(base + offset, 0))


def _is_cut(data: bytes) -> bool:
    """Whether a file lacks its end, which libsndfile takes for a shorter one. An AIFF has its length, an Ogg marks its end."""
    if data[:4] == b"FORM":
        return len(data) < 8 + int.from_bytes(data[4:8], "big")
    if data[:4] == b"OggS":
        last_page = data.rfind(b"OggS")
        return last_page + 5 >= len(data) or not data[last_page + 5] & _OGG_END_OF_STREAM
    return False


def _check_clip(name: str, rate: int, channels: int, seconds: float) -> None:
    if rate != _RATE_HZ:
        raise _invalid(name, f"must have {_RATE_HZ} Hz, got {rate} Hz; convert it first")
    if channels not in {1, 2}:  # before decoding, which takes memory for each
        raise _invalid(name, f"must be mono or stereo, got {channels} channels; mix it down first")
    if not MIN_CLIP_SECONDS <= seconds <= MAX_CLIP_SECONDS:
        raise _invalid(name, f"must last {MIN_CLIP_SECONDS:g} to {MAX_CLIP_SECONDS:g} s, got {seconds:.2f} s")


def _invalid(name: str, problem: str) -> InvalidAudio:
    return InvalidAudio(f"{name} {problem}", metadata={"detail": name})
