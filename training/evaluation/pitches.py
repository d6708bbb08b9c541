"""Whether the notes of a score sound: melody, bass and chord tones.

Independent of the renderer's front end. Each measure takes any score, so another song's score gives its null. Letters: ``T``
samples, ``P`` semitones, ``F`` frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import librosa
import numpy as np
from numpy.typing import NDArray

from render_service.composer.score import Note, Part, Score, SungNote
from training.evaluation.section import Goal, Section
from training.evaluation.takes import TAKES, Comparison, Waveform, mean_of, waveforms
from training.metrics import RATE_HZ

Levels = NDArray[np.float64]

HOP = 2048
_LOW, _HIGH = 45, 96  # A2 to B6: the fundamentals of melodies and chords
_HARMONICS = (0, 12, 19, 24, 28)  # the first five, in semitones above the fundamental
_DECAY = 0.8
_COMPRESSION = 0.5
_WINDOW = 8192
_BASS_LOW, _BASS_HIGH = 26, 54  # 36 to 175 Hz
_BASS_WINDOW = 16384
_SEMITONE_REACH = 0.4
_TOP_MELODY = 2
_TOP_CHORD = 4
_NEIGHBOURS = 2
_CHORD_PARTS = frozenset({Part.CHORDS, Part.SECOND_CHORDS})


@dataclass(frozen=True, kw_only=True)
class Pitches:
    """Levels of a take's pitches at every :data:`HOP` samples.

    The salience of a semitone is the sum of the compressed levels of its first five harmonics. ``fundamental`` ``(P, F)``: level of
    each semitone alone, from A2; ``classes`` ``(12, F)``: salience of the strongest octave of each pitch class, C first; ``bass``
    ``(12, F)``: level of each pitch class between 36 and 175 Hz.
    """

    fundamental: Levels
    classes: Levels
    bass: Levels


def notes(comparisons: Sequence[Comparison]) -> Section:
    """Shares of notes that sound, next to those of another song's score and of other notes over the same chords."""
    values: dict[tuple[str, str], float] = {}
    rows = []
    for name, waves in waveforms(comparisons).items():
        found = [pitches_of(wave) for wave in waves]
        cells = []
        for label, measure in _MEASURES.items():
            own, other_song, other_notes = (
                mean_of([measure(one, score) for one, score in zip(found, scores, strict=True)])
                for scores in (
                    [comparison.song.score for comparison in comparisons],
                    [comparison.other_score for comparison in comparisons],
                    [comparison.other_notes for comparison in comparisons],
                )
            )
            values[name, label] = own
            cells.append(f"{own:.3f} ({other_song:.3f}; {other_notes:.3f})")
        rows.append((name, *cells))
    return Section(
        title="Notes",
        note=(
            "Share of the frames of the asked notes in which they sound. Melody: its pitch class is one of the two most salient;"
            " its exact semitone is stronger than two neighbours on each side. Chords: the note's pitch class is one of the four"
            " most salient. Bass: its pitch class is the strongest between 36 and 175 Hz. In brackets the nulls: the score of"
            " another song on the same tempo map; and other notes over the same chords, which share many pitch classes with the"
            " asked ones."
        ),
        head=("", *_MEASURES),
        rows=rows,
        goals=(
            Goal(name="melody followed, pitch class in the top two", value=values[TAKES, _MELODY], target=0.85),
            Goal(name="bass note strongest", value=values[TAKES, _BASS], target=0.6),
        ),
    )


def pitches_of(take: Waveform) -> Pitches:
    """The pitches of ``(2, T)``."""
    peaks = _semitone_peaks(take, _WINDOW, _LOW, _HIGH + _HARMONICS[-1])
    compressed = peaks**_COMPRESSION
    count = _HIGH - _LOW
    salience = sum(_DECAY**i * compressed[step : step + count] for i, step in enumerate(_HARMONICS))
    bass = _semitone_peaks(take, _BASS_WINDOW, _BASS_LOW, _BASS_HIGH)
    return Pitches(fundamental=peaks[:count], classes=_fold(np.asarray(salience), _LOW), bass=_fold(bass, _BASS_LOW))


def melody_share(pitches: Pitches, score: Score) -> float:
    """Share of the melody's frames in which its pitch class is one of the two most salient. NaN without a melody."""
    classes = pitches.classes
    return _share(_is_among(classes, _frames(note, classes), note.pitch, _TOP_MELODY) for note in _melody(score))


def exact_pitch_share(pitches: Pitches, score: Score) -> float:
    """Share of the melody's frames in which its exact semitone is the strongest of five neighbours. NaN without a melody."""
    levels = pitches.fundamental
    hits = []
    for note in _melody(score):
        at, frames = note.pitch - _LOW, _frames(note, levels)
        if _NEIGHBOURS <= at < len(levels) - _NEIGHBOURS:
            around = levels[at - _NEIGHBOURS : at + _NEIGHBOURS + 1, frames]
            hits.append(around.argmax(axis=0) == _NEIGHBOURS)
    return _share(hits)


def chord_tone_share(pitches: Pitches, score: Score) -> float:
    """Share of the frames of chord notes in which the note's pitch class is one of the four most salient. NaN without chords."""
    classes = pitches.classes
    chords = [note for note in score.notes if note.part in _CHORD_PARTS]
    return _share(_is_among(classes, _frames(note, classes), note.pitch, _TOP_CHORD) for note in chords)


def bass_share(pitches: Pitches, score: Score) -> float:
    """Share of the bass notes' frames in which their pitch class is the strongest of the bass. NaN without a bass."""
    bass = [note for note in score.notes if note.part is Part.BASS]
    return _share(pitches.bass[:, _frames(note, pitches.bass)].argmax(axis=0) == note.pitch % 12 for note in bass)


_MELODY, _BASS = "melody", "bass note"
_MEASURES: dict[str, Callable[[Pitches, Score], float]] = {
    _MELODY: melody_share,
    "melody's exact semitone": exact_pitch_share,
    "chord tones": chord_tone_share,
    _BASS: bass_share,
}


def _melody(score: Score) -> list[Note | SungNote]:
    return [*score.sung, *(note for note in score.notes if note.part is Part.LINE)]


def _frames(note: Note | SungNote, levels: Levels) -> NDArray[np.intp]:
    """The frames that are centred within the note."""
    first, stop = (int(np.ceil(second * RATE_HZ / HOP)) for second in (note.start_s, note.end_s))
    return np.arange(first, min(stop, levels.shape[1]))


def _is_among(classes: Levels, frames: NDArray[np.intp], pitch: int, top: int) -> NDArray[np.bool_]:
    """In which frames fewer than ``top`` pitch classes are stronger than that of ``pitch``."""
    stronger = classes[:, frames] > classes[pitch % 12, frames]
    return np.asarray(stronger.sum(axis=0) < top)


def _share(hits: Iterable[NDArray[np.bool_]]) -> float:
    found: Sequence[NDArray[np.bool_]] = list(hits)
    total = sum(len(one) for one in found)
    return sum(int(one.sum()) for one in found) / total if total else float("nan")


def _fold(levels: Levels, lowest: int) -> Levels:
    """The strongest octave of each pitch class ``(12, F)``, C first."""
    return np.stack([levels[(pitch - lowest) % 12 :: 12].max(axis=0) for pitch in range(12)])


def _semitone_peaks(take: Waveform, window: int, lowest: int, highest: int) -> Levels:
    """The largest magnitude within 0.4 semitones of each semitone ``(highest - lowest, F)``."""
    magnitude = np.abs(librosa.stft(take.mean(axis=0), n_fft=window, hop_length=HOP))
    hz = 440.0 * 2.0 ** ((np.arange(lowest, highest) - 69.0) / 12.0)
    reach = 2.0 ** (_SEMITONE_REACH / 12.0)
    nearest = np.round(hz * window / RATE_HZ).astype(int)
    first = np.minimum(np.ceil(hz / reach * window / RATE_HZ).astype(int), nearest)
    last = np.maximum(np.floor(hz * reach * window / RATE_HZ).astype(int), nearest)
    peaks = [magnitude[low : high + 1].max(axis=0) for low, high in zip(first, last, strict=True)]
    return np.asarray(np.stack(peaks), dtype=np.float64)
