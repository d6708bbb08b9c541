"""Figures of the report: spectrograms of takes, waveforms of stems, and a bar chart of the goals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import librosa
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from separation_service.engine import Separator
from servicekit.delivery.names import STEMS
from training.corpus.store import StoredSong
from training.evaluation.section import Goal
from training.evaluation.takes import Comparison, Waveform

_DPI = 72
_RATE_HZ = 44100
_SHOWN_S = 6.0


def plot_spectrograms(comparisons: Sequence[Comparison], path: Path) -> None:
    """One row per song: the song, its upper bound and the take, with lines at the beats."""
    figure = _figure(14.0, 2.3 * len(comparisons))
    axes = figure.subplots(len(comparisons), 3, squeeze=False)
    for row, comparison in zip(axes, comparisons, strict=True):
        columns = (("corpus", comparison.song.mix), ("upper bound", comparison.upper_bound), ("take", comparison.take))
        for axis, (name, wave) in zip(row, columns, strict=True):
            seconds = min(wave.shape[1] / _RATE_HZ, _SHOWN_S)
            axis.imshow(
                _mel_db(wave), origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0, extent=(0, seconds, 0, 96)
            )
            for beat in comparison.song.tempo_map.beats_s(seconds):
                axis.axvline(beat, color="white", linewidth=0.3, alpha=0.5)
            axis.set_title(f"{name}: {comparison.song.persona.id}, {comparison.song.caption.text}"[:70], fontsize=7)
            axis.tick_params(labelsize=6)
    _save(figure, path)


def plot_stems(separator: Separator, song: StoredSong, path: Path) -> None:
    """Waveforms of the true stems, each above the separated one."""
    truth = song.crop(0, song.stems.shape[-1])
    found = separator.separate(truth.sum(0), lambda *_: None)
    figure = _figure(14.0, 1.3 * 2 * len(STEMS))
    axes = figure.subplots(2 * len(STEMS), 1, sharex=True, sharey=True)
    for number, (name, true, estimate) in enumerate(zip(STEMS, truth, found, strict=True)):
        for axis, wave, label, colour in (
            (axes[2 * number], true, "true", "tab:blue"),
            (axes[2 * number + 1], estimate, "separated", "tab:orange"),
        ):
            low, high = _envelope(wave)
            axis.fill_between(
                np.linspace(0.0, wave.shape[1] / _RATE_HZ, len(low)), low, high, color=colour, linewidth=0
            )
            axis.set_ylabel(f"{name}\n{label}", fontsize=6)
            axis.tick_params(labelsize=6)
    _save(figure, path)


def plot_goals(goals: Sequence[Goal], path: Path) -> None:
    """One bar per goal: the value as a share of the target, limited to 2."""
    figure = _figure(10.0, 0.28 * len(goals) + 0.8)
    axis = figure.subplots()
    shares = [_share(goal) for goal in goals]
    colours = ["tab:green" if goal.met else "tab:red" for goal in goals]
    axis.barh([goal.name for goal in goals], shares, color=colours)
    axis.axvline(1.0, color="black", linewidth=1.0)
    axis.set_xlim(0.0, 2.0)
    axis.set_xlabel("value / target; target / value where the target is an upper limit", fontsize=7)
    axis.tick_params(labelsize=7)
    axis.invert_yaxis()
    _save(figure, path)


def _share(goal: Goal) -> float:
    numerator, denominator = (goal.target, goal.value) if goal.at_most else (goal.value, goal.target)
    if denominator <= 0.0:  # a ratio of negative decibels means nothing
        return 2.0 if goal.met else 0.5
    share = numerator / denominator
    return float(np.clip(share, 0.0, 2.0)) if np.isfinite(share) else 0.0


def _mel_db(wave: Waveform) -> NDArray[np.float32]:
    mono = wave[:, : round(_SHOWN_S * _RATE_HZ)].mean(axis=0)
    mel = librosa.feature.melspectrogram(y=mono, sr=_RATE_HZ, n_fft=2048, hop_length=1024, n_mels=96, fmin=30.0)
    return np.asarray(librosa.power_to_db(mel, ref=np.max, top_db=80.0), dtype=np.float32)


def _envelope(wave: Waveform, points: int = 1200) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Minimum and maximum of the mono signal in each of ``points`` pieces."""
    mono = wave.mean(axis=0)
    size = max(len(mono) // points, 1)
    pieces = mono[: len(mono) // size * size].reshape(-1, size)
    return pieces.min(axis=1), pieces.max(axis=1)


def _figure(width: float, height: float) -> Figure:
    with mpl.rc_context({"axes.titlepad": 2.0}):
        return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
