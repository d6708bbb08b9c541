"""A formant voice: glottal harmonics filtered by vowel resonances, consonants of shaped noise, breath, vibrato, glides.

Each note reads two single-cycle tables, its vowel and the one it glides to. The tables include the resonances, so a voice costs two
table reads per sample. Letters: ``T`` frames, ``N`` notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import scipy.fft
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
_NOISE_COPIES = 2  # end to end, so that a reader need not wrap around
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


_ORDER = np.arange(1.0, _TABLE // 2 + 1)
_RAMP = np.arange(_CONTROL_FRAMES, dtype=np.float32)
_ATTACK = (np.arange(round(_ATTACK_S * SAMPLE_RATE_HZ)) / (_ATTACK_S * SAMPLE_RATE_HZ)).astype(np.float32)
_RELEASE = (np.arange(round(_RELEASE_S * SAMPLE_RATE_HZ))[::-1] / (_RELEASE_S * SAMPLE_RATE_HZ)).astype(np.float32)
_SWELL = (1.0 + 0.15 / 0.85 * np.sin(np.linspace(0.0, np.pi, round(0.6 * SAMPLE_RATE_HZ)))).astype(np.float32)

_Phase = tuple[NDArray[np.int64], Audio]
"""Index in a table and the position between it and the next, both ``(T,)``."""


@dataclass(frozen=True, kw_only=True)
class Singer:
    """A voice with its gain on each side, that sings ``delay_s`` late and ``cents`` sharp, for doubling the lead."""

    voice: Voice
    sides: tuple[float, float]
    delay_s: float = 0.0
    cents: float = 0.0


def sing(rng: np.random.Generator, notes: list[SungNote], pitches: list[int], singer: Singer, audio: Audio) -> None:
    """Add sung notes to ``audio`` ``(2, T)``. Vowels start at the notes' seconds plus the singer's delay."""
    if not notes:
        return
    frames = audio.shape[1]
    cycles = _cycles(rng, notes, np.array(pitches, dtype=np.float64), singer, frames)

    def add(sound: Audio, start: int) -> None:
        for side, gain in zip(audio, singer.sides, strict=True):
            side[start : start + len(sound)] += sound * np.float32(gain)

    for note, pitch, following in zip(notes, pitches, [*notes[1:], None], strict=True):
        legato = following is not None and following.start_s - note.end_s < _LEGATO_S
        end_s = min(note.end_s + _RELEASE_S, following.start_s + 0.02 if following and legato else np.inf)
        start = round((note.start_s + singer.delay_s) * SAMPLE_RATE_HZ)
        end = min(round((end_s + singer.delay_s) * SAMPLE_RATE_HZ), frames)
        if start <= frames:
            lead = _consonant(cycles, note, pitch, singer.voice, start)
            add(lead, start - len(lead))
        if end > start:
            add(_vowel(_phase(cycles, start, end), note, pitch, singer.voice, start), start)


def _cycles(
    rng: np.random.Generator, notes: list[SungNote], pitches: NDArray[np.float64], singer: Singer, frames: int
) -> NDArray[np.float64]:
    """Cycles since the start, once per 64 frames: pitch with glides between notes, random drift, vibrato on long notes."""
    voice = singer.voice
    t = np.arange(0, frames + 2 * _CONTROL_FRAMES, _CONTROL_FRAMES) / SAMPLE_RATE_HZ
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
    return np.concatenate([[0.0], np.cumsum(0.5 * (hz[1:] + hz[:-1])) * (_CONTROL_FRAMES / SAMPLE_RATE_HZ)])


def _phase(cycles: NDArray[np.float64], start: int, end: int) -> _Phase:
    """Where frames ``start`` to ``end`` read a table of one cycle."""
    first, last = start // _CONTROL_FRAMES, -(-end // _CONTROL_FRAMES)
    base = cycles[first:last] % 1.0 * _TABLE
    slope = np.diff(cycles[first : last + 1]) * (_TABLE / _CONTROL_FRAMES)
    at = np.multiply.outer(slope.astype(np.float32), _RAMP)
    at += base.astype(np.float32)[:, None]
    at = at.ravel()[start - first * _CONTROL_FRAMES : end - first * _CONTROL_FRAMES]
    whole = at.astype(np.int32)
    at -= whole
    whole &= _TABLE - 1
    return whole.astype(np.int64), at


def _vowel(phase: _Phase, note: SungNote, pitch: int, voice: Voice, start: int) -> Audio:
    """The tone of one note with breath; in its second half the vowel glides towards another. ``(T,)``."""
    whole, part = phase
    length = len(whole)
    tone = _read(_table(voice, note.vowel, pitch), whole, part)
    glide_s = max((length - 1) / SAMPLE_RATE_HZ, 0.05)
    half = min(length, round(0.5 * glide_s * SAMPLE_RATE_HZ))
    if half < length:
        glide_to = (note.vowel + 1 + note.consonant % 3) % len(_VOWELS_HZ)
        other = _read(_table(voice, glide_to, pitch), whole[half:], part[half:])
        other -= tone[half:]
        other *= np.arange(length - half, dtype=np.float32) * np.float32(1.2 / (glide_s * SAMPLE_RATE_HZ))
        tone[half:] += other
    air = _looped(_air(voice.formant_scale, note.vowel), start * 7919, length)
    tone += air * np.float32(voice.breath)
    tone *= np.float32(0.85 * note.velocity)
    swell, attack, release = _SWELL[:length], _ATTACK[:length], _RELEASE[max(0, len(_RELEASE) - length) :]
    tone[: len(swell)] *= swell
    tone[: len(attack)] *= attack
    tone[length - len(release) :] *= release
    return tone


def _consonant(cycles: NDArray[np.float64], note: SungNote, pitch: int, voice: Voice, start: int) -> Audio:
    """The consonant ``(frames,)`` that ends at frame ``start``; empty if it does not fit before it."""
    kind = _CONSONANTS[note.consonant]
    ramp, shape = _rise(round(kind.length_s * SAMPLE_RATE_HZ))
    length = len(ramp)
    sound = np.zeros(length if length <= start else 0, dtype=np.float32)
    if not len(sound):
        return sound
    if kind.noise_hz > 0.0:
        hiss = _hiss(kind.noise_hz * voice.sharpness**0.3, kind.octaves)
        sound += _looped(hiss, start * 104_729, length) * shape
        sound *= np.float32(kind.level * voice.sharpness * note.velocity)
    if kind.voiced > 0.0:
        hum = _read(_table(voice, _HUM, pitch), *_phase(cycles, start - length, start))
        hum *= ramp
        hum *= np.float32(kind.voiced * note.velocity)
        sound += hum
    return sound


@cache
def _rise(length: int) -> tuple[Audio, Audio]:
    """The amplitudes of a consonant's hum and noise; the noise rises, so that it is perceived at the vowel's onset."""
    ramp = np.linspace(0.0, 1.0, length, dtype=np.float32)
    return ramp, ramp**2 * np.minimum(1.0, 6.0 * (1.0 - ramp))


def _looped(noise: Audio, at: int, length: int) -> Audio:
    """``length`` frames of looped noise from frame ``at``."""
    at %= _NOISE_FRAMES
    if at + length <= len(noise):
        return noise[at : at + length]
    return np.resize(noise[at : at + _NOISE_FRAMES], length)


def _read(table: Audio, whole: NDArray[np.int64], part: Audio) -> Audio:
    """Linear interpolation in a single cycle. ``(T,) -> (T,)``."""
    values, slopes = table
    read: Audio = slopes[whole]
    read *= part
    read += values[whole]
    return read


@lru_cache(maxsize=2048)
def _table(voice: Voice, vowel: int, pitch: int) -> Audio:
    """One cycle and its differences ``(2, 2048)``, RMS 0.2. A negative vowel is the nasal hum."""
    f0 = float(_hz(np.array([float(pitch)]))[0])
    harmonics = max(1, int(_TOP_HZ / f0) - 1)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex64)
    gain = _resonance(_ORDER[:harmonics] * f0, vowel, voice.formant_scale) * _source(voice.tilt)[:harmonics]
    spectrum[1 : 1 + harmonics] = gain * (0.2 * _TABLE / np.sqrt(2.0 * np.sum(np.square(np.abs(gain)))))
    cycle = scipy.fft.irfft(spectrum, _TABLE)
    table = np.empty((2, _TABLE), dtype=np.float32)
    table[0] = cycle
    np.subtract(cycle[1:], cycle[:-1], out=table[1, :-1])
    table[1, -1] = cycle[0] - cycle[-1]
    return table


@lru_cache(maxsize=8)
def _source(tilt: float) -> NDArray[np.complex128]:
    """The amplitudes of a glottal tone's harmonics."""
    source: NDArray[np.complex128] = _ORDER**-tilt * np.exp(-1j * 0.15 * _ORDER**0.5)
    return source


def _resonance(hz: NDArray[np.floating[Any]], vowel: int, scale: float) -> NDArray[np.complex128]:
    """Cascade of second-order resonances with unit gain at 0 Hz."""
    lower = _NASAL_HZ if vowel < 0 else _VOWELS_HZ[vowel]
    gain = np.ones(len(hz), dtype=np.complex128)
    for centre, width in zip((*lower, *_UPPER_HZ), _BANDWIDTHS_HZ, strict=True):
        middle, damping = centre * scale, width * (4.0 if vowel < 0 else 1.0)
        gain *= middle**2 / (middle**2 - hz**2 + 1j * damping * hz)
    return gain * (1.0 + (hz / 2500.0) ** 2) ** 0.5  # lip radiation compensates part of the glottal tilt


@cache
def _white() -> tuple[NDArray[np.floating[Any]], NDArray[np.complex64]]:
    """Frequencies and spectrum of one second of noise; voices read it in a loop from different positions."""
    white = np.random.default_rng(_NOISE_SEED).standard_normal(_NOISE_FRAMES).astype(np.float32)
    return np.fft.rfftfreq(_NOISE_FRAMES, 1.0 / SAMPLE_RATE_HZ), scipy.fft.rfft(white)


@lru_cache(maxsize=64)
def _air(scale: float, vowel: int) -> Audio:
    hz, _ = _white()
    coarse = hz[::16]
    response = np.abs(_resonance(coarse, vowel, scale)) * np.clip(coarse / 1500.0, 0.0, 1.0)
    return _noise(np.interp(hz, coarse, response / (1.0 + (coarse / 7000.0) ** 4)))


@lru_cache(maxsize=64)
def _hiss(centre_hz: float, octaves: float) -> Audio:
    hz, _ = _white()
    coarse = hz[::16]
    away = np.log2(np.maximum(coarse, 20.0) / centre_hz) / octaves
    return _noise(np.interp(hz, coarse, np.exp(-0.5 * away**2 * 2.0)))


def _noise(gain: NDArray[np.float64]) -> Audio:
    """Noise with a spectrum, RMS 0.2, two copies end to end."""
    _, white = _white()
    audio = scipy.fft.irfft(white * gain.astype(np.float32), _NOISE_FRAMES)
    audio *= np.float32(0.2 / (np.sqrt(np.mean(np.square(audio))) + 1e-12))
    return np.tile(audio, _NOISE_COPIES)


def _hz(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    hz: NDArray[np.float64] = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    return hz
