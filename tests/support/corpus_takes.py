"""Corpus songs as takes whose grid is known to the sample, and ways to spoil their timing by known amounts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from render_service.music.tempo_map import TempoMap, TempoPoint
from separation_service.alignment import BarRange, Grid, Key
from separation_service.alignment.resample import read_at
from separation_service.alignment.timing import StemNotes
from separation_service.rerender.target import AlignmentTarget, BaseTake
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ, to_pcm24
from servicekit.delivery.names import STEMS, StemName
from training.corpus.builtin_personas import personas
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import Song, perform
from training.corpus.soundfont import DEFAULT_SOUNDFONT

Waveform = NDArray[np.float32]

needs_soundfont = pytest.mark.skipif(not DEFAULT_SOUNDFONT.is_file(), reason="needs Debian package fluid-soundfont-gm")
SECONDS = 9.0
STRAIGHT = TempoMap.constant(118.0)
WINDING = TempoMap(
    points=(TempoPoint(start_s=0.0, bpm=96.0), TempoPoint(start_s=5.7, bpm=124.0)), first_downbeat_s=0.7, swing=0.62
)
"""A pickup, a change of tempo at a bar line, swing."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A take, and the same notes by another persona: a re-render that keeps perfect time."""

    grid: Grid
    key: Key
    original: Song
    other: Song

    def base(self, stem: StemName) -> BaseTake:
        """The original, as its ZIP has it."""
        stems = np.stack([to_pcm24(self.original.stems[kind], stage="TEST") for kind in STEMS])
        return BaseTake(bounce=to_pcm24(self.original.mix, stage="TEST"), stems=stems, stem=stem)

    def notes(self, stem: StemName, *, new_part: bool = False) -> StemNotes:
        """What a stem plays, in the take and in the re-render."""
        starts_s = sorted(event.start_s for event in self.original.score.events if event.stem == stem)
        return StemNotes(starts_s=np.array(starts_s), new_part=new_part)

    def target(
        self,
        base: BaseTake,
        region: BarRange | None = None,
        *,
        allow_drift: bool = False,
        match_mix: bool = False,
        notes: StemNotes | None = None,
    ) -> AlignmentTarget:
        """``base`` on the original's grid, within a render's true-peak limit."""
        return AlignmentTarget(
            base=base,
            grid=self.grid,
            key=self.key,
            region=region,
            allow_drift=allow_drift,
            match_mix=match_mix,
            max_true_peak_dbtp=-1.0,
            notes=notes,
        )


def grid_of(tempo_map: TempoMap, seconds: float) -> Grid:
    """As render_service's side fills it."""
    return Grid(
        seconds=seconds,
        beats_s=tempo_map.beats_s(seconds),
        downbeats_s=tempo_map.bars_s(seconds),
        subdivisions_s=tempo_map.grid_s(seconds),
    )


def steady_grid(seconds: float) -> Grid:
    """120 bpm in four."""
    beats = np.arange(0.0, seconds, 0.5)
    return Grid(seconds=seconds, beats_s=beats, downbeats_s=beats[::4], subdivisions_s=np.arange(0.0, seconds, 0.125))


@cache
def pair(name: str) -> Pair:
    """The pair on the "straight" or the "winding" tempo map."""
    tempo_map = {"straight": STRAIGHT, "winding": WINDING}[name]
    seed = HELD_OUT_SEEDS[{"straight": 704, "winding": 707}[name]]  # without an ending: strokes throughout
    score = compose(seed, seconds=SECONDS, persona=personas()[0], tempo_map=tempo_map, instrumental=False)
    return Pair(
        grid=grid_of(tempo_map, SECONDS),
        key=Key.named(str(score.key)),
        original=perform(score),
        other=perform(replace(score, persona=personas()[5])),
    )


def spoiled(waveform: Waveform, *, offset_s: float = 0.0, drift: float = 0.0, jitter_s: float = 0.0) -> Waveform:
    """What lay at ``t`` lies at ``t + offset + drift * t``, give or take a wander of each second by ``jitter_s``."""
    if offset_s == drift == jitter_s == 0.0:
        return waveform.copy()
    at_s = np.arange(waveform.shape[1]) / SAMPLE_RATE_HZ
    knots = np.arange(0.0, at_s[-1] + 2.0)
    wander = jitter_s * np.random.default_rng(7).uniform(-1.0, 1.0, knots.size)
    source_s = (at_s - offset_s) / (1.0 + drift) - np.interp(at_s, knots, wander)
    return read_at(waveform, source_s * SAMPLE_RATE_HZ).astype(np.float32)


def lag_ms(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """How much later ``one`` ``(T,)`` sounds than ``other`` ``(T,)``, the same sound at whatever level, by correlation."""
    size = 1 << (2 * one.size - 1).bit_length()
    likeness = np.fft.irfft(np.fft.rfft(one, size) * np.conj(np.fft.rfft(other, size)), size)
    lag = int(likeness.argmax())
    return 1e3 * (lag - size if lag > size // 2 else lag) / SAMPLE_RATE_HZ
