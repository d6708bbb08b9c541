"""Reference clips of a persona, as callers send them."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import numpy as np
import soundfile

from render_service.renderers.renderer import Waveform
from servicekit.errors import InvalidAudio

MAX_CLIPS = 32
MAX_CLIP_BYTES = 32 * 1024 * 1024
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MIN_CLIP_SECONDS = 1.0
MAX_CLIP_SECONDS = 120.0
_MIN_RMS = 1e-4
_RATE_HZ = 44100


@dataclass(frozen=True, kw_only=True)
class Clip:
    """One reference clip: the bytes of an audio file in a format that libsndfile reads."""

    data: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes, lower-case hex."""
        return hashlib.sha256(self.data).hexdigest()

    def waveform(self, *, name: str) -> Waveform:
        """Decode to ``(2, T)`` at 44100 Hz. Raises :class:`InvalidAudio` naming the clip."""
        try:
            with soundfile.SoundFile(io.BytesIO(self.data)) as file:
                rate, frames = file.samplerate, file.frames
                _check_clip(name, rate, frames / max(rate, 1))
                samples = file.read(dtype="float32", always_2d=True)[:, :2].T
        except soundfile.LibsndfileError as error:
            raise _invalid(name, f"must be a readable audio file, got {error.error_string}") from None
        if not np.isfinite(samples).all():
            raise _invalid(name, "must have finite samples, got NaN or infinity")
        if float(np.sqrt(np.mean(np.square(samples)))) < _MIN_RMS:
            raise _invalid(name, "must be audible, got silence")
        return np.ascontiguousarray(np.broadcast_to(samples, (2, samples.shape[1])), dtype=np.float32)


def _check_clip(name: str, rate: int, seconds: float) -> None:
    if rate != _RATE_HZ:
        raise _invalid(name, f"must have {_RATE_HZ} Hz, got {rate} Hz; convert it first")
    if not MIN_CLIP_SECONDS <= seconds <= MAX_CLIP_SECONDS:
        raise _invalid(name, f"must last {MIN_CLIP_SECONDS:g} to {MAX_CLIP_SECONDS:g} s, got {seconds:.2f} s")


def _invalid(name: str, problem: str) -> InvalidAudio:
    return InvalidAudio(f"{name} {problem}", metadata={"detail": name})
