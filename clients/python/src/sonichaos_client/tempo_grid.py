"""Beats and bars of a manifest's ``tempoMap``. Letters: ``N`` times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SAME_BEAT = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class TempoGrid:
    """Seconds ``(N,)`` from the first sample: of every beat, of each bar's first, and of every quarter of a beat, swung."""

    beats_s: NDArray[np.float64]
    bars_s: NDArray[np.float64]
    subdivisions_s: NDArray[np.float64]


def tempo_grid(tempo_map: Mapping[str, Any], seconds: float) -> TempoGrid:
    """The grid of a take of ``seconds``. Tempo is constant between points; a change of metre begins a bar."""
    points = tempo_map["points"]
    starts = np.array([point["second"] for point in points], dtype=np.float64)
    rates = np.array([point["bpm"] / 60.0 for point in points], dtype=np.float64)
    beats_at = np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])])
    first = int(np.searchsorted(starts, tempo_map["firstDownbeatSecond"], side="right")) - 1
    beats_at -= beats_at[first] + (tempo_map["firstDownbeatSecond"] - starts[first]) * rates[first]

    def second_of(beats: NDArray[np.float64]) -> NDArray[np.float64]:
        at = np.maximum(np.searchsorted(beats_at, beats, side="right") - 1, 0)
        seconds_of: NDArray[np.float64] = starts[at] + (beats - beats_at[at]) / rates[at]
        return seconds_of

    last = beats_at[-1] + (seconds - starts[-1]) * rates[-1]
    quarters = np.arange(np.ceil(4.0 * beats_at[0] - _SAME_BEAT), np.ceil(4.0 * last - _SAME_BEAT)) / 4.0
    beats = quarters[np.mod(quarters, 1.0) == 0.0]
    swing, part = tempo_map["swingRatio"], np.mod(quarters, 1.0)
    swung = np.floor(quarters) + np.where(part < 0.5, 2.0 * swing * part, swing + 2.0 * (1.0 - swing) * (part - 0.5))
    return TempoGrid(
        beats_s=second_of(beats), bars_s=second_of(_downbeats(points, beats_at, last)), subdivisions_s=second_of(swung)
    )


def _downbeats(points: list[Mapping[str, Any]], beats_at: NDArray[np.float64], last: float) -> NDArray[np.float64]:
    """Beat positions at which bars begin, from 0 on."""
    found: list[float] = []
    at, ends = 0.0, [*beats_at[1:], last]
    for index, (point, end) in enumerate(zip(points, ends, strict=True)):
        metre = point["beatsPerBar"]
        changed = index > 0 and metre != points[index - 1]["beatsPerBar"] and beats_at[index] > 0.0
        if changed:
            at = float(beats_at[index])
        while at < end - _SAME_BEAT:
            found.append(at)
            at += metre
    return np.array(found)
