"""Moves the new stem onto the grid and joins it. Letters: ``C`` channels (2), ``T`` samples, ``N`` samples of a range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from separation_service.alignment.estimate import Estimate
from separation_service.alignment.grid import BarRange, Grid
from separation_service.alignment.report import Seam
from separation_service.alignment.resample import read_at
from separation_service.alignment.seams import (
    FADE_FRAMES,
    GUARD_FRAMES,
    MAX_DRUMS_LAG_S,
    MAX_LAG_S,
    OPENING_FRAMES,
    best_lag_s,
    crossfade,
    glide_s,
    level_error_db,
    max_lag_s,
)
from separation_service.alignment.splice import Joint
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.names import StemName

MIN_OFFSET_S = 0.0003
"""Smaller offsets are below the estimate's accuracy (docs/measurements.md) and are not corrected."""
_END_FADE_FRAMES = SAMPLE_RATE_HZ // 200
_WRAP_FRAMES = SAMPLE_RATE_HZ // 50
_MAX_AHEAD_FRAMES = SAMPLE_RATE_HZ  # a correction is shorter
_INSIDE_FRAMES = 0.05  # margin for grid lines, which are exact to a microsecond


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A crossfade over the samples ``[start, start + frames)``, at the line where ``bar`` begins."""

    bar: int
    start: int
    frames: int

    @property
    def window(self) -> slice:
        """The samples as a slice."""
        return slice(self.start, self.start + self.frames)


@dataclass(frozen=True, kw_only=True)
class Span:
    """The samples ``[start, stop)`` of the new stem, crossfades included; an edge is None at the take's start or end.

    ``loops``: the span is a whole loop, so the new stem's end leads into its own start.
    """

    start: int
    stop: int
    opening: Edge | None
    closing: Edge | None
    loops: bool = False

    @property
    def window(self) -> slice:
        """The samples as a slice."""
        return slice(self.start, self.stop)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.stop - self.start) / SAMPLE_RATE_HZ


def span_of(region: BarRange | None, grid: Grid, frames: int, *, loop: bool = False) -> Span:
    """The span of the bars, or the whole take for None. Raises `InvalidFields` for bars that the take does not have.

    Not one sample before the line of the first bar, nor one from the line after the last on, is part of it. In bars too short for
    the crossfades, as a change of metre may cut them, these are shorter in proportion. In a ``loop`` bar 1 follows the last.
    """
    if region is None:
        return Span(start=0, stop=frames, opening=None, closing=None, loops=loop)
    from_s, to_s = grid.span_s(region)
    opens, closes = from_s * SAMPLE_RATE_HZ >= 1.0, region.to_bar < grid.downbeats_s.size
    if loop and not opens and not closes:
        return Span(start=0, stop=frames, opening=None, closing=None, loops=True)
    opens, closes = opens or loop, closes or loop
    start = math.ceil(from_s * SAMPLE_RATE_HZ + _INSIDE_FRAMES) if opens else 0
    end = math.floor(to_s * SAMPLE_RATE_HZ - _INSIDE_FRAMES) if closes else frames
    room = min((end - start) / (2.0 * (OPENING_FRAMES + FADE_FRAMES + GUARD_FRAMES)), 1.0)
    opening, closing, guard = (round(room * most) for most in (OPENING_FRAMES, FADE_FRAMES, GUARD_FRAMES))
    stop = end - guard if closes else end
    return Span(
        start=start,
        stop=stop,
        opening=Edge(bar=region.from_bar, start=start, frames=opening) if opens else None,
        closing=Edge(bar=region.to_bar % grid.downbeats_s.size + 1, start=stop - closing, frames=closing)
        if closes
        else None,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Moved:
    """The new stem on the grid, full scale 1.0: ``audio`` ``(C, N)`` over the span, and the lags of its two seams in seconds."""

    audio: NDArray[np.float64]
    opening_lag_s: float
    closing_lag_s: float


def move(new_stem: NDArray[np.float32], old: NDArray[np.float32], found: Estimate, span: Span, kind: StemName) -> Moved:
    """Resample ``new_stem`` ``(C, T)`` by the time map, in phase with ``old`` ``(C, T)`` at each seam.

    A seam's lag decays within two seconds, so that the bars in between stay on the grid. A whole loop goes round; if it drifted it
    does not, and what it would play after its end fades out over its start.
    """
    goes_round = span.loops and found.drift == 0.0
    ahead = _MAX_AHEAD_FRAMES if goes_round else 0
    source = np.pad(new_stem, ((0, 0), (ahead, ahead)), mode="wrap") if goes_round else _fade_out_end(new_stem, found)
    stem_max_lag_s = MAX_DRUMS_LAG_S if kind == StemName.DRUMS else MAX_LAG_S
    max_s = max_lag_s(stem_max_lag_s, span.seconds)

    def read(start: int, stop: int) -> NDArray[np.float64]:
        return read_at(source, _positions(np.arange(start, stop, dtype=np.float64), found) + ahead)

    at = np.arange(span.start, span.stop, dtype=np.float64)
    glide = max(glide_s(span.seconds) * SAMPLE_RATE_HZ, 1.0)
    shift, lags = np.zeros(at.size), [0.0, 0.0]
    for number, edge in enumerate((span.opening, span.closing)):
        if edge is not None:
            window = np.asarray(old[:, edge.window], dtype=np.float64)
            lags[number] = best_lag_s(window, read, edge.start, max_s=max_s)
            away = at - edge.window.stop if edge is span.opening else edge.start - at
            shift += lags[number] * np.clip(1.0 - away / glide, 0.0, 1.0)
    audio = read_at(source, _positions(at, found) + shift * SAMPLE_RATE_HZ + ahead)
    if span.loops and not goes_round:
        start = audio[:, : _END_FADE_FRAMES if _ends_early(new_stem, found) else _WRAP_FRAMES]
        beyond = read(span.stop, span.stop + start.shape[1])
        fade = crossfade(beyond, start)
        start[:] = fade.out_gain * beyond + fade.in_gain * start
    return Moved(audio=audio, opening_lag_s=lags[0], closing_lag_s=lags[1])


def join(moved: Moved, old: NDArray[np.float32], span: Span) -> tuple[Joint, tuple[Seam, ...]]:
    """The moved stem faded into ``old`` ``(C, T)`` at each seam."""
    added = moved.audio.copy()
    kept = np.zeros_like(added)
    seams = []
    for edge, lag_s in ((span.opening, moved.opening_lag_s), (span.closing, moved.closing_lag_s)):
        if edge is None:
            continue
        window = slice(edge.start - span.start, edge.start - span.start + edge.frames)
        before = np.asarray(old[:, edge.window], dtype=np.float64)
        after = added[:, window].copy()
        opens = edge is span.opening
        out, into = (before, after) if opens else (after, before)
        fade = crossfade(out, into)
        error_db = level_error_db(out, into, fade)
        kept[:, window] = before * (fade.out_gain if opens else fade.in_gain)
        added[:, window] *= fade.in_gain if opens else fade.out_gain
        seams.append(
            Seam(
                bar=edge.bar,
                from_s=round(edge.start / SAMPLE_RATE_HZ, 6),
                to_s=round(edge.window.stop / SAMPLE_RATE_HZ, 6),
                lag_ms=round(1e3 * lag_s, 2),
                correlation=None if fade.rho is None else round(fade.rho, 3),
                level_error_db=None if error_db is None else round(error_db, 2),
            )
        )
    return Joint(start=span.start, kept=kept, added=added), tuple(seams)


def _positions(samples: NDArray[np.float64], found: Estimate) -> NDArray[np.float64]:
    """Source positions for output positions ``samples``."""
    if found.drift == 0.0 and abs(found.offset_s) < MIN_OFFSET_S:
        return samples
    return found.in_mix(samples / SAMPLE_RATE_HZ) * SAMPLE_RATE_HZ


def _fade_out_end(stem: NDArray[np.float32], found: Estimate) -> NDArray[np.float32]:
    """If the source ends before the take, fade out its last 5 ms to avoid a click."""
    if not _ends_early(stem, found):
        return stem
    frames = stem.shape[1]
    ended = stem.copy()
    fade = min(_END_FADE_FRAMES, frames)
    ended[:, frames - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
    return ended


def _ends_early(stem: NDArray[np.float32], found: Estimate) -> bool:
    """Whether the source ends before the take."""
    frames = stem.shape[1]
    return bool(_positions(np.array([float(frames)]), found)[0] > frames)
