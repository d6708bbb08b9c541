"""A formant voice: glottal harmonics filtered by vowel resonances, consonants of shaped noise, breath, vibrato, glides.

Each note reads two single-cycle tables, its vowel and the one it glides to. The tables include the resonances, so a voice costs two
table reads per sample. Letters: ``T`` frames, ``N`` notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import SungNote
from training.corpus.persona import Voice
from training.corpus.soundfont import SAMPLE_RATE_HZ, Audio

_TABLE = 2048
_TOP_HZ = 16_000.0
_CONTROL_FRAMES = 64
_ATTACK_S, _RELEASE_S = 0.025, 0.06
_NOISE_FRAMES = SAMPLE_RATE_HZ
_NOISE_SEED = 1952
_LEGATO_S = 0.08  # notes with a smaller gap are sung legato
_GLIDE_SEMITONES = 9.0  # a wider interval starts one semitone below instead of gliding all the way
_HUM = -1

# Formants of an adult voice in Hz: averages of the vowels of heed, hid, head, had, hod, hawed, hood, who'd
# after Peterson & Barney 1952; the higher ones follow from the length of the vocal tract.
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
_UPPER_HZ = (3400, 4500, 5600, 6800, 8100, 9500)
_BANDWIDTHS_HZ = (70, 90, 120, 180, 250, 350, 500, 700, 900)
_NASAL_HZ = (250, 1000, 2200)


@dataclass(frozen=True, kw_only=True)
class _Consonant:
    """``noise_hz``: centre of the noise, 0 for none; ``length_s``: duration before the vowel; ``voiced``: amplitude of the hum."""

    noise_hz: float
    octaves: float
    length_s: float
    level: float
    voiced: float


# none, s, sh, t, k, h, m, l, d, z
_CONSONANTS = (
    _Consonant(noise_hz=0, octaves=1.0, length_s=0.0, level=0.0, voiced=0.0),
    _Consonant(noise_hz=6500, octaves=0.6, length_s=0.08, level=0.3, voiced=0.0),
    _Consonant(noise_hz=3200, octaves=0.7, length_s=0.08, level=0.3, voiced=0.0),
    _Consonant(noise_hz=4500, octaves=1.0, length_s=0.02, level=0.5, voiced=0.0),
    _Consonant(noise_hz=1800, octaves=0.7, length_s=0.022, level=0.45, voiced=0.0),
    _Consonant(noise_hz=1500, octaves=1.6, length_s=0.07, level=0.2, voiced=0.0),
    _Consonant(noise_hz=0, octaves=1.0, length_s=0.07, level=0.0, voiced=0.5),
    _Consonant(noise_hz=0, octaves=1.0, length_s=0.05, level=0.0, voiced=0.4),
    _Consonant(noise_hz=3500, octaves=1.2, length_s=0.02, level=0.4, voiced=0.3),
    _Consonant(noise_hz=5500, octaves=0.6, length_s=0.07, level=0.2, voiced=0.4),
)


@dataclass(frozen=True, kw_only=True)
class Singer:
    """A voice that sings ``delay_s`` late and ``cents`` sharp, for doubling the lead."""

    voice: Voice
    delay_s: float = 0.0
    cents: float = 0.0


def sing(rng: np.random.Generator, notes: list[SungNote], pitches: list[int], singer: Singer, *, frames: int) -> Audio:
    """Sing notes ``(T,)``. Vowels start at the notes' seconds plus the singer's delay."""
    mono = np.zeros(frames, dtype=np.float32)
    if not notes:
        return mono
    cycles = _cycles(rng, notes, np.array(pitches, dtype=np.float64), singer, frames)
    for note, pitch, following in zip(notes, pitches, [*notes[1:], None], strict=True):
        legato = following is not None and following.start_s - note.end_s < _LEGATO_S
        end_s = min(note.end_s + _RELEASE_S, following.start_s + 0.02 if following and legato else np.inf)
        start = round((note.start_s + singer.delay_s) * SAMPLE_RATE_HZ)
        end = min(round((end_s + singer.delay_s) * SAMPLE_RATE_HZ), frames)
        lead = _consonant(cycles, note, pitch, singer.voice, start)
        mono[start - len(lead) : start] += lead
        if end > start:
            mono[start:end] += _vowel(cycles[start:end], note, pitch, singer.voice, start)
    return mono


def _cycles(
    rng: np.random.Generator, notes: list[SungNote], pitches: NDArray[np.float64], singer: Singer, frames: int
) -> NDArray[np.float64]:
    """Cycles since the start ``(T,)``: pitch with glides between notes, random drift, and vibrato on long notes."""
    voice = singer.voice
    t = np.arange(0, frames + _CONTROL_FRAMES, _CONTROL_FRAMES) / SAMPLE_RATE_HZ
    starts = np.array([note.start_s for note in notes]) + singer.delay_s
    at = np.clip(np.searchsorted(starts, t, side="right") - 1, 0, None)
    held = np.clip(t - starts[at], 0.0, None)
    leap = pitches[np.maximum(at - 1, 0)] - pitches[at]
    scoop = np.where(np.abs(leap) <= _GLIDE_SEMITONES, leap, -1.0)
    glide = scoop * np.exp(-held / (0.4 * voice.glide_s))
    vibrato = voice.vibrato_cents / 100.0 * np.clip((held - 0.12) / 0.25, 0.0, 1.0)
    knots = np.arange(0.0, t[-1] + 0.2, 0.12)
    drift = np.interp(t, knots, rng.normal(0.0, 0.06, len(knots)))
    turn = float(rng.uniform(0.0, 2.0 * np.pi))
    wobble = vibrato * np.sin(2.0 * np.pi * voice.vibrato_hz * t + turn)
    hz = _hz(pitches[at] + glide + drift + wobble + singer.cents / 100.0)
    cycles = np.concatenate([[0.0], np.cumsum(0.5 * (hz[1:] + hz[:-1])) * (_CONTROL_FRAMES / SAMPLE_RATE_HZ)])
    read: NDArray[np.float64] = np.interp(np.arange(frames), np.arange(len(t)) * _CONTROL_FRAMES, cycles)
    return read


def _vowel(cycles: NDArray[np.float64], note: SungNote, pitch: int, voice: Voice, start: int) -> Audio:
    """The tone of one note with breath; the vowel glides towards another. ``(T,) -> (T,)``."""
    t = np.arange(len(cycles), dtype=np.float32) / np.float32(SAMPLE_RATE_HZ)
    at = cycles % 1.0 * _TABLE
    glide_to = (note.vowel + 1 + note.consonant % 3) % len(_VOWELS_HZ)
    weight = np.clip((t / max(float(t[-1]), 0.05) - 0.5) * 1.2, 0.0, 0.6)
    tone = _read(_table(voice, note.vowel, pitch), at)
    tone += weight * (_read(_table(voice, glide_to, pitch), at) - tone)
    air = _air(voice.formant_scale, note.vowel)
    tone += np.float32(voice.breath) * air[(start * 7919 + np.arange(len(t))) % _NOISE_FRAMES]
    shape = np.clip(t / _ATTACK_S, 0.0, 1.0) * np.clip((t[-1] - t) / np.float32(_RELEASE_S), 0.0, 1.0)
    swell = 0.85 + 0.15 * np.sin(np.pi * np.clip(t / 0.6, 0.0, 1.0))
    sung: Audio = tone * shape * swell * np.float32(note.velocity)
    return sung


def _consonant(cycles: NDArray[np.float64], note: SungNote, pitch: int, voice: Voice, start: int) -> Audio:
    """The consonant ``(frames,)`` that ends at frame ``start``; empty if it does not fit before it."""
    kind = _CONSONANTS[note.consonant]
    length = round(kind.length_s * SAMPLE_RATE_HZ)
    if length == 0 or length > start or start > len(cycles):
        return np.zeros(0, dtype=np.float32)
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    sound = np.zeros(length, dtype=np.float32)
    if kind.noise_hz > 0.0:
        hiss = _hiss(kind.noise_hz * voice.sharpness**0.3, kind.octaves)
        shape = ramp**2 * np.minimum(
            1.0, 6.0 * (1.0 - ramp)
        )  # rises, so that it is perceived at the onset of the vowel
        at = (start * 104_729 + np.arange(length)) % _NOISE_FRAMES
        sound += hiss[at] * shape * np.float32(kind.level * voice.sharpness)
    if kind.voiced > 0.0:
        hum = _read(_table(voice, _HUM, pitch), cycles[start - length : start] % 1.0 * _TABLE)
        sound += hum * ramp * np.float32(kind.voiced)
    return sound * np.float32(note.velocity)


def _read(table: Audio, at: NDArray[np.float64]) -> Audio:
    """Linear interpolation in a single cycle. ``(T,) -> (T,)``."""
    whole = at.astype(np.int64)
    part = (at - whole).astype(np.float32)
    low = table[whole]
    read: Audio = low + part * (table[whole + 1] - low)
    return read


@lru_cache(maxsize=2048)
def _table(voice: Voice, vowel: int, pitch: int) -> Audio:
    """One cycle and its first sample again ``(2049,)``, RMS 0.2. A negative vowel is the nasal hum."""
    f0 = float(_hz(np.array([float(pitch)]))[0])
    order = np.arange(1, max(2, int(_TOP_HZ / f0)))
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    source = order**-voice.tilt * np.exp(-1j * 0.15 * order**0.5)
    spectrum[order] = source * _resonance(order * f0, vowel, voice.formant_scale)
    cycle = np.fft.irfft(spectrum, _TABLE)
    cycle = cycle / (np.sqrt(np.mean(cycle**2)) + 1e-12) * 0.2
    return np.append(cycle, cycle[0]).astype(np.float32)


def _resonance(hz: NDArray[np.floating[Any]], vowel: int, scale: float) -> NDArray[np.complex128]:
    """Cascade of second-order resonances with unit gain at 0 Hz."""
    lower = _NASAL_HZ if vowel < 0 else _VOWELS_HZ[vowel]
    gain = np.ones(len(hz), dtype=np.complex128)
    for centre, width in zip((*lower, *_UPPER_HZ), _BANDWIDTHS_HZ, strict=True):
        middle, damping = centre * scale, width * (4.0 if vowel < 0 else 1.0)
        gain *= middle**2 / (middle**2 - hz**2 + 1j * damping * hz)
    return gain * (1.0 + (hz / 2500.0) ** 2) ** 0.5  # lip radiation compensates part of the glottal tilt


@lru_cache(maxsize=1)
def _white() -> Audio:
    """One second of noise; voices read it in a loop from different positions."""
    return np.random.default_rng(_NOISE_SEED).standard_normal(_NOISE_FRAMES).astype(np.float32)


@lru_cache(maxsize=64)
def _air(scale: float, vowel: int) -> Audio:
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


def _hz(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    hz: NDArray[np.float64] = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    return hz


def _unit(audio: NDArray[np.float64]) -> Audio:
    unit: Audio = (0.2 * audio / (np.sqrt(np.mean(audio**2)) + 1e-12)).astype(np.float32)
    return unit
