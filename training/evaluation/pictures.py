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
_JPEG_QUALITY = 80
_RATE_HZ = 44100
_ZOOM_FROM_S, _ZOOM_S = 6.0, 4.0
_TONAL_WINDOW, _TONAL_S, _TONAL_HZ = 8192, 10.0, 1600.0


def plot_take(comparison: Comparison, path: Path) -> None:
    """The song, its upper bound and the take side by side: all of it, four seconds, and the lowest partials of ten seconds.

    The path ends in ``.jpg``.
    """
    columns = (
        ("corpus song", comparison.song.mix),
        ("upper bound: the song through autoencoder and vocoder", comparison.upper_bound),
        ("take", comparison.take),
    )
    figure = _figure(15.0, 7.5)
    figure.suptitle(f"{comparison.song.persona.id}: {comparison.song.caption.text}", fontsize=8)
    for column, axes, (name, wave) in zip(range(3), figure.subplots(3, 3).T, columns, strict=True):
        seconds = wave.shape[1] / _RATE_HZ
        zoom_s = max(min(_ZOOM_FROM_S, seconds - _ZOOM_S), 0.0)
        mel = _mel_db(wave)
        for axis in axes[:2]:
            axis.imshow(
                mel, origin="lower", aspect="auto", cmap="magma", vmin=-80, vmax=0, extent=(0, seconds, 0, len(mel))
            )
        axes[1].set_xlim(zoom_s, min(zoom_s + _ZOOM_S, seconds))
        tonal_s = min(seconds, _TONAL_S)
        extent = (0, tonal_s, 0, _TONAL_HZ)
        axes[2].imshow(_tonal_db(wave), origin="lower", aspect="auto", cmap="magma", vmin=-60, vmax=0, extent=extent)
        axes[0].set_title(name, fontsize=8)
        for axis, label in zip(axes, ("mel band", "mel band", "Hz"), strict=True):
            axis.tick_params(labelsize=6)
            axis.set_xlabel("seconds", fontsize=6)
            if column == 0:
                axis.set_ylabel(label, fontsize=6)
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
    mono = wave.mean(axis=0)
    mel = librosa.feature.melspectrogram(y=mono, sr=_RATE_HZ, n_fft=2048, hop_length=512, n_mels=96, fmin=30.0)
    return np.asarray(librosa.power_to_db(mel, ref=np.max, top_db=80.0), dtype=np.float32)


def _tonal_db(wave: Waveform) -> NDArray[np.float32]:
    """Levels below 1.6 kHz with a window of 186 ms, which shows partials as lines."""
    mono = wave[:, : round(_TONAL_S * _RATE_HZ)].mean(axis=0)
    power = np.square(np.abs(librosa.stft(mono, n_fft=_TONAL_WINDOW, hop_length=1024)))
    bins = round(_TONAL_HZ * _TONAL_WINDOW / _RATE_HZ)
    return np.asarray(librosa.power_to_db(power[:bins], ref=np.max, top_db=80.0), dtype=np.float32)


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
    if path.suffix == ".jpg":
        figure.savefig(path, dpi=_DPI, pil_kwargs={"quality": _JPEG_QUALITY})
    else:
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})
