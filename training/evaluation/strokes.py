"""Whether the strokes of a score are heard where it has them, and how many onsets there are.

Each measure takes any score, so another song's score gives its null. Letters: ``T`` samples, ``F`` frames, ``N`` positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import librosa
import numpy as np
from numpy.typing import NDArray

from render_service.composer.drumming import (
    CLAP,
    CLOSED_HAT,
    CRASH,
    CRASH_2,
    KICK,
    OPEN_HAT,
    PEDAL_HAT,
    RIDE,
    RIM,
    SNARE,
    TOMS,
)
from render_service.composer.score import Part, Score
from render_service.music.tempo_map import TempoMap
from training.evaluation.section import Goal, Section, with_null
from training.evaluation.takes import TAKES, Comparison, Waveform, mean_of, waveforms
from training.metrics import RATE_HZ, onsets_s

Times = NDArray[np.float64]

_HOP = 256
_WINDOW = 2048
_RISE_FRAMES = 4  # 23 ms
_REACH_S = 0.025
_FROM_S = 0.05
_APART_S = 0.045
_FLOOR = 1e-6  # of the band's maximum power: -60 dB
_MIN_POSITIONS = 4
_GHOST_VELOCITY = 0.3
_SAME_ONSET_S = 0.03


class Stroke(Enum):
    """Classes of strokes: name, percussion keys, keys that sound alike and count for neither side, and the band in Hz."""

    KICK = ("kick", frozenset({KICK}), frozenset(TOMS), (30.0, 110.0))
    SNARE = ("snare, clap, rim", frozenset({SNARE, CLAP, RIM}), frozenset(TOMS), (2500.0, 7000.0))
    HAT = (
        "hat",
        frozenset({CLOSED_HAT, PEDAL_HAT, OPEN_HAT}),
        frozenset({RIDE, CRASH, CRASH_2}),
        (7000.0, 16000.0),
    )

    def __init__(self, label: str, keys: frozenset[int], alike: frozenset[int], band_hz: tuple[float, float]) -> None:
        self.label, self.keys, self.alike, self.band_hz = label, keys, alike, band_hz


def strokes(comparisons: Sequence[Comparison]) -> Section:
    """Strokes by class and the number of onsets, next to those of another song's score."""
    auc: dict[tuple[str, Stroke], float] = {}
    rows = []
    for name, waves in waveforms(comparisons).items():
        pairs = list(zip(waves, comparisons, strict=True))
        cells = []
        for stroke in Stroke:
            own, other = (
                mean_of([stroke_auc(wave, score_of(one), one.song.tempo_map, stroke) for wave, one in pairs])
                for score_of in (_own_score, _other_score)
            )
            auc[name, stroke] = own
            cells.append(with_null(own, other))
        onsets = mean_of([onset_ratio(wave, _own_score(one)) for wave, one in pairs])
        rows.append((name, *cells, f"{onsets:.2f}"))
    return Section(
        title="Strokes",
        note=(
            "Probability that the level of a band rises more at a stroke of the score than at a sixteenth without one (area under"
            f" the ROC curve): {', '.join(f'{one.label} {one.band_hz[0]:g}-{one.band_hz[1]:g} Hz' for one in Stroke)}. In brackets"
            " the null: the strokes of another song's score. Onsets: those found for each onset of the score."
        ),
        head=("", *(stroke.label for stroke in Stroke), "onsets found / asked"),
        rows=rows,
        goals=[Goal(name=f"strokes: {stroke.label}", value=auc[TAKES, stroke], target=0.85) for stroke in Stroke],
    )


def _own_score(comparison: Comparison) -> Score:
    return comparison.song.score


def _other_score(comparison: Comparison) -> Score:
    return comparison.other_score


def stroke_auc(take: Waveform, score: Score, tempo_map: TempoMap, stroke: Stroke) -> float:
    """Probability that the band rises more at a stroke of the class than at a sixteenth without one; 0.5 by chance.

    Ghost notes and the first 50 ms, before which there is nothing to rise from, count for neither side. NaN with fewer than four
    positions of either kind.
    """
    seconds = take.shape[1] / RATE_HZ
    kit = [note for note in score.notes if note.part is Part.KIT and _FROM_S < note.start_s < seconds - _REACH_S]
    asked = np.unique([note.start_s for note in kit if note.pitch in stroke.keys and note.velocity > _GHOST_VELOCITY])
    taken = np.array([note.start_s for note in kit if note.pitch in stroke.keys | stroke.alike])
    grid = np.asarray(tempo_map.grid_s(seconds - _REACH_S, divisions=4))
    free = _away_from(grid[grid > _FROM_S], taken)
    if len(asked) < _MIN_POSITIONS or len(free) < _MIN_POSITIONS:
        return float("nan")
    rise = _band_rise(take, stroke.band_hz)
    return _auc(_strongest_near(rise, asked), _strongest_near(rise, free))


def onset_ratio(take: Waveform, score: Score) -> float:
    """Onsets found per onset of the score; notes within 30 ms of each other are one onset."""
    starts = np.sort([event.start_s for event in score.events])
    asked = 1 + int((np.diff(starts) > _SAME_ONSET_S).sum()) if len(starts) else 0
    return len(onsets_s(take)) / asked if asked else float("nan")


def _away_from(positions: Times, taken: Times) -> Times:
    if not len(taken):
        return positions
    return np.asarray(positions[np.abs(positions[:, None] - taken[None, :]).min(axis=1) > _APART_S])


def _band_rise(take: Waveform, band_hz: tuple[float, float]) -> NDArray[np.float64]:
    """Rise of the band's level over 23 ms at each hop ``(F,)``, dB; the value belongs to the middle of the rise."""
    power = np.square(np.abs(librosa.stft(take.mean(axis=0), n_fft=_WINDOW, hop_length=_HOP)))
    first, last = (round(hz * _WINDOW / RATE_HZ) for hz in band_hz)
    band = power[first : last + 1].sum(axis=0)
    level_db = 10.0 * np.log10(band + _FLOOR * max(float(band.max()), 1e-30))
    before, after = level_db[: -2 * _RISE_FRAMES], level_db[2 * _RISE_FRAMES :]
    return np.asarray(np.pad(after - before, _RISE_FRAMES), dtype=np.float64)


def _strongest_near(rise: NDArray[np.float64], positions: Times) -> NDArray[np.float64]:
    """The largest rise within 25 ms of each position ``(N,)``."""
    reach = round(_REACH_S * RATE_HZ / _HOP)
    centres = np.round(positions * RATE_HZ / _HOP).astype(int)
    around = np.clip(centres[:, None] + np.arange(-reach, reach + 1), 0, len(rise) - 1)
    return np.asarray(rise[around].max(axis=1), dtype=np.float64)


def _auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Area under the ROC curve: share of pairs in which the positive is larger; equal ones count half."""
    difference = positive[:, None] - negative[None, :]
    return float((difference > 0.0).mean() + 0.5 * (difference == 0.0).mean())
