"""Metrics of audio against its request: onsets on a grid, energy in a scale or a chord, level of the voice.

Independent of the renderer's front end, so that they measure sound and not its mels. Letters: ``T`` samples, ``N``
onsets, ``F`` frames.
"""

from __future__ import annotations

from collections.abc import Sequence

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from render_service.music.harmony import ChordSpan, chord_index_at
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap, TempoPoint

RATE_HZ = 44100
_ONSET_HOP = 256
_CHROMA_WINDOW = 8192
_CHROMA_HOP = 2048
_CHROMA_RANGE_HZ = (60.0, 2000.0)
_A4_HZ = 440.0

Waveform = NDArray[np.float32]


def onsets_s(take: Waveform) -> NDArray[np.float64]:
    """Onset times of ``(2, T)`` in seconds ``(N,)``: peaks of spectral flux (librosa 0.11, hop 256)."""
    mono = take.mean(axis=0)
    return np.asarray(
        librosa.onset.onset_detect(y=mono, sr=RATE_HZ, hop_length=_ONSET_HOP, units="time"), dtype=np.float64
    )


def share_on_grid(
    onsets: NDArray[np.float64], tempo_map: TempoMap, seconds: float, *, within_s: float = 0.025
) -> float:
    """Share of onsets within ``within_s`` of a sixteenth of the grid; 0 if there are no onsets."""
    if len(onsets) == 0:
        return 0.0
    grid = tempo_map.grid_s(seconds + 2.0, divisions=4)
    distance = np.abs(onsets[:, None] - grid[None, :]).min(axis=1)
    return float((distance <= within_s).mean())


def scale_tempo(tempo_map: TempoMap, factor: float = 0.87) -> TempoMap:
    """The same map with every tempo times ``factor``; the default gives the wrong grid of the null."""
    points = tuple(
        TempoPoint(start_s=p.start_s, bpm=p.bpm * factor, beats_per_bar=p.beats_per_bar, beat_unit=p.beat_unit)
        for p in tempo_map.points
    )
    return TempoMap(points=points, first_downbeat_s=tempo_map.first_downbeat_s, swing=tempo_map.swing)


def chroma(take: Waveform) -> NDArray[np.float64]:
    """Energy in each pitch class ``(12, F)``, 60 Hz to 2 kHz; bins are weighted by their distance from a semitone."""
    mono = take.mean(axis=0)
    power = np.abs(librosa.stft(mono, n_fft=_CHROMA_WINDOW, hop_length=_CHROMA_HOP)) ** 2
    hz = np.arange(1, power.shape[0]) * RATE_HZ / _CHROMA_WINDOW
    pitch = 69.0 + 12.0 * np.log2(hz / _A4_HZ)
    nearness = np.clip(1.0 - 2.0 * np.abs(pitch - np.round(pitch)), 0.0, 1.0)
    nearness[(hz < _CHROMA_RANGE_HZ[0]) | (hz > _CHROMA_RANGE_HZ[1])] = 0.0
    fold = np.zeros((12, len(hz)))
    fold[np.round(pitch).astype(int) % 12, np.arange(len(hz))] = nearness
    return np.asarray(fold @ np.sqrt(power[1:]), dtype=np.float64)


def share_in_scale(energy: NDArray[np.float64], key: Key) -> float:
    """Share of the energy ``(12, F)`` in the seven notes of the scale; 7/12 by chance."""
    return float(energy[list(key.scale)].sum() / max(energy.sum(), 1e-12))


def share_in_chords(energy: NDArray[np.float64], chords: Sequence[ChordSpan], *, transposed: int = 0) -> float:
    """Share of each frame's energy ``(12, F)`` in the chord requested there, averaged over frames."""
    times = np.arange(energy.shape[1]) * _CHROMA_HOP / RATE_HZ
    which = chord_index_at(tuple(chords), times)
    shares = [
        energy[[(note + transposed) % 12 for note in chords[chord].pitch_classes], frame].sum()
        / max(energy[:, frame].sum(), 1e-12)
        for frame, chord in enumerate(which)
    ]
    return float(np.mean(shares))


def share_of_frames_on_chord(energy: NDArray[np.float64], chords: Sequence[ChordSpan], *, transposed: int = 0) -> float:
    """Share of frames of ``(12, F)`` in which the requested triad is the strongest of the 24 major and minor ones.

    Chance is 1/24. Other chords (suspended, diminished) are ignored; NaN if there are only such.
    """
    times = np.arange(energy.shape[1]) * _CHROMA_HOP / RATE_HZ
    triads = np.stack([energy[[(root + step) % 12 for step in steps]].sum(axis=0) for root, steps in _TRIADS])
    strongest = triads.argmax(axis=0)
    hits = []
    for frame, which in enumerate(chord_index_at(tuple(chords), times)):
        root, steps = chords[which].root, chords[which].quality.value[:3]
        if steps in _THIRDS:
            hits.append(strongest[frame] == _TRIADS.index(((root + transposed) % 12, steps)))
    return float(np.mean(hits)) if hits else float("nan")


_THIRDS = ((0, 4, 7), (0, 3, 7))
_TRIADS = [(root, steps) for steps in _THIRDS for root in range(12)]


def estimate_key(energy: NDArray[np.float64]) -> Key:
    """The key whose profile correlates best with the mean of ``(12, F)`` (Krumhansl & Kessler 1982)."""
    profile = energy.mean(axis=1)
    keys = [Key(tonic=tonic, mode=mode) for mode in Mode for tonic in range(12)]
    fits = [float(np.corrcoef(profile, np.roll(_KEY_PROFILES[key.mode], key.tonic))[0, 1]) for key in keys]
    return keys[int(np.argmax(fits))]


_KEY_PROFILES = {
    Mode.MAJOR: (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    Mode.MINOR: (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


def mirex_score(estimated: Key, requested: Key) -> float:
    """Score of MIREX audio key detection: 1 same, 0.5 a fifth above, 0.3 relative, 0.2 parallel, else 0."""
    if estimated == requested:
        return 1.0
    if estimated.mode is requested.mode:
        return 0.5 if estimated.tonic == (requested.tonic + 7) % 12 else 0.0
    relative = (requested.tonic + (9 if requested.mode is Mode.MAJOR else 3)) % 12
    if estimated.tonic == relative:
        return 0.3
    return 0.2 if estimated.tonic == requested.tonic else 0.0


def transpose(key: Key, semitones: int) -> Key:
    """The key ``semitones`` higher; keys six semitones apart share two of seven notes."""
    return Key(tonic=(key.tonic + semitones) % 12, mode=key.mode)


def voice_lift_db(sung: Waveform, instrumental: Waveform) -> float:
    """How much louder the voice's bands (300-3500 Hz) are in a take than in its instrumental, in dB.

    Both ``(C, T)``. The difference of the mean log powers, minus the same for 5-9 kHz, where the corpus' voice has almost no
    energy; so a change of overall level gives 0. Removing the voice from ten corpus songs (seeds 900_000_000 to 900_000_009, 16 s)
    gives 0.4 to 5.9 dB, median 3.7.
    """
    return _lift_db(sung, instrumental, 300.0, 3500.0) - _lift_db(sung, instrumental, 5000.0, 9000.0)


def _lift_db(one: Waveform, other: Waveform, low_hz: float, high_hz: float) -> float:
    return float(np.mean(_band_db(one, low_hz, high_hz)) - np.mean(_band_db(other, low_hz, high_hz)))


def _band_db(waveform: Waveform, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    """Log power of each bin of a band in each frame, dB, floor -100 dB."""
    _, _, spectrum = stft(waveform.mean(axis=0), fs=RATE_HZ, nperseg=2048, noverlap=1024)
    first, last = round(low_hz * 2048 / RATE_HZ), round(high_hz * 2048 / RATE_HZ)
    power: NDArray[np.float64] = 10.0 * np.log10(np.square(np.abs(spectrum[first:last])) + 1e-10)
    return power
