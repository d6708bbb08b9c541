"""Timing of a re-rendered stem against the notes of its score.

Letters: ``T`` samples, ``N`` notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render_service.plan import Plan
from separation_service.alignment import Grid
from separation_service.alignment.limits import limits_for
from separation_service.alignment.onsets import find_onsets, find_onsets_at
from separation_service.alignment.report import Timing
from separation_service.alignment.timing import judge, measure_notes, measure_timing
from servicekit.delivery.names import STEMS, StemName

APART_S = 0.045
"""Notes of a stem that start closer together are one onset."""
MIN_NOTES = 6
_END_S = 0.1
Row = dict[str, Any]


def against_notes(plan: Plan, stem: str, *, old: NDArray[np.float32], new: NDArray[np.float32]) -> Row | None:
    """Timing of the old and the new stem ``(2, T)`` against the score's notes, with verdict and null; None without a score."""
    if plan.score is None:
        return None
    name = StemName(stem)
    expected = note_starts_s(plan, name)
    seconds = plan.seconds
    random = np.sort(np.random.default_rng(plan.seed).uniform(0.0, seconds - _END_S, expected.size))
    grid = Grid(
        seconds=seconds,
        beats_s=plan.tempo_map.beats_s(seconds),
        downbeats_s=plan.tempo_map.bars_s(seconds),
        subdivisions_s=plan.tempo_map.grid_s(seconds),
    )
    of_old, of_new, of_null = (
        _measure(audio, at_s, grid, name) for audio, at_s in ((old, expected), (new, expected), (new, random))
    )
    return {
        "asked": int(expected.size),
        "old": None if of_old is None else of_old.facts,
        "new": None if of_new is None else of_new.facts,
        "noteVerdict": verdict_of(of_new, name),
        "nullVerdict": verdict_of(of_null, name),
    }


def _measure(audio: NDArray[np.float32], notes_s: NDArray[np.float64], grid: Grid, stem: StemName) -> Timing | None:
    """Of drums every clear onset against the nearest note, of other stems the strongest rise at every note."""
    if stem == StemName.DRUMS:
        return measure_timing(find_onsets(audio), notes_s, grid)
    return measure_notes(find_onsets_at(audio, notes_s), notes_s, grid)


def note_starts_s(plan: Plan, stem: StemName) -> NDArray[np.float64]:
    """When the notes of a stem start ``(N,)``, ascending and at least 45 ms apart; not those in the last 0.1 s."""
    starts: list[float] = []
    for event in plan.score.events if plan.score is not None else ():
        near = starts and event.start_s - starts[-1] < APART_S
        if event.stem == stem and not near and event.start_s < plan.seconds - _END_S:
            starts.append(event.start_s)
    return np.array(starts)


def verdict_of(timing: Timing | None, stem: StemName) -> str:
    """The verdict by the limits of the stem's kind, from six notes on."""
    verdict, _ = judge(timing, replace(limits_for(stem), min_onsets=MIN_NOTES, must_be_measurable=False))
    return verdict


def notes_table(rows: Sequence[Row]) -> str:
    """One line per kind of stem: verdicts, the null's, and medians over the re-renders with the worst value in brackets."""
    columns = ["stem", "re-renders", "within limits", "beyond", "unmeasurable", "null within", "notes"]
    columns += ["found", "median, ms", "MAD, ms", "95th percentile, ms", "median minus the old stem's, ms"]
    lines = [f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for stem in STEMS:
        of_stem = [row for row in rows if row["stem"] == stem]
        verdicts = Counter(row["noteVerdict"] for row in of_stem)
        null = sum(row["nullVerdict"] == "within" for row in of_stem)
        timed = [row for row in of_stem if row["new"] is not None]
        moved = [row["new"]["medianMs"] - row["old"]["medianMs"] for row in timed if row["old"] is not None]
        counts = [len(of_stem), *(verdicts[verdict] for verdict in ("within", "beyond", "unmeasurable")), null]
        cells = [
            "-" if not of_stem else f"{np.median([row['asked'] for row in of_stem]):.0f}",
            median_and_worst([row["new"]["matched"] for row in timed], ".2f", smallest_is_worst=True),
            *(median_and_worst([row["new"][key] for row in timed], "+.1f") for key in ("medianMs", "madMs", "p95Ms")),
            median_and_worst(moved, "+.1f"),
        ]
        lines.append(f"| {' | '.join([stem, *map(str, counts), *cells])} |")
    return "\n".join(lines)


def median_and_worst(values: Sequence[float], form: str, *, smallest_is_worst: bool = False) -> str:
    """The median, and in brackets the value of the largest magnitude, or the smallest value; a dash without values."""
    if not values:
        return "-"
    worst = min(values) if smallest_is_worst else max(values, key=abs)
    return f"{np.median(values):{form}} ({worst:{form}})"
