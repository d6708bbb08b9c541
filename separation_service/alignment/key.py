"""Keys and key estimation from chroma. Letters: ``C`` channels (2), ``T`` samples, ``F`` frames."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.key_names import pitch_class, usual_tonic

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)


@dataclass(frozen=True, kw_only=True)
class Key:
    """``tonic`` is a pitch class, 0 = C to 11 = B. ``spelling`` is its name as the manifest has it; empty: the usual one."""

    tonic: int
    minor: bool
    spelling: str = field(default="", compare=False)

    @property
    def scale(self) -> tuple[int, ...]:
        """Pitch classes of the scale, tonic first."""
        return tuple((self.tonic + step) % 12 for step in (_MINOR if self.minor else _MAJOR))

    def __str__(self) -> str:
        tonic = self.spelling or usual_tonic(self.tonic, minor=self.minor)
        return f"{tonic} {'minor' if self.minor else 'major'}"

    @classmethod
    def named(cls, text: str) -> Key:
        """Read a key as manifests write it: "A minor", "Eb major". Raises ValueError."""
        tonic, _, mode = text.partition(" ")
        if mode not in {"major", "minor"}:
            raise ValueError(f'expected a key such as "A minor" or "Eb major", got {text!r}')
        return cls(tonic=pitch_class(tonic), minor=mode == "minor", spelling=tonic)


# Weight of each degree above the tonic: notes of the scale, more for the triad, 0 for foreign notes. On the corpus' training songs
# these profiles are right more often than those of Krumhansl and Kessler or Temperley (docs/decisions/0013-alignment.md).
_MAJOR_PROFILE = np.array([1.5, 0.0, 1.0, 0.0, 1.2, 1.0, 0.0, 1.3, 0.0, 1.0, 0.0, 0.9])
_MINOR_PROFILE = np.array([1.5, 0.0, 1.0, 1.2, 0.0, 1.0, 0.0, 1.3, 1.0, 0.0, 0.9, 0.2])
_WINDOW_FRAMES = 16384
_HOP_SAMPLES = 4096
_RANGE_HZ = (60.0, 2000.0)
_A4_HZ = 440.0
_SILENT = 1e-9


def chroma(waveform: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Share of energy in each pitch class ``(12,)``, summing to 1; None for silence. ``waveform`` is ``(C, T)``."""
    total = chroma_frames(waveform).sum(axis=0)
    return total / total.sum() if total.sum() > _SILENT else None


def chroma_frames(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sound in each pitch class ``(F, 12)`` at multiples of :func:`frame_seconds`.

    Magnitudes from 60 Hz to 2 kHz, bins counted by how near a semitone they lie, each moment by the root of its level, so that no
    single chord decides.
    """
    from scipy.fft import rfft

    half = _WINDOW_FRAMES // 2
    mono = np.pad(waveform.mean(axis=0, dtype=np.float32), (half, half))
    frames = np.lib.stride_tricks.sliding_window_view(mono, _WINDOW_FRAMES)[::_HOP_SAMPLES]
    window = np.hanning(_WINDOW_FRAMES).astype(np.float32)
    energies = np.zeros((frames.shape[0], 12))
    for start in range(0, frames.shape[0], 128):
        block = slice(start, start + 128)
        energies[block] = np.abs(rfft(frames[block] * window, axis=1)).astype(np.float64) @ _fold()
    scaled: NDArray[np.float64] = energies / np.sqrt(np.maximum(energies.sum(axis=1, keepdims=True), 1e-12))
    return scaled


def frame_seconds() -> float:
    """Seconds from one moment of :func:`chroma_frames` to the next."""
    return _HOP_SAMPLES / SAMPLE_RATE_HZ


def key_scores(shares: NDArray[np.float64]) -> list[tuple[float, Key]]:
    """The correlation of ``(12,)`` with each key's profile, best first."""
    scores = []
    for tonic in range(12):
        turned = np.roll(shares, -tonic)
        for minor, profile in ((False, _MAJOR_PROFILE), (True, _MINOR_PROFILE)):
            scores.append((float(np.corrcoef(turned, profile)[0, 1]), Key(tonic=tonic, minor=minor)))
    return sorted(scores, key=lambda scored: -scored[0])


def scale_share(shares: NDArray[np.float64], key: Key) -> float:
    """How much of ``(12,)`` lies on the seven notes of the key; .58 by chance."""
    return float(shares[list(key.scale)].sum())


@cache
def _fold() -> NDArray[np.float64]:
    """``(bins, 12)``."""
    hz = np.arange(1, _WINDOW_FRAMES // 2 + 1) * SAMPLE_RATE_HZ / _WINDOW_FRAMES
    pitch = 69.0 + 12.0 * np.log2(hz / _A4_HZ)
    nearness = np.clip(1.0 - 2.0 * np.abs(pitch - np.rint(pitch)), 0.0, 1.0)
    nearness[(hz < _RANGE_HZ[0]) | (hz > _RANGE_HZ[1])] = 0.0
    fold = np.zeros((hz.size + 1, 12))
    fold[np.arange(1, hz.size + 1), np.rint(pitch).astype(np.intp) % 12] = nearness
    return fold
