"""A formant voice: glottal harmonics through vowel resonances, consonants of shaped noise, breath, vibrato, glides.

Each note reads two single-cycle tables (its vowel, and the one it glides to) whose harmonics already carry the
resonances, so a voice costs two table reads a sample. Letters: ``T`` frames, ``N`` notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from training.corpus.persona import Voice
from training.corpus.score import SungNote
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

_TABLE = 2048
_TOP_HZ = 16_000.0
_CONTROL_FRAMES = 64
_ATTACK_S, _RELEASE_S = 0.025, 0.06
_NOISE_FRAMES = SAMPLE_RATE_HZ
_NOISE_SEED = 1952

# Formants of an adult voice in Hz: averages of the vowels of heed, hid, head, had, hod, hawed, hood, who'd
# after Peterson & Barney 1952; the fourth and fifth are set by the vocal tract's length.
_VOWELS_HZ = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
)
_UPPER_HZ = (3400, 4500)
_BANDWIDTHS_HZ = (70, 90, 120, 180, 250)
_NASAL_HZ = (250, 1000, 2200)


@dataclass(frozen=True, kw_only=True)
class _Consonant:
    """``noise_hz``: centre of the noise, 0 for none; ``length_s`` before the vowel; ``voiced``: amplitude of a hum."""

    noise_hz: float
    octaves: float
    length_s: float
    level: float
    voiced: float


# none, s, sh, t, k, h, m, l, d, z
_CONSONANTS = (
    _Consonant(noise_hz=0, octaves=1.0, length_s=0.0, level=0.0, voiced=0.0),
    _Consonant(noise_hz=6500, octaves=0.6, length_s=0.09, level=0.35, voiced=0.0),
    _Consonant(noise_hz=3200, octaves=0.7, length_s=0.09, level=0.35, voiced=0.0),
    _Consonant(noise_hz=4500, octaves=1.0, length_s=0.025, level=0.6, voiced=0.0),
    _Consonant(noise_hz=1800, octaves=0.7, length_s=0.03, level=0.5, voiced=0.0),
    _Consonant(noise_hz=1500, octaves=1.6, length_s=0.07, level=0.2, voiced=0.0),
    _Consonant(noise_hz=0, octaves=1.0, length_s=0.07, level=0.0, voiced=0.5),
    _Consonant(noise_hz=0, octaves=1.0, length_s=0.05, level=0.0, voiced=0.4),
    _Consonant(noise_hz=3500, octaves=1.2, length_s=0.02, level=0.4, voiced=0.3),
    _Consonant(noise_hz=5500, octaves=0.6, length_s=0.07, level=0.2, voiced=0.4),
)


def sing(
    rng: np.random.Generator, notes: list[SungNote], pitches: list[int], voice: Voice, *, frames: int, delay_s: float = 0.0, cents: float = 0.0
) -> Audio:
    """One singer. Vowels start at the notes' seconds, ``delay_s`` late. ``-> (T,)``, silent where no note is."""
    mono = np.zeros(frames, dtype=np.float32)
    if not notes:
        return mono
    phase = _phase(rng, notes, pitches, voice, frames, delay_s, cents)
    for i, note in enumerate(notes):
        following = notes[i + 1].start_s + delay_s if i + 1 < len(notes) else np.inf
        legato = following - (note.end_s + delay_s) < 0.08
        _add_note(mono, phase, note, pitches[i], voice, delay_s, following if legato else np.inf)
    return mono


def _phase(
    rng: np.random.Generator, notes: list[SungNote], pitches: list[int], voice: Voice, frames: int, delay_s: float, cents: float
) -> NDArray[np.float64]:
    """Cycles since the start. ``-> (T,)``. Pitch glides between notes, wavers, and takes on vibrato as a note is held."""
    t = np.arange(0, frames + _CONTROL_FRAMES, _CONTROL_FRAMES) / SAMPLE_RATE_HZ
    starts = np.array([note.start_s for note in notes]) + delay_s
    at = np.clip(np.searchsorted(starts, t, side="right") - 1, 0, None)
    steps = np.array(pitches, dtype=np.float64)[at]
    held = np.clip(t - starts[at], 0.0, None)
    before = np.array(pitches, dtype=np.float64)[np.maximum(at - 1, 0)]
    scoop = np.where(np.abs(before - steps) <= 9, before - steps, -1.0)
    glide = scoop * np.exp(-held / (0.4 * voice.glide_s))
    vibrato = voice.vibrato_cents / 100.0 * np.clip((held - 0.18) / 0.3, 0.0, 1.0)
    waver = np.interp(t, np.arange(0.0, t[-1] + 0.2, 0.12), rng.normal(0.0, 0.06, len(np.arange(0.0, t[-1] + 0.2, 0.12))))
    turn = float(rng.uniform(0.0, 2.0 * np.pi))
    pitch = steps + glide + waver + cents / 100.0 + vibrato * np.sin(2.0 * np.pi * voice.vibrato_hz * t + turn)
    hz = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    cycles = np.concatenate([[0.0], np.cumsum(0.5 * (hz[1:] + hz[:-1])) * (_CONTROL_FRAMES / SAMPLE_RATE_HZ)])
    return np.interp(np.arange(frames), np.arange(len(t)) * _CONTROL_FRAMES, cycles)


def _add_note(
    mono: Audio, phase: NDArray[np.float64], note: SungNote, pitch: int, voice: Voice, delay_s: float, following_s: float
) -> None:
    frames = len(mono)
    consonant = _CONSONANTS[note.consonant]
    start = round((note.start_s + delay_s) * SAMPLE_RATE_HZ)
    end = min(note.end_s + delay_s + _RELEASE_S, following_s + 0.02)
    length = min(round(end * SAMPLE_RATE_HZ), frames) - start
    if length <= 0:
        return
    t = np.arange(length, dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
    read = phase[start : start + length] % 1.0 * _TABLE
    glide_to = (note.vowel + 1 + note.consonant % 3) % len(_VOWELS_HZ)
    weight = np.clip((t / max(float(t[-1]), 0.05) - 0.5) * 1.2, 0.0, 0.6)
    tone = (1.0 - weight) * _read(_table(voice, note.vowel, pitch), read) + weight * _read(_table(voice, glide_to, pitch), read)
    air = _shaped_noise(voice.formant_scale, note.vowel)
    tone += np.float32(voice.breath) * air[(start * 7919 + np.arange(length)) % _NOISE_FRAMES]
    shape = np.clip(t / _ATTACK_S, 0.0, 1.0) * np.clip((np.float32(length / SAMPLE_RATE_HZ) - t) / _RELEASE_S, 0.0, 1.0)
    swell = 0.85 + 0.15 * np.sin(np.pi * np.clip(t / 0.6, 0.0, 1.0))
    mono[start : start + length] += tone * shape * swell * np.float32(note.velocity)
    _add_consonant(mono, phase, consonant, voice, start, pitch, note.velocity)


def _add_consonant(
    mono: Audio, phase: NDArray[np.float64], consonant: _Consonant, voice: Voice, start: int, pitch: int, velocity: float
) -> None:
    length = min(round(consonant.length_s * SAMPLE_RATE_HZ), start)
    if length < 8:
        return
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    shape = np.minimum(1.0, 4.0 * ramp) * np.minimum(1.0, 6.0 * (1.0 - ramp))
    where = slice(start - length, start)
    if consonant.level > 0.0:
        hiss = _hiss(consonant.noise_hz * voice.sharpness**0.3, consonant.octaves)
        at = (start * 104_729) % (_NOISE_FRAMES - length)
        mono[where] += hiss[at : at + length] * shape * np.float32(consonant.level * velocity * voice.sharpness)
    if consonant.voiced > 0.0:
        hum = _read(_table(voice, -1, pitch), phase[where] % 1.0 * _TABLE)
        mono[where] += hum * np.minimum(1.0, 3.0 * ramp) * np.float32(consonant.voiced * velocity)


def _read(table: Audio, at: NDArray[np.float64]) -> Audio:
    """Linear interpolation in a single cycle. ``(T,) -> (T,)``."""
    whole = at.astype(np.int64)
    part = (at - whole).astype(np.float32)
    low = table[whole]
    return low + part * (table[whole + 1] - low)


@lru_cache(maxsize=2048)
def _table(voice: Voice, vowel: int, pitch: int) -> Audio:
    """One cycle and its first sample again, unit RMS. ``-> (2049,)``. Vowel -1 is the nasal hum."""
    f0 = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    order = np.arange(1, max(2, int(_TOP_HZ / f0)))
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    source = order ** -voice.tilt * np.exp(-1j * 0.15 * order**0.5)
    spectrum[order] = source * _resonance(order * f0, vowel, voice.formant_scale)
    cycle = np.fft.irfft(spectrum, _TABLE)
    cycle = cycle / (np.sqrt(np.mean(cycle**2)) + 1e-12) * 0.2
    return np.append(cycle, cycle[0]).astype(np.float32)


def _resonance(hz: NDArray[np.float64], vowel: int, scale: float) -> NDArray[np.complex128]:
    """Cascade of second-order resonances with unit gain at 0 Hz."""
    lower = _NASAL_HZ if vowel < 0 else _VOWELS_HZ[vowel]
    gain = np.ones(len(hz), dtype=np.complex128)
    for centre, width in zip((*lower, *_UPPER_HZ), _BANDWIDTHS_HZ, strict=True):
        middle, damping = centre * scale, width * (4.0 if vowel < 0 else 1.0)
        gain *= middle**2 / (middle**2 - hz**2 + 1j * damping * hz)
    return gain * (1.0 + (hz / 2500.0) ** 2) ** 0.5  # radiation lifts what the glottal tilt takes away


@lru_cache(maxsize=1)
def _white() -> Audio:
    """A second of noise that loops; voices read it from different places."""
    return np.random.default_rng(_NOISE_SEED).standard_normal(_NOISE_FRAMES).astype(np.float32)


@lru_cache(maxsize=64)
def _shaped_noise(scale: float, vowel: int) -> Audio:
    white = _white()
    hz = np.fft.rfftfreq(len(white), 1.0 / SAMPLE_RATE_HZ)
    gain = np.abs(_resonance(hz, vowel, scale)) * np.clip(hz / 1500.0, 0.0, 1.0) / (1.0 + (hz / 7000.0) ** 4)
    return _unit(np.fft.irfft(np.fft.rfft(white) * gain, len(white)))


@lru_cache(maxsize=64)
def _hiss(centre_hz: float, octaves: float) -> Audio:
    white = _white()
    hz = np.fft.rfftfreq(len(white), 1.0 / SAMPLE_RATE_HZ)
    away = np.log2(np.maximum(hz, 20.0) / centre_hz) / octaves
    return _unit(np.fft.irfft(np.fft.rfft(white) * np.exp(-0.5 * away**2 * 2.0), len(white)))


def _unit(audio: NDArray[np.float64]) -> Audio:
    return (0.2 * audio / (np.sqrt(np.mean(audio**2)) + 1e-12)).astype(np.float32)
