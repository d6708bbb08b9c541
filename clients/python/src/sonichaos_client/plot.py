"""Old and new stem over the grid as a picture, drawn from the ZIPs of two versions.

Everything drawn comes from the samples and from ``tempoMap`` and ``rerender`` of the newer manifest. Letters: ``N`` samples.
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

from sonichaos_client.tempo_grid import TempoGrid, tempo_grid
from sonichaos_client.wav_check import RATE_HZ, check_wav
from sonichaos_client.zip_layout import Member, UnreadableZip, read_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OLD, _NEW, _ONSET, _BAR, _SEAM, _GOOD = "#8d949e", "#2563c9", "#d1470c", "#3a3f47", "#f2c14e", "#3c9a5f"
_FULL_SCALE = float(1 << 23)
_COLUMNS = 2400
_CLOSE_UP_BEATS = 4.0
_VERDICTS = {
    "within": "within the limits",
    "beyond": "beyond the limits",
    "unmeasurable": "not to be measured by its onsets",
}


class PlotUnavailable(Exception):
    """matplotlib is not installed; the text says how to get it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Version:
    """The stem ``(N,)``, both sides' mean at full scale 1.0, and the manifest of one ZIP."""

    samples: NDArray[np.float32]
    manifest: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        return self.samples.size / RATE_HZ


def plot_rerender(old_zip: Path, new_zip: Path, picture: Path) -> None:
    """Draw ``new_zip``'s re-rendered stem beside the one of ``old_zip``, its base version, into the PNG ``picture``.

    Shows both stems over bars and beats, onsets, how far each lies from the grid beside the limits, seams, and a close-up. Raises
    PlotUnavailable without matplotlib (the extra ``plot``), ValueError where the ZIPs cannot be read or do not belong together.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotUnavailable("drawing needs matplotlib: pip install 'sonichaos-client[plot]'") from None
    manifest = _manifest(new_zip)
    facts = manifest.get("rerender")
    if not facts or "correction" not in facts:
        raise ValueError(f"{new_zip} holds no re-rendered stem, so there is nothing to compare")
    stem = str(facts["stem"])
    old, new = _read(old_zip, stem), _read(new_zip, stem)
    wanted = (manifest["jobId"], facts["baseVersion"])
    if (old.manifest["jobId"], old.manifest["version"]) != wanted:
        found = f"{old.manifest['jobId']} v{old.manifest['version']}"
        raise ValueError(f"{new_zip} was made from {wanted[0]} v{wanted[1]}, got {found} in {old_zip}")
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
    figure.savefig(picture, format="png")


def _title(manifest: Mapping[str, Any], facts: Mapping[str, Any], base: Mapping[str, Any]) -> str:
    correction, level = facts["correction"], facts["level"]
    said = [f"moved {-correction['offsetMs']:+.1f} ms"]
    if correction["driftMsPerMinute"]:
        said.append(f"drift {correction['driftMsPerMinute']:+.0f} ms/min taken out")
    if level["matchedDb"] is not None:
        said.append(f"level {level['matchedDb'] + level['loweredDb']:+.1f} dB")
    head = f"{manifest['jobId']}: {facts['stem']} of v{base['version']} re-rendered as v{manifest['version']}"
    return f"{head}   |   {', '.join(said)}   |   {_VERDICTS[facts['verdict']]}"


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
            # A crossfade of 5 ms has to be seen on a long take too.
            least = 0.003 * (high_s - low_s)
            middle, half = 0.5 * (seam["fromSecond"] + seam["toSecond"]), 0.5 * (seam["toSecond"] - seam["fromSecond"])
            axes.axvspan(middle - max(half, least), middle + max(half, least), color=_SEAM, alpha=0.75, zorder=0)


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
    """Each onset's distance from the grid, its median, and the band in which the median has to lie."""
    limits, measured = facts["limits"], facts["delivered"]["grid"]
    axes.axhspan(
        limits["earliestMedianMs"],
        limits["latestMedianMs"],
        color=_GOOD,
        alpha=0.15,
        linewidth=0.0,
        label="limits of the median",
    )
    axes.plot(facts["onsets"]["seconds"], facts["onsets"]["deviationsMs"], ".", color=_ONSET, label="onset less grid")
    said = "too few onsets to measure"
    if measured is not None:
        axes.axhline(measured["medianMs"], color=_NEW, linewidth=1.2, label="median")
        said = (
            f"{measured['onsets']} onsets, {100 * measured['matched']:.0f} % on the grid: median {measured['medianMs']:+.1f}, "
            f"MAD {measured['madMs']:.1f}, 95 % within {measured['p95Ms']:.1f} ms"
        )
    axes.set(xlim=(0.0, seconds), ylim=(-55.0, 55.0), ylabel="ms late", xlabel="seconds")
    axes.set_title(said, loc="left", fontsize=9)
    axes.grid(axis="y", alpha=0.25)
    _draw_grid(axes, grid, numbered=False)
    axes.legend(loc="upper right", fontsize=8, ncols=3, framealpha=0.9)


def _draw_close_up(axes: Axes, old: _Version, new: _Version, grid: TempoGrid | None, facts: Mapping[str, Any]) -> None:
    """A bar's worth of both, around the first seam, or from the loudest bar where there is none."""
    middle_s, half_s, what = _close_up(new, grid, facts)
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
    axes.set_title(what, loc="left", fontsize=9)
    axes.legend(loc="upper right", fontsize=8, ncols=4, framealpha=0.9)


def _close_up(new: _Version, grid: TempoGrid | None, facts: Mapping[str, Any]) -> tuple[float, float, str]:
    """Middle and half length in seconds, and what is seen."""
    beat_s = float(np.median(np.diff(grid.beats_s))) if grid is not None and grid.beats_s.size > 1 else 0.5
    half_s = min(0.5 * _CLOSE_UP_BEATS * beat_s, 0.5 * new.seconds)
    for seam in facts["seams"]:
        correlation, error_db = seam["correlation"], seam["levelErrorDb"]
        said = [f"seam at bar {seam['bar']}", f"lag {seam['lagMs']:+.1f} ms"]
        said += [f"correlation {correlation:.2f}"] if correlation is not None else []
        said += [f"level {error_db:+.2f} dB"] if error_db is not None else []
        return 0.5 * (seam["fromSecond"] + seam["toSecond"]), half_s, ", ".join(said)
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
            raise ValueError(f"{stem}.wav in {path} cannot be read; sonichaos verify says why")
        blocks = [block.mean(axis=0) for block in wav.blocks(file)]
    samples = (np.concatenate(blocks) / _FULL_SCALE).astype(np.float32)
    return _Version(samples=samples, manifest=_manifest(path))


def _member(path: Path, name: str) -> Member:
    """A file of the ZIP. Raises ValueError where it is not there or the ZIP is none."""
    with path.open("rb") as file:
        try:
            members, _ = read_layout(file, path.stat().st_size)
        except UnreadableZip as error:
            raise ValueError(f"{path}: {error}") from error
    for member in members:
        if member.name == name:
            return member
    raise ValueError(f"{path} holds no {name}")
