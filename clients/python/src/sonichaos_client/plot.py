"""Plots a re-rendered stem beside the old one over the grid, from the ZIPs of two versions.

All data comes from the samples and from ``tempoMap`` and ``rerender`` of the newer manifest. ``N`` is the number of samples.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonichaos_client.fields import StrPath
from sonichaos_client.tempo_grid import TempoGrid, tempo_grid
from sonichaos_client.verify.wav import RATE_HZ, check_wav
from sonichaos_client.verify.zip_layout import Member, UnreadableZipError, read_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OLD, _NEW, _ONSET, _BAR, _SEAM, _GOOD = "#8d949e", "#2563c9", "#d1470c", "#3a3f47", "#f2c14e", "#3c9a5f"
_FULL_SCALE = float(1 << 23)
_COLUMNS = 2400
_CLOSE_UP_BEATS = 4.0
_VERDICTS = {
    "within": "within the limits",
    "beyond": "beyond the limits",
    "unmeasurable": "not measurable",
}


class PlotUnavailableError(Exception):
    """matplotlib is not installed. The message says how to install it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Version:
    """The stem ``(N,)``, mean of both channels with full scale 1.0, and the manifest of one ZIP."""

    samples: NDArray[np.float32]
    manifest: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        return self.samples.size / RATE_HZ


def plot_rerender(old_zip: StrPath, new_zip: StrPath, png: StrPath) -> None:
    """Plot the re-rendered stem of ``new_zip`` beside that of ``old_zip``, its base version, into the file ``png``.

    Shows both stems over bars and beats, the onsets and their deviation from the grid, the limits, the crossfades and a close-up.
    Raises PlotUnavailableError without matplotlib (the extra ``plot``), ValueError if a ZIP cannot be read or the first is not
    the base version of the second.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotUnavailableError("Plots require matplotlib: pip install 'sonichaos-client[plot]'") from None
    old_zip, new_zip = Path(old_zip), Path(new_zip)
    manifest = _manifest(new_zip)
    facts = manifest.get("rerender")
    if not facts or "correction" not in facts:
        raise ValueError(f"{new_zip} contains no re-rendered stem.")
    stem = str(facts["stem"])
    old, new = _read(old_zip, stem), _read(new_zip, stem)
    base = (manifest["jobId"], facts["baseVersion"])
    if (old.manifest["jobId"], old.manifest["version"]) != base:
        got = f"{old.manifest['jobId']} v{old.manifest['version']}"
        raise ValueError(f"Expected {base[0]} v{base[1]}, the base version of {new_zip}, got {got} in {old_zip}.")
    tempo_map = manifest.get("tempoMap")
    grid = tempo_grid(tempo_map, new.seconds) if tempo_map else None
    figure = Figure(figsize=(14.0, 9.0), dpi=110, layout="constrained")
    rows = figure.subplots(4, 1, height_ratios=(1.0, 1.0, 0.9, 1.2))
    above, below, deviation, close_up = rows
    figure.suptitle(_title(manifest, facts, old.manifest), x=0.01, ha="left", fontsize=12)
    _draw_take(above, old, grid, _OLD, f"{stem}, v{old.manifest['version']}")
    _draw_take(below, new, grid, _NEW, f"{stem}, v{manifest['version']}")
    _draw_seams((above, below), facts)
    _draw_onsets(below, facts)
    _draw_deviation(deviation, facts, grid, new.seconds)
    _draw_close_up(close_up, old, new, grid, facts)
    figure.savefig(png, format="png")


def _title(manifest: Mapping[str, Any], facts: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    correction, level = facts["correction"], facts["level"]
    parts = [f"moved {-correction['offsetMs']:+.1f} ms"]
    if correction["driftMsPerMinute"]:
        parts.append(f"drift of {correction['driftMsPerMinute']:+.0f} ms/min corrected")
    if level["matchedDb"] is not None:
        parts.append(f"level {level['matchedDb'] + level['loweredDb']:+.1f} dB")
    head = f"{manifest['jobId']}: {facts['stem']} of v{base['version']} re-rendered as v{manifest['version']}"
    return f"{head}   |   {', '.join(parts)}   |   {_VERDICTS[facts['verdict']]}"


def _draw_take(axes: Axes, version: _Version, grid: TempoGrid | None, colour: str, name: str) -> None:
    """The waveform as the highest and lowest sample of each column, over bars and beats."""
    step = max(version.samples.size // _COLUMNS, 1)
    columns = version.samples[: version.samples.size // step * step].reshape(-1, step)
    at_s = (np.arange(columns.shape[0]) + 0.5) * step / RATE_HZ
    axes.fill_between(at_s, columns.min(axis=1), columns.max(axis=1), color=colour, linewidth=0.0)
    highest = max(float(np.abs(version.samples).max(initial=0.0)), 1e-3) * 1.15
    axes.set(xlim=(0.0, version.seconds), ylim=(-highest, highest), ylabel=name)
    axes.set_yticks([])
    _draw_grid(axes, grid, numbered=True)


def _draw_grid(axes: Axes, grid: TempoGrid | None, *, numbered: bool) -> None:
    if grid is None:
        return
    low_s, high_s = axes.get_xlim()
    for beat_s in grid.beats_s:
        if low_s <= beat_s <= high_s:
            axes.axvline(beat_s, color=_BAR, linewidth=0.4, alpha=0.25, zorder=0)
    every = max(math.ceil(np.count_nonzero((grid.bars_s >= low_s) & (grid.bars_s <= high_s)) / 24), 1)
    for number, bar_s in enumerate(grid.bars_s, 1):
        if not low_s <= bar_s <= high_s:
            continue
        axes.axvline(bar_s, color=_BAR, linewidth=1.0, alpha=0.55, zorder=0)
        if numbered and (number - 1) % every == 0:
            axes.annotate(
                f" {number}", (bar_s, 1.0), xycoords=("data", "axes fraction"), va="top", fontsize=8, color=_BAR
            )


def _draw_seams(rows: tuple[Axes, ...], facts: Mapping[str, Any]) -> None:
    for axes in rows:
        for seam in facts["seams"]:
            low_s, high_s = axes.get_xlim()
            # Keeps a crossfade of 5 ms visible in a long take.
            min_width_s = 0.003 * (high_s - low_s)
            middle, half = 0.5 * (seam["fromSecond"] + seam["toSecond"]), 0.5 * (seam["toSecond"] - seam["fromSecond"])
            axes.axvspan(
                middle - max(half, min_width_s), middle + max(half, min_width_s), color=_SEAM, alpha=0.75, zorder=0
            )


def _draw_onsets(axes: Axes, facts: Mapping[str, Any]) -> None:
    onsets = np.array(facts["onsets"]["seconds"], dtype=np.float64)
    axes.plot(
        onsets,
        np.full(onsets.size, 0.03),
        "|",
        color=_ONSET,
        markersize=9,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )


def _draw_deviation(axes: Axes, facts: Mapping[str, Any], grid: TempoGrid | None, seconds: float) -> None:
    """The deviation of each onset from the grid, the median, and the allowed band of the median."""
    limits, measured = facts["limits"], facts["delivered"]["grid"]
    axes.axhspan(
        limits["earliestMedianMs"],
        limits["latestMedianMs"],
        color=_GOOD,
        alpha=0.15,
        linewidth=0.0,
        label="limits of the median",
    )
    axes.plot(facts["onsets"]["seconds"], facts["onsets"]["deviationsMs"], ".", color=_ONSET, label="onset minus grid")
    summary = "too few onsets to measure"
    if measured is not None:
        axes.axhline(measured["medianMs"], color=_NEW, linewidth=1.2, label="median")
        summary = (
            f"{measured['onsets']} onsets, {100 * measured['matched']:.0f} % on the grid: median {measured['medianMs']:+.1f}, "
            f"MAD {measured['madMs']:.1f}, 95 % within {measured['p95Ms']:.1f} ms"
        )
    axes.set(xlim=(0.0, seconds), ylim=(-55.0, 55.0), ylabel="ms late", xlabel="seconds")
    axes.set_title(summary, loc="left", fontsize=9)
    axes.grid(axis="y", alpha=0.25)
    _draw_grid(axes, grid, numbered=False)
    axes.legend(loc="upper right", fontsize=8, ncols=3, framealpha=0.9)


def _draw_close_up(axes: Axes, old: _Version, new: _Version, grid: TempoGrid | None, facts: Mapping[str, Any]) -> None:
    """Both stems over one bar: around the first seam, or the loudest bar if there is no seam."""
    middle_s, half_s, caption = _close_up(new, grid, facts)
    low = max(round((middle_s - half_s) * RATE_HZ), 0)
    high = min(round((middle_s + half_s) * RATE_HZ), new.samples.size)
    at_s = np.arange(low, high) / RATE_HZ
    axes.set_xlim(at_s[0], at_s[-1])
    axes.plot(at_s, old.samples[low:high], color=_OLD, linewidth=0.8, label=f"v{old.manifest['version']}")
    axes.plot(at_s, new.samples[low:high], color=_NEW, linewidth=0.8, alpha=0.8, label=f"v{new.manifest['version']}")
    for seam in facts["seams"]:
        if at_s[0] < seam["fromSecond"] < at_s[-1]:
            axes.axvspan(seam["fromSecond"], seam["toSecond"], color=_SEAM, alpha=0.6, zorder=0, label="crossfade")
    onsets = [onset for onset in facts["onsets"]["seconds"] if at_s[0] < onset < at_s[-1]]
    axes.plot(
        onsets,
        [0.04] * len(onsets),
        "^",
        color=_ONSET,
        markersize=6,
        transform=axes.get_xaxis_transform(),
        label="onset",
    )
    if grid is not None:
        for line_s in grid.subdivisions_s:
            if at_s[0] <= line_s <= at_s[-1]:
                axes.axvline(line_s, color=_BAR, linewidth=0.4, linestyle=":", alpha=0.5, zorder=0)
    _draw_grid(axes, grid, numbered=True)
    axes.set_yticks([])
    axes.set(xlabel="seconds", ylabel="close-up")
    axes.set_title(caption, loc="left", fontsize=9)
    axes.legend(loc="upper right", fontsize=8, ncols=4, framealpha=0.9)


def _close_up(new: _Version, grid: TempoGrid | None, facts: Mapping[str, Any]) -> tuple[float, float, str]:
    """Middle and half length in seconds, and a caption."""
    beat_s = float(np.median(np.diff(grid.beats_s))) if grid is not None and grid.beats_s.size > 1 else 0.5
    half_s = min(0.5 * _CLOSE_UP_BEATS * beat_s, 0.5 * new.seconds)
    for seam in facts["seams"]:
        correlation, error_db = seam["correlation"], seam["levelErrorDb"]
        parts = [f"seam at bar {seam['bar']}", f"lag {seam['lagMs']:+.1f} ms"]
        parts += [f"correlation {correlation:.2f}"] if correlation is not None else []
        parts += [f"level {error_db:+.2f} dB"] if error_db is not None else []
        return 0.5 * (seam["fromSecond"] + seam["toSecond"]), half_s, ", ".join(parts)
    starts = grid.bars_s if grid is not None and grid.bars_s.size else np.arange(0.0, new.seconds, 2.0)
    length = round(2.0 * half_s * RATE_HZ)
    spans = [new.samples[round(at * RATE_HZ) :][:length] for at in starts]
    powers = [float(np.square(span).sum()) for span in spans]
    bar = int(np.argmax(powers))
    return float(starts[bar]) + 0.92 * half_s, half_s, f"from bar {bar + 1}"


def _manifest(path: Path) -> Mapping[str, Any]:
    member = _member(path, "manifest.json")
    with path.open("rb") as file:
        file.seek(member.offset)
        manifest: Mapping[str, Any] = json.loads(file.read(member.size).decode("utf-8"))
    return manifest


def _read(path: Path, stem: str) -> _Version:
    member = _member(path, f"{stem}.wav")
    with path.open("rb") as file:
        wav, _ = check_wav(file, member, None)
        if wav is None:
            raise ValueError(f"Cannot read {stem}.wav in {path}. Run 'sonichaos verify {path}' for the reason.")
        blocks = [block.mean(axis=0) for block in wav.blocks(file)]
    samples = (np.concatenate(blocks) / _FULL_SCALE).astype(np.float32)
    return _Version(samples=samples, manifest=_manifest(path))


def _member(path: Path, name: str) -> Member:
    """A file of the ZIP. Raises ValueError if it is missing or the file is not a ZIP."""
    with path.open("rb") as file:
        try:
            members, _ = read_layout(file, path.stat().st_size)
        except UnreadableZipError as error:
            raise ValueError(f"{path}: {error}") from error
    for member in members:
        if member.name == name:
            return member
    raise ValueError(f"{path} contains no {name}.")
