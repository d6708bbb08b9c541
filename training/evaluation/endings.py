"""How takes begin and end, and how much their loudness differs. Letters: ``T`` samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from render_service.composer.score import Score
from render_service.music.key import Key
from render_service.music.tempo_map import TempoMap
from render_service.renderers.latent_diffusion.stack import LatentDiffusion
from training.corpus.loudness import loudness_lufs
from training.evaluation.pitches import HOP, Pitches, pitches_of
from training.evaluation.section import Goal, Section, with_null
from training.evaluation.takes import Comparison, Waveform, delivered, mean_of, waveforms
from training.metrics import RATE_HZ, onsets_s

_ON_LINE_S = 0.05
_TAIL_S = 0.05
_TONIC_FROM_S, _TONIC_TO_S = 0.1, 1.0  # after the start of the final chord
_TOP = 3
_FLOOR_DB = -100.0
_SPREAD_TAKES = 16
_DELIVERED = "takes as delivered"


def endings(renderer: LatentDiffusion, comparisons: Sequence[Comparison]) -> Section:
    """Beginnings, endings and levels of true audio, upper bounds, noise, takes, and takes as a client gets them."""
    kinds = waveforms(comparisons)
    kinds[_DELIVERED] = [delivered(renderer, comparison) for comparison in comparisons]
    rows, spreads = [], {}
    for name, waves in kinds.items():
        found = [
            measure_ending(wave, one.song.score, one.song.tempo_map, one.song.key)
            for wave, one in zip(waves, comparisons, strict=True)
        ]
        spreads[name] = level_spread(waves[:_SPREAD_TAKES])
        rows.append((name, *_ending_cells(found), *_spread_cells(spreads[name])))
    return Section(
        title="Endings and levels",
        note=(
            "Shares of the songs with an ending; in brackets the null, the note a tritone from the tonic. Levels are medians. The"
            f" last row is after the bounce stage. Loudness is over the first {min(_SPREAD_TAKES, len(comparisons))} takes."
        ),
        head=(
            "",
            "last onset on a bar line",
            "tonic among the top three of the final chord",
            "last 50 ms / whole, dB",
            "first sample, dBFS",
            "loudness, LUFS",
            "deviation, LU",
            "range, LU",
        ),
        rows=rows,
        goals=(
            Goal(
                name="loudness range of delivered takes, LU",
                value=spreads[_DELIVERED].range_lu,
                target=1.5,
                at_most=True,
            ),
        ),
    )


def _ending_cells(found: Sequence[Ending]) -> tuple[str, ...]:
    return (
        f"{mean_of([one.on_bar_line for one in found]):.2f}",
        with_null(mean_of([one.on_tonic for one in found]), mean_of([one.on_wrong_tonic for one in found]), 2),
        f"{np.median([one.tail_db for one in found]):.1f}",
        f"{np.median([one.first_sample_dbfs for one in found]):.1f}",
    )


def _spread_cells(spread: LevelSpread) -> tuple[str, ...]:
    return f"{spread.mean_lufs:.1f}", f"{spread.deviation_lu:.2f}", f"{spread.range_lu:.2f}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a take begins and ends.

    ``on_bar_line``: 1 if the last onset lies within 50 ms of a bar line, else 0. ``on_tonic`` and ``on_wrong_tonic``: share of the
    final chord's frames, 0.1 to 1 s after its start, in which the tonic or the note a tritone away is one of the three most salient
    pitch classes. These are NaN where the score has no ending. ``tail_db``: level of the last 50 ms relative to the whole take;
    ``first_sample_dbfs``: the larger first sample of both channels, at least -100.
    """

    on_bar_line: float
    on_tonic: float
    on_wrong_tonic: float
    tail_db: float
    first_sample_dbfs: float


def measure_ending(take: Waveform, score: Score, tempo_map: TempoMap, key: Key) -> Ending:
    """Measure ``(2, T)``, a take of ``score``."""
    has_ending, pitches = score.ending_s is not None, pitches_of(take)
    return Ending(
        on_bar_line=last_onset_on_bar_line(take, tempo_map) if has_ending else float("nan"),
        on_tonic=_share_with(pitches, score, key.tonic),
        on_wrong_tonic=_share_with(pitches, score, key.tonic + 6),
        tail_db=tail_db(take),
        first_sample_dbfs=_decibels(float(np.abs(take[:, 0]).max())),
    )


def last_onset_on_bar_line(take: Waveform, tempo_map: TempoMap) -> float:
    """1 if the last onset of ``(2, T)`` lies within 50 ms of a bar line, else 0, also without onsets."""
    onsets = onsets_s(take)
    lines = np.asarray(tempo_map.bars_s(take.shape[1] / RATE_HZ + _ON_LINE_S))
    return float(len(onsets) > 0 and len(lines) > 0 and np.abs(lines - onsets[-1]).min() <= _ON_LINE_S)


def tail_db(take: Waveform) -> float:
    """Level of the last 50 ms of ``(2, T)`` relative to that of the whole; at least -100."""
    whole = float(np.square(take, dtype=np.float64).mean())
    tail = float(np.square(take[:, -round(_TAIL_S * RATE_HZ) :], dtype=np.float64).mean())
    return _decibels(np.sqrt(tail / max(whole, 1e-20)))


@dataclass(frozen=True, kw_only=True)
class LevelSpread:
    """Loudness of several takes: mean in LUFS; standard deviation and range in LU."""

    mean_lufs: float
    deviation_lu: float
    range_lu: float


def level_spread(takes: Sequence[Waveform]) -> LevelSpread:
    """Spread of the integrated loudness of takes ``(2, T)``; silent ones are left out, NaN if all are."""
    found = [loudness for loudness in map(loudness_lufs, takes) if loudness is not None]
    if not found:
        return LevelSpread(mean_lufs=float("nan"), deviation_lu=float("nan"), range_lu=float("nan"))
    return LevelSpread(
        mean_lufs=float(np.mean(found)), deviation_lu=float(np.std(found)), range_lu=max(found) - min(found)
    )


def _share_with(pitches: Pitches, score: Score, pitch: int) -> float:
    if score.ending_s is None:
        return float("nan")
    first, stop = (int(np.ceil((score.ending_s + after) * RATE_HZ / HOP)) for after in (_TONIC_FROM_S, _TONIC_TO_S))
    classes = pitches.classes[:, first:stop]
    if not classes.size:
        return float("nan")
    return float(((classes > classes[pitch % 12]).sum(axis=0) < _TOP).mean())


def _decibels(amplitude: float) -> float:
    return max(20.0 * float(np.log10(max(amplitude, 1e-20))), _FLOOR_DB)
