"""The sound of fake takes: a tone, noise or chord per stem that repeats every second, so that any length costs little.

Samples are 24-bit integers as int32, ``(2, N)`` for N frames at 44.1 kHz. Only the first second of a stem differs between seeds by
more than its voice: the bytes of the others are shared by all takes with the same voices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sonichaos_client.testing.fake.files import pack
from sonichaos_client.testing.fake.loudness import Level, measure

RATE_HZ = 44100
STEMS = ("drums", "bass", "vocals", "other")
Pcm = NDArray[np.int32]

_VOICES = 4
_AMPLITUDE = 0.17 * (1 << 23)
_RIGHT_DELAY_FRAMES = 7
_FADE_FRAMES = 441
_NOISE_STEPS = 3
_MAX_MEASURED_FRAMES = 4 * RATE_HZ
"""A sound that repeats every second is as loud over four seconds as over any longer time."""
_PEAK_LIMIT_DBTP = -1.1


@dataclass(frozen=True)
class StemSound:
    """How one stem sounds: which voice, and the seed of the noise in its lowest bits that makes its samples unique."""

    stem: str
    voice: int
    seed: int

    @classmethod
    def of(cls, stem: str, *, seed: int, prompt: str, persona_id: str) -> StemSound:
        """The same values give the same sound; another seed gives other samples at least. All stems of a take get one voice."""
        digest = hashlib.sha256(f"{seed}\n{persona_id}\n{prompt}".encode()).digest()
        return cls(stem, digest[0] % _VOICES, int.from_bytes(digest[1:9], "big") + STEMS.index(stem))


@dataclass(frozen=True)
class MixSound:
    """The sounds of the four stems in the order of :data:`STEMS`, their length, and the gain of all of them in dB."""

    stems: tuple[StemSound, ...]
    frames: int
    gain_db: float = 0.0

    def with_stem(self, sound: StemSound) -> MixSound:
        """The same mix with another sound of one stem."""
        return replace(self, stems=tuple(sound if sound.stem == old.stem else old for old in self.stems))

    def at(self, target_lufs: float) -> MixSound:
        """The same mix at a loudness, or as loud as its peaks allow."""
        level = replace(self, gain_db=0.0).level("bounce")
        if level.lufs is None or level.true_peak_dbtp is None:
            return self
        return replace(self, gain_db=min(target_lufs - level.lufs, _PEAK_LIMIT_DBTP - level.true_peak_dbtp))

    def level(self, name: str) -> Level:
        """The level of "bounce" or a stem."""
        frames = min(self.frames, _MAX_MEASURED_FRAMES)
        chosen = tuple((one.stem, one.voice) for one in self.stems if name in {"bounce", one.stem})
        return _level(chosen, frames).louder_by(self.gain_db)

    def samples(self) -> Mapping[str, Sequence[bytes]]:
        """The samples of each stem and, as "bounce", of their exact sum: parts to be joined, packed as in a WAV."""
        first = [self._first(sound) for sound in self.stems]
        firsts: dict[str, Pcm] = {"bounce": _total(first)} | dict(zip(STEMS, first, strict=True))
        return {name: [pack(pcm), *self._rest(name)] for name, pcm in firsts.items()}

    def _first(self, sound: StemSound) -> Pcm:
        """The first second; all of a take that is shorter than two."""
        frames = RATE_HZ if self.frames >= 2 * RATE_HZ else self.frames
        pcm = np.tile(_second(sound.stem, sound.voice, self.gain_db), 2)[:, :frames]
        _fade_in(pcm)
        if frames == self.frames:
            _fade_in(pcm[:, ::-1])
        noise = np.random.default_rng(sound.seed).integers(-_NOISE_STEPS, _NOISE_STEPS + 1, frames, dtype=np.int32)
        return np.asarray(pcm + noise, dtype=np.int32)

    def _rest(self, name: str) -> list[bytes]:
        if self.frames < 2 * RATE_HZ:
            return []
        chosen = tuple((one.stem, one.voice) for one in self.stems if name in {"bounce", one.stem})
        second = _packed_second(chosen, self.gain_db)
        last = _packed_last(chosen, self.gain_db, RATE_HZ + self.frames % RATE_HZ)
        return [second] * (self.frames // RATE_HZ - 2) + [last]


Voices = tuple[tuple[str, int], ...]
"""Stems with their voices, to be summed."""


@lru_cache(maxsize=256)
def _level(voices: Voices, frames: int) -> Level:
    pcm = np.tile(_sum(voices, 0.0), -(-frames // RATE_HZ))[:, :frames]
    _fade_in(pcm)
    _fade_in(pcm[:, ::-1])
    return measure(pcm)


@lru_cache(maxsize=256)
def _packed_second(voices: Voices, gain_db: float) -> bytes:
    return pack(_sum(voices, gain_db))


@lru_cache(maxsize=256)
def _packed_last(voices: Voices, gain_db: float, frames: int) -> bytes:
    total = np.zeros((2, frames), dtype=np.int32)
    for stem, voice in voices:  # each fades by itself, so that the sum stays exact
        pcm = np.tile(_second(stem, voice, gain_db), 2)[:, :frames]
        _fade_in(pcm[:, ::-1])
        total += pcm
    return pack(total)


def _sum(voices: Voices, gain_db: float) -> Pcm:
    return _total([_second(stem, voice, gain_db) for stem, voice in voices])


def _total(parts: Sequence[Pcm]) -> Pcm:
    return np.asarray(np.sum(parts, axis=0, dtype=np.int32), dtype=np.int32)


def _fade_in(pcm: Pcm) -> None:
    """Begin with silence, so that nothing clicks."""
    fade = min(_FADE_FRAMES, pcm.shape[1] // 2)
    pcm[:, :fade] = np.rint(pcm[:, :fade] * np.linspace(0.0, 1.0, fade, endpoint=False))


@lru_cache(maxsize=256)
def _second(stem: str, voice: int, gain_db: float) -> Pcm:
    """One second of a stem. Its frequencies are whole numbers, so that it repeats seamlessly."""
    t = np.arange(RATE_HZ) / RATE_HZ
    if stem == "drums":
        noise = np.random.default_rng(voice).uniform(-1.0, 1.0, RATE_HZ)
        left = noise * np.exp(-12.0 * np.mod(t * (2 + voice % 3), 1.0))
    elif stem == "bass":
        left = np.sin(2 * np.pi * (40 + 5 * voice) * t)
    elif stem == "vocals":
        left = np.sin(2 * np.pi * (220 + 20 * voice) * t + 2.0 * np.sin(2 * np.pi * 5 * t))
    else:
        left = sum((np.sin(2 * np.pi * (root + 30 * voice) * t) for root in (330, 415, 495)), np.zeros(RATE_HZ)) / 3.0
    gain = _AMPLITUDE * 10.0 ** (gain_db / 20.0)
    both = np.stack([left, np.roll(left, _RIGHT_DELAY_FRAMES)])
    return np.asarray(np.rint(both * gain), dtype=np.int32)
