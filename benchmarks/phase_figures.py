"""Figures of how well a vocoder keeps tones, attacks and the stereo image, each of audio alone or of audio and its score.

All are independent of the renderer's front end. Letters: ``T`` samples, ``K`` bins, ``F`` frames.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt, stft

from render_service.composer.score import Part, Score
from training.corpus.composition import Composition
from training.metrics import RATE_HZ, Waveform, chroma, onsets_s, share_in_chords, share_in_scale, share_on_grid

_WINDOW = 8192
_HOP = 2048
_STRONGEST = 8  # local maxima per frame that count as partials
_FLOOR_DB = -100.0
_AUDIBLE_DB = 40.0  # frames more than this below the loudest are left out
_LOW_HZ, _HIGH_HZ = (200.0, 800.0), (800.0, 4000.0)
_BASS_HZ = (35.0, 180.0)
_KICKS_AND_SNARES = frozenset({35, 36, 38, 40})
_STROKES = frozenset(range(27, 88))  # of General MIDI's percussion
_ATTACK_S, _BEFORE_S = 0.010, 0.015
_MELODY_PITCHES = np.arange(48, 85)
_HARMONICS = 6

Power = NDArray[np.float64]


def partials_db(audio: Waveform, low_hz: float, high_hz: float) -> float:
    """Level of the eight strongest partials of a band above its median, dB: the median over audible frames of ``(2, T)``."""
    level = 10.0 * np.log10(_band(_power(audio.mean(axis=0)), low_hz, high_hz) + 1e-12)
    peaks = np.full_like(level, -np.inf)
    inner = level[1:-1]
    is_peak = (inner > level[:-2]) & (inner >= level[2:])
    peaks[1:-1][is_peak] = inner[is_peak]
    strongest = np.maximum(np.sort(peaks, axis=0)[-_STRONGEST:], np.median(level, axis=0))
    above = strongest.mean(axis=0) - np.median(level, axis=0)
    return float(np.median(above[_audible(level)]))


def flatness_db(audio: Waveform) -> float:
    """Geometric over arithmetic mean of the power, 200 Hz to 4 kHz, dB: 0 is flat. The median over audible frames."""
    power = _band(_power(audio.mean(axis=0)), _LOW_HZ[0], _HIGH_HZ[1]) + 1e-12
    level = 10.0 * np.log10(power)
    flatness = level.mean(axis=0) - 10.0 * np.log10(power.mean(axis=0))
    return float(np.median(flatness[_audible(level)]))


def steady_peaks_db(audio: Waveform) -> float:
    """Peaks above the median in the average spectrum of all of ``(2, T)``, 200 Hz to 4 kHz, dB: tones that stay.

    Noise has almost none. Noise that a vocoder has turned into tones has some.
    """
    power = _power(audio.mean(axis=0), window=2 * _WINDOW).mean(axis=1)
    hz = np.arange(len(power)) * RATE_HZ / (2 * _WINDOW)
    level = 10.0 * np.log10(power[(hz >= _LOW_HZ[0]) & (hz <= _HIGH_HZ[1])] + 1e-12)
    width = 65
    padded = np.pad(level, width // 2, mode="edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, width), axis=-1)
    return float(np.percentile(level - local, 95.0))


def share_of_bass_note(audio: Waveform, score: Score) -> float:
    """Share of the frames inside bass notes whose strongest frequency, 35 to 180 Hz, has the pitch class of the note."""
    padded = 4 * _WINDOW
    _, times, spectrum = stft(
        audio.mean(axis=0), fs=RATE_HZ, nperseg=_WINDOW, noverlap=_WINDOW - _HOP // 2, nfft=padded, boundary=None
    )
    hz = np.arange(spectrum.shape[0]) * RATE_HZ / padded
    inside = (hz >= _BASS_HZ[0]) & (hz <= _BASS_HZ[1])
    strongest_hz = hz[inside][np.abs(spectrum[inside]).argmax(axis=0)]
    pitch = np.round(69.0 + 12.0 * np.log2(strongest_hz / 440.0)).astype(int)
    hits: list[bool] = []
    for note in score.notes:
        if note.part is Part.BASS:
            frames = (times > note.start_s + 0.05) & (times < note.end_s - 0.05)
            hits += list(pitch[frames] % 12 == note.pitch % 12)
    return float(np.mean(hits)) if hits else float("nan")


def melody_salience(audio: Waveform, score: Score) -> float:
    """How salient the melody's pitch is among three octaves of pitches: the mean z-score of a sum over six harmonics."""
    power = _power(audio.mean(axis=0))
    level = np.sqrt(np.sqrt(power))
    times = (np.arange(power.shape[1]) * _HOP + _WINDOW / 2) / RATE_HZ
    fundamental = 440.0 * 2.0 ** ((_MELODY_PITCHES - 69) / 12.0)
    salience = np.zeros((len(_MELODY_PITCHES), power.shape[1]))
    for harmonic in range(1, _HARMONICS + 1):
        bins = np.round(harmonic * fundamental * _WINDOW / RATE_HZ).astype(int)
        around = np.stack([level[bins + step] for step in (-1, 0, 1)]).max(axis=0)
        salience += 0.8 ** (harmonic - 1) * around
    z = (salience - salience.mean(axis=0)) / (salience.std(axis=0) + 1e-9)
    sung = [(note.start_s, note.end_s, note.pitch) for note in score.sung]
    played = [(note.start_s, note.end_s, note.pitch) for note in score.notes if note.part is Part.LINE]
    values: list[float] = []
    for start_s, end_s, pitch in sung or played:
        if pitch in _MELODY_PITCHES:
            frames = (times > start_s + 0.05) & (times < end_s - 0.05)
            values += list(z[pitch - _MELODY_PITCHES[0], frames])
    return float(np.mean(values)) if values else float("nan")


def attack_db(audio: Waveform, score: Score, pitches: frozenset[int], low_hz: float, high_hz: float) -> float:
    """How much a band rises within 10 ms at the kit's strokes of some pitches, dB: the median over the strokes.

    The energy of the 10 ms after a stroke over that of the 15 ms before it.
    """
    sos = butter(4, (low_hz, high_hz), "bandpass", fs=RATE_HZ, output="sos")
    band = sosfiltfilt(sos, audio.mean(axis=0).astype(np.float64))
    energy = np.concatenate([[0.0], np.cumsum(np.square(band))])
    step, before = round(_ATTACK_S * RATE_HZ), round(_BEFORE_S * RATE_HZ)
    rises = []
    for start_s in {note.start_s for note in score.notes if note.part is Part.KIT and note.pitch in pitches}:
        at = round(start_s * RATE_HZ)
        if before <= at < len(band) - step:
            after = (energy[at + step] - energy[at]) / step
            earlier = (energy[at] - energy[at - before]) / before
            rises.append(10.0 * np.log10((after + 1e-10) / (earlier + 1e-10)))
    return float(np.median(rises)) if rises else float("nan")


def stereo_coherence(audio: Waveform) -> float:
    """Coherence of mid and side over 8 frames (0 to 1), weighted by energy, 100 Hz to 4 kHz."""
    middle, side = (audio[0] + audio[1]) / 2.0, (audio[0] - audio[1]) / 2.0
    (_, _, m), (_, _, s) = (stft(signal, fs=RATE_HZ, nperseg=2048, noverlap=1536) for signal in (middle, side))
    band = slice(round(100 * 2048 / RATE_HZ), round(4000 * 2048 / RATE_HZ))
    cross, m_power, s_power = (_moving_sum(x[band]) for x in (m * s.conj(), np.abs(m) ** 2, np.abs(s) ** 2))
    weight = np.sqrt(m_power.real * s_power.real)
    return float(np.abs(cross).sum() / max(weight.sum(), 1e-12))


def pitched_figures(audio: Waveform, song: Composition) -> dict[str, float]:
    """Every figure of audio ``(2, T)`` that plays a song."""
    energy, onsets, score = chroma(audio), onsets_s(audio), song.score
    return {
        "partials 0.2-0.8 kHz, dB": partials_db(audio, *_LOW_HZ),
        "partials 0.8-4 kHz, dB": partials_db(audio, *_HIGH_HZ),
        "flatness 0.2-4 kHz, dB": flatness_db(audio),
        "energy in scale": share_in_scale(energy, song.key),
        "energy in chords": share_in_chords(energy, song.chords),
        "bass note strongest": share_of_bass_note(audio, score),
        "melody salience (z)": melody_salience(audio, score),
        "onsets on the grid": share_on_grid(onsets, song.tempo_map, song.seconds),
        "onsets per second": len(onsets) / song.seconds,
        "attack above 5 kHz, dB": attack_db(audio, score, _STROKES, 5000.0, 20000.0),
        "kick and snare attack, 0.06-2 kHz, dB": attack_db(audio, score, _KICKS_AND_SNARES, 60.0, 2000.0),
        "coherence of mid and side": stereo_coherence(audio),
    }


def _power(mono: NDArray[np.floating], *, window: int = _WINDOW) -> Power:
    _, _, spectrum = stft(mono, fs=RATE_HZ, nperseg=window, noverlap=window - _HOP, boundary=None, padded=False)
    return np.asarray(np.square(np.abs(spectrum)), dtype=np.float64)


def _band(power: Power, low_hz: float, high_hz: float) -> Power:
    hz = np.arange(power.shape[0]) * RATE_HZ / _WINDOW
    return power[(hz >= low_hz) & (hz <= high_hz)]


def _audible(level: Power) -> NDArray[np.bool_]:
    loudest = level.max(axis=0)
    return np.asarray(loudest > max(loudest.max() - _AUDIBLE_DB, _FLOOR_DB))


def _moving_sum(values: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    total = np.cumsum(values, axis=1)
    return np.asarray(total[:, 8:] - total[:, :-8])
