"""How right the analysis of unknown audio is, on corpus songs whose tempo map and key are known: ``python -m benchmarks.analysis``.

Held-out seeds, mixes as they are. A tempo is right within 2 % of the map's longest span; "octave" also counts twice, half, three
times, a third, 3/2 and 2/3 of it. Beats: F-measure within 70 ms. Downbeats: of songs whose tempo is right, those whose downbeats
are (most of them within 70 ms). Key: MIREX score, 1 exact, .5 a fifth off, .3 relative, .2 parallel.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray

from render_service.music.tempo_map import TempoMap, TempoPoint
from separation_service.alignment import Analysis, Hints, Key, analyze
from separation_service.alignment.grid import nearest
from training.corpus.compose import HELD_OUT_SEEDS, compose
from training.corpus.song import perform

WITHIN = 0.02
OCTAVES = (1.0, 2.0, 0.5, 3.0, 1.0 / 3.0, 1.5, 2.0 / 3.0)
NEAR_S = 0.07


def main() -> None:
    """Print a line a song and the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--first", type=int, default=4000, help="counted from the first held-out seed")
    wanted = parser.parse_args()
    rows = []
    print("song   asked           heard           sure   octave  beats F  down  key")
    for index in range(wanted.first, wanted.first + wanted.songs):
        score = compose(HELD_OUT_SEEDS[index], seconds=wanted.seconds)
        mix = perform(score).mix
        began_s = time.perf_counter()
        found = analyze(mix)
        took_s = time.perf_counter() - began_s
        bpm = longest_bpm(score.tempo_map, wanted.seconds)
        hinted = analyze(mix, Hints(bpm_range=(bpm / 1.35, bpm * 1.35)))
        row = judged(found, hinted, score.tempo_map, Key.named(str(score.key)), wanted.seconds) | {"took_s": took_s}
        rows.append(row)
        heard = f"{row['bpm']:6.1f} {found.key}"
        print(
            f"{index:5d}  {bpm:6.1f} {score.key!s:9s}{heard:>17s}  {found.tempo_confidence:5.2f}  "
            f"{row['octave']:6.0f}  {row['beats']:7.2f}  {row['down']:4.0f}  {row['key']:.1f}"
        )
    summary(rows)


def summary(rows: list[dict[str, float]]) -> None:
    """The shares over all songs, and how the confidence goes with them."""
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    right = table["tempo"] > 0
    print(f"\ntempo within 2 %: {right.mean():.2f}, octaves forgiven {table['octave'].mean():.2f}, ", end="")
    print(f"with a range of bpm from the caller {table['hinted'].mean():.2f}")
    print(f"beats F: {table['beats'].mean():.2f}, where the tempo is right {table['beats'][right].mean():.2f}")
    print(f"downbeats, where the tempo is right: {table['down'][right].mean():.2f}")
    print(f"key exact: {(table['key'] == 1.0).mean():.2f}, MIREX score {table['key'].mean():.2f}")
    for name, hit, sure in (("tempo", right, table["sure"]), ("key", table["key"] == 1.0, table["key_sure"])):
        high = sure >= np.median(sure)
        print(f"{name} right in the surer half: {hit[high].mean():.2f}, in the other: {hit[~high].mean():.2f}")
    print(f"seconds of work a song: median {np.median(table['took_s']):.1f}")


def judged(found: Analysis, hinted: Analysis, truth: TempoMap, key: Key, seconds: float) -> dict[str, float]:
    """Scores of one song."""
    bpm = longest_bpm(truth, seconds)
    heard_map = as_map(found)
    heard = longest_bpm(heard_map, seconds) if heard_map else 0.0
    hinted_map = as_map(hinted)
    hinted_bpm = longest_bpm(hinted_map, seconds) if hinted_map else 0.0
    beats = f_measure(heard_map.beats_s(seconds), truth.beats_s(seconds)) if heard_map else 0.0
    down = f_measure(heard_map.bars_s(seconds), truth.bars_s(seconds)) if heard_map else 0.0
    return {
        "bpm": heard,
        "tempo": float(abs(heard / bpm - 1.0) < WITHIN),
        "octave": float(any(abs(heard / bpm / octave - 1.0) < WITHIN for octave in OCTAVES)),
        "hinted": float(abs(hinted_bpm / bpm - 1.0) < WITHIN),
        "beats": beats,
        "down": float(down > 0.5),
        "key": mirex(found.key, key),
        "sure": found.tempo_confidence,
        "key_sure": found.key_confidence,
    }


def as_map(found: Analysis) -> TempoMap | None:
    """What a caller would send to have it re-rendered."""
    if not found.tempo:
        return None
    points = tuple(TempoPoint(start_s=s.start_s, bpm=s.bpm, beats_per_bar=s.beats_per_bar) for s in found.tempo)
    return TempoMap(points=points, first_downbeat_s=found.first_downbeat_s, swing=found.swing)


def longest_bpm(tempo_map: TempoMap, seconds: float) -> float:
    """The tempo that most of the song has."""
    bpms, counts = np.unique(tempo_map.bpm_at(np.arange(0.0, seconds, 0.1)), return_counts=True)
    return float(bpms[counts.argmax()])


def f_measure(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Of beats within 70 ms."""
    if found.size == 0 or truth.size == 0:
        return 0.0
    hits = float((np.abs(found[nearest(found, truth)] - truth) < NEAR_S).sum())
    return 2.0 * hits / (found.size + truth.size)


def mirex(found: Key | None, truth: Key) -> float:
    """The score of MIREX's key task."""
    if found is None:
        return 0.0
    apart = (found.tonic - truth.tonic) % 12
    if found.minor == truth.minor:
        return {0: 1.0, 5: 0.5, 7: 0.5}.get(apart, 0.0)
    relative = 3 if truth.minor else 9
    return {relative: 0.3, 0: 0.2}.get(apart, 0.0)


if __name__ == "__main__":
    main()
