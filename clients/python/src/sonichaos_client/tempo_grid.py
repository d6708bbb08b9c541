"""Beats and bars of a manifest's ``tempoMap``. ``N`` is the number of times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAME_BEAT = 1e-6
_MIN_BAR_S = 0.02  # a bar cut shorter than this by a change of metre is dropped, as in render_service


@dataclass(frozen=True, kw_only=True, eq=False)
class TempoGrid:
    """Seconds ``(N,)`` from the first sample: every beat, the first of each bar, and every quarter of a beat with swing."""

    beats_s: NDArray[np.float64]
    bars_s: NDArray[np.float64]
    subdivisions_s: NDArray[np.float64]


def tempo_grid(tempo_map: Mapping[str, Any], seconds: float) -> TempoGrid:
    """The grid of a take of ``seconds``. The tempo is constant between points; a change of metre starts a bar."""
    points = tempo_map["points"]
    starts = np.array([point["second"] for point in points], dtype=np.float64)
    rates = np.array([point["bpm"] / 60.0 for point in points], dtype=np.float64)
    beats_at = np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])])
    first = int(np.searchsorted(starts, tempo_map["firstDownbeatSecond"], side="right")) - 1
    beats_at -= beats_at[first] + (tempo_map["firstDownbeatSecond"] - starts[first]) * rates[first]

    def seconds_at(beats: NDArray[np.float64]) -> NDArray[np.float64]:
        at = np.maximum(np.searchsorted(beats_at, beats, side="right") - 1, 0)
        result: NDArray[np.float64] = starts[at] + (beats - beats_at[at]) / rates[at]
        return result

    end = max(int(np.searchsorted(starts, seconds, side="right")) - 1, 0)
    last = float(beats_at[end] + (seconds - starts[end]) * rates[end])
    quarters = np.arange(np.ceil(4.0 * beats_at[0] - _SAME_BEAT), np.ceil(4.0 * last - _SAME_BEAT)) / 4.0
    beats = quarters[np.mod(quarters, 1.0) == 0.0]
    swing, part = tempo_map["swingRatio"], np.mod(quarters, 1.0)
    swung = np.floor(quarters) + np.where(part < 0.5, 2.0 * swing * part, swing + 2.0 * (1.0 - swing) * (part - 0.5))
    return TempoGrid(
        beats_s=seconds_at(beats),
        bars_s=seconds_at(_downbeats(points, beats_at, last)),
        subdivisions_s=seconds_at(swung),
    )


def _downbeats(points: list[Mapping[str, Any]], beats_at: NDArray[np.float64], last: float) -> NDArray[np.float64]:
    """Beat positions at which bars start, from 0."""
    starts: list[float] = []
    at = 0.0
    for index, point in enumerate(points):
        follows = index + 1 < len(points)
        end = min(float(beats_at[index + 1]), last) if follows else last
        if index and _cuts(points, beats_at, index):
            at = float(beats_at[index])
        cut_short = follows and _cuts(points, beats_at, index + 1)
        min_beats = _MIN_BAR_S * point["bpm"] / 60.0 if cut_short else _SAME_BEAT
        while at < end - min_beats:
            starts.append(at)
            at += point["beatsPerBar"]
    return np.array(starts)


def _cuts(points: list[Mapping[str, Any]], beats_at: NDArray[np.float64], index: int) -> bool:
    """Whether a point changes the metre within a bar."""
    return bool(points[index]["beatsPerBar"] != points[index - 1]["beatsPerBar"] and beats_at[index] > 0.0)
