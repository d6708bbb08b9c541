"""Timing of a re-rendered stem against the notes of its score.

Letters: ``T`` samples, ``N`` notes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from render_service.plan import Plan
from separation_service.alignment import Grid
from separation_service.alignment.limits import note_limits_for
from separation_service.alignment.onsets import OnsetDetector
from separation_service.alignment.report import Timing
from separation_service.alignment.timing import NOTE_END_S, StemNotes, judge, measure_notes, measure_timing
from servicekit.delivery.names import STEMS, StemName

Row = dict[str, Any]


def against_notes(plan: Plan, stem: str, *, old: NDArray[np.float32], new: NDArray[np.float32]) -> Row | None:
    """Timing of the old and the new stem ``(2, T)`` against the score's notes, with verdict and null; None without a score."""
    if plan.score is None:
        return None
    name = StemName(stem)
    seconds = plan.seconds
    expected = StemNotes(starts_s=np.array(plan.score.starts_s(name))).measurable_s(0.0, seconds)
    random = np.sort(np.random.default_rng(plan.seed).uniform(0.0, seconds - NOTE_END_S, expected.size))
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
    heard = OnsetDetector(audio)
    if stem == StemName.DRUMS:
        return measure_timing(heard.onsets, notes_s, grid)
    return measure_notes(heard, notes_s, grid)


def verdict_of(timing: Timing | None, stem: StemName) -> str:
    """The verdict by the limits for notes of the stem's kind."""
    verdict, _ = judge(timing, note_limits_for(stem))
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
