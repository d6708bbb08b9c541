"""Accuracy of the alignment on corpus songs with known event times: ``python -m benchmarks.alignment``.

Each held-out seed has two re-renders on the same tempo map, both by another persona: the same notes, and other notes. They
are shifted, drifted and jittered by known amounts. Tables: the largest error of the estimated time map in a take; the timing of
each true stem and how many are within their limits, next to a null of as many random onsets.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from render_service.music.tempo_map import TempoMap
from separation_service.alignment import Grid, limits_for
from separation_service.alignment.estimate import UNKNOWN, estimate
from separation_service.alignment.onsets import Onsets, find_onsets
from separation_service.alignment.resample import read_at
from separation_service.alignment.timing import judge, measure_timing
from servicekit.audio.pcm24 import SAMPLE_RATE_HZ
from servicekit.delivery.names import STEMS
from training.corpus.compose import HELD_OUT_SEEDS, compose, draw_persona
from training.corpus.song import Song, perform

Waveform = NDArray[np.float32]
DISTORTIONS = (
    ("as rendered", 0.0, 0.0, 0.0),
    ("+20 ms", 0.02, 0.0, 0.0),
    ("+20 ms and +0.3 %", 0.02, 0.003, 0.0),
    ("-35 ms and -0.2 %", -0.035, -0.002, 0.0),
    ("+20 ms and +0.3 %, each second off by up to 5 ms", 0.02, 0.003, 0.005),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A re-render before distortion, and its grid."""

    grid: Grid
    song: Song
    tempo_map: TempoMap


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--first", type=int, default=5000, help="counted from the first held-out seed")
    options = parser.parse_args()
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    figures: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    with_changes = 0
    for case in cases(range(options.first, options.first + options.songs), options.seconds):
        with_changes += len(case.tempo_map.points) > 1 or case.tempo_map.swing != 0.5
        measure_estimates(case, errors)
        measure_stems(case, verdicts, figures)
    print(f"{2 * options.songs} re-renders, {with_changes} of them with swing or a change of tempo or metre\n")
    print(
        f"{'largest error of the time map in a take, ms':66s}median   95 %    max   within 3 ms  within 8 ms  no estimate"
    )
    for (signal, name), found in errors.items():
        known = np.array([error for error in found if np.isfinite(error)])
        median, p95, largest = percentiles(known, 50.0, 95.0, 100.0)
        within = [(known < limit_ms).mean() if known.size else np.nan for limit_ms in (3.0, 8.0)]
        print(
            f"{f'{signal}, {name}':65s}{median:7.2f}{p95:7.2f}{largest:7.2f}"
            f"{within[0]:14.2f}{within[1]:13.2f}{len(found) - known.size:13d}"
        )
    print("\nstem     median of |median|, ms  MAD, ms  p95, ms  within limits  beyond  unmeasurable  null within")
    for kind in STEMS:
        medians, mads, p95s = np.array(figures[kind]).reshape(-1, 3).T
        shown = [percentiles(values, 50.0)[0] for values in (np.abs(medians), mads, p95s)]
        count, null = verdicts[kind], verdicts[f"null {kind}"]
        print(
            f"{kind:9s}{shown[0]:22.2f}{shown[1]:9.2f}{shown[2]:9.2f}{count['within']:15d}"
            f"{count['beyond']:8d}{count['unmeasurable']:14d}{null['within']:7d} of {null.total()}"
        )


def percentiles(values: NDArray[np.float64], *wanted: float) -> list[float]:
    """These percentiles of the values; NaN without values."""
    return [float(np.percentile(values, percent)) if values.size else float("nan") for percent in wanted]


def cases(numbers: range, seconds: float) -> Iterator[Case]:
    """Two cases per seed, both by another persona: the same notes, and other notes."""
    for number in numbers:
        seed = HELD_OUT_SEEDS[number]
        score = compose(seed, seconds=seconds)
        grid = Grid(
            seconds=seconds,
            beats_s=score.tempo_map.beats_s(seconds),
            downbeats_s=score.tempo_map.bars_s(seconds),
            subdivisions_s=score.tempo_map.grid_s(seconds),
        )
        other = compose(
            seed + 500_000,
            seconds=seconds,
            persona=draw_persona(seed + 700_000),
            tempo_map=score.tempo_map,
            key=score.key,
        )
        for notes in (replace(score, persona=draw_persona(seed + 600_000)), other):
            yield Case(grid=grid, song=perform(notes), tempo_map=score.tempo_map)


def measure_estimates(case: Case, errors: dict[tuple[str, str], list[float]]) -> None:
    """Append the error in ms for each distortion of the mix, with and without drums; infinite if there is no estimate."""
    tonal = case.song.mix - case.song.stems["drums"]
    for signal, sound, distortions in (("mix", case.song.mix, DISTORTIONS), ("without drums", tonal, DISTORTIONS[1:4])):
        mono = sound.mean(axis=0, keepdims=True)
        for name, offset_s, drift, jitter_s in distortions:
            found = estimate(find_onsets(distorted(mono, offset_s, drift, jitter_s)), case.grid)
            at_s = np.linspace(0.0, case.grid.seconds, 50)
            error_ms = 1e3 * np.abs(found.in_mix(at_s) - (at_s + offset_s + drift * at_s)).max()
            errors[signal, name].append(float("inf") if found == UNKNOWN else float(error_ms))


def distorted(sound: Waveform, offset_s: float, drift: float, jitter_s: float) -> Waveform:
    """Move what is at ``t`` to ``t + offset + drift * t``, plus a deviation of up to ``jitter_s``, random each second."""
    at_s = np.arange(sound.shape[1]) / SAMPLE_RATE_HZ
    knots = np.arange(0.0, at_s[-1] + 2.0)
    deviation = jitter_s * np.random.default_rng(7).uniform(-1.0, 1.0, knots.size)
    source_s = (at_s - offset_s) / (1.0 + drift) - np.interp(at_s, knots, deviation)
    return read_at(sound, source_s * SAMPLE_RATE_HZ).astype(np.float32)


def measure_stems(
    case: Case, verdicts: dict[str, Counter[str]], figures: dict[str, list[tuple[float, float, float]]]
) -> None:
    """Measure each stem that plays, and a null of as many onsets at random times, against the limits of its kind."""
    rng = np.random.default_rng(case.song.seed)
    for kind in STEMS:
        if not case.song.stems[kind].any():
            continue
        onsets = find_onsets(case.song.stems[kind])
        timing = measure_timing(onsets, case.grid.subdivisions_s, case.grid)
        verdicts[kind][judge(timing, limits_for(kind))[0]] += 1
        if timing is None:
            continue
        figures[kind].append((timing.median_ms, timing.mad_ms, timing.p95_ms))
        random_onsets = Onsets(
            times_s=np.sort(rng.uniform(0.0, case.grid.seconds, onsets.count)),
            strengths=onsets.strengths,
            sharpness=onsets.sharpness,
        )
        null = measure_timing(random_onsets, case.grid.subdivisions_s, case.grid)
        verdicts[f"null {kind}"][judge(null, limits_for(kind))[0]] += 1


if __name__ == "__main__":
    main()
