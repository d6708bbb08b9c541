"""Accuracy of the tempo and key analysis on corpus songs with known tempo map and key: ``python -m benchmarks.analysis``.

The mixes of held-out seeds. A tempo is right within 2 % of the tempo that most of the song has; "octave" also accepts 2, 1/2, 3,
1/3, 3/2 and 2/3 times that tempo. Beats: F-measure at 70 ms. Downbeats: right if their F-measure at 70 ms is above .5, counted over
songs whose tempo is right. Key: MIREX score, 1 exact, .5 a fifth off, .3 relative, .2 parallel.
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
    """Print a line per song, then the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--first", type=int, default=4000, help="counted from the first held-out seed")
    options = parser.parse_args()
    rows = []
    print("song   true            estimated       conf.  octave  beats F  down  key")
    for index in range(options.first, options.first + options.songs):
        score = compose(HELD_OUT_SEEDS[index], seconds=options.seconds)
        mix = perform(score).mix
        started_s = time.perf_counter()
        found = analyze(mix)
        elapsed_s = time.perf_counter() - started_s
        bpm = longest_bpm(score.tempo_map, options.seconds)
        hinted = analyze(mix, Hints(bpm_range=(bpm / 1.35, bpm * 1.35)))
        row = score_song(found, hinted, score.tempo_map, Key.named(str(score.key)), options.seconds) | {
            "elapsed_s": elapsed_s
        }
        rows.append(row)
        estimated = f"{row['bpm']:6.1f} {found.key}"
        print(
            f"{index:5d}  {bpm:6.1f} {score.key!s:9s}{estimated:>17s}  {found.tempo_confidence:5.2f}  "
            f"{row['octave']:6.0f}  {row['beats']:7.2f}  {row['down']:4.0f}  {row['key']:.1f}"
        )
    summary(rows)


def summary(rows: list[dict[str, float]]) -> None:
    """Print the shares over all songs, and for the halves with higher and lower confidence."""
    table = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    right = table["tempo"] > 0
    print(f"\ntempo within 2 %: {right.mean():.2f}, octave errors accepted {table['octave'].mean():.2f}, ", end="")
    print(f"with a bpm range from the caller {table['hinted'].mean():.2f}")
    print(f"beats' F-measure: {table['beats'].mean():.2f}, where the tempo is right {table['beats'][right].mean():.2f}")
    print(f"downbeats, where the tempo is right: {table['down'][right].mean():.2f}")
    print(f"key exact: {(table['key'] == 1.0).mean():.2f}, MIREX score {table['key'].mean():.2f}")
    confidences = (("tempo", right, table["confidence"]), ("key", table["key"] == 1.0, table["key_confidence"]))
    for name, hit, confidence in confidences:
        high = confidence >= np.median(confidence)
        print(f"{name} right in the more confident half: {hit[high].mean():.2f}, in the other: {hit[~high].mean():.2f}")
    print(f"seconds per song: median {np.median(table['elapsed_s']):.1f}")


def score_song(found: Analysis, hinted: Analysis, truth: TempoMap, key: Key, seconds: float) -> dict[str, float]:
    """Scores of one song, and of its analysis with a bpm range as a hint."""
    bpm = longest_bpm(truth, seconds)
    found_map = as_map(found)
    found_bpm = longest_bpm(found_map, seconds) if found_map else 0.0
    hinted_map = as_map(hinted)
    hinted_bpm = longest_bpm(hinted_map, seconds) if hinted_map else 0.0
    beats = f_measure(found_map.beats_s(seconds), truth.beats_s(seconds)) if found_map else 0.0
    down = f_measure(found_map.bars_s(seconds), truth.bars_s(seconds)) if found_map else 0.0
    return {
        "bpm": found_bpm,
        "tempo": float(abs(found_bpm / bpm - 1.0) < WITHIN),
        "octave": float(any(abs(found_bpm / bpm / octave - 1.0) < WITHIN for octave in OCTAVES)),
        "hinted": float(abs(hinted_bpm / bpm - 1.0) < WITHIN),
        "beats": beats,
        "down": float(down > 0.5),
        "key": mirex(found.key, key),
        "confidence": found.tempo_confidence,
        "key_confidence": found.key_confidence,
    }


def as_map(found: Analysis) -> TempoMap | None:
    """The estimated tempo map; ``None`` without an estimate."""
    if not found.tempo:
        return None
    points = tuple(TempoPoint(start_s=s.start_s, bpm=s.bpm, beats_per_bar=s.beats_per_bar) for s in found.tempo)
    return TempoMap(points=points, first_downbeat_s=found.first_downbeat_s, swing=found.swing)


def longest_bpm(tempo_map: TempoMap, seconds: float) -> float:
    """The tempo that most of the song has."""
    bpms, counts = np.unique(tempo_map.bpm_at(np.arange(0.0, seconds, 0.1)), return_counts=True)
    return float(bpms[counts.argmax()])


def f_measure(found: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """F-measure of beats, matched within 70 ms."""
    if found.size == 0 or truth.size == 0:
        return 0.0
    hits = float((np.abs(found[nearest(found, truth)] - truth) < NEAR_S).sum())
    return 2.0 * hits / (found.size + truth.size)


def mirex(found: Key | None, truth: Key) -> float:
    """The score of MIREX's key task."""
    if found is None:
        return 0.0
    interval = (found.tonic - truth.tonic) % 12
    if found.minor == truth.minor:
        return {0: 1.0, 5: 0.5, 7: 0.5}.get(interval, 0.0)
    relative = 3 if truth.minor else 9
    return {relative: 0.3, 0: 0.2}.get(interval, 0.0)


if __name__ == "__main__":
    main()
