"""Tempo maps and keys of requests, and what a prompt says about them, read as the services read them."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import Any

from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.tempo_grid import tempo_grid

_MAX_POINTS = 512
_MAX_START_S = 86400.0
_BPM_RANGE = (30.0, 300.0)
_BEAT_UNITS = (1, 2, 4, 8, 16)
_MAX_BEATS_PER_BAR = 16
_MAX_FIRST_DOWNBEAT_S = 60.0
_SWING_RANGE = (0.5, 0.75)
_KEY = re.compile(r"\s*([A-Ga-g])([#b♯♭]?)\s*(major|minor|maj|min|m)?\s*")
_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_PROMPT_BPM = re.compile(r"\b(\d{2,3}(?:\.\d+)?)\s*(?:bpm|beats per minute)\b", re.IGNORECASE)
_PROMPT_KEY = re.compile(r"\b(?:in|key of)\s+([A-Ga-g](?:#|b|♯|♭| sharp| flat)?)[\s-]*(major|minor)\b", re.IGNORECASE)
_ARTICLE = re.compile(r"[\s-]+(?:key|mode|mood|scale|tonality)\b")
_INSTRUMENTAL = re.compile(
    r"\b(?:instrumental|no (?:vocals?|voices?|singing)|without (?:vocals?|voices?|singing))\b", re.IGNORECASE
)
# Longer phrases first: "very slow" is not "slow", "mid-tempo" is not "tempo". Ranges in beats a minute.
_TEMPO_WORDS = (
    (r"mid[\s-]?tempo|moderate|medium pace|walking pace|steady mid tempo", (88.0, 110.0)),
    (r"down[\s-]?tempo|slow|unhurried|in no hurry|ballad", (62.0, 84.0)),
    (r"up[\s-]?tempo|upbeat|danceable|lively|brisk", (114.0, 134.0)),
    (r"fast|racing|rapid|breakneck", (138.0, 170.0)),
)


class _TempoError(Exception):
    """A tempo map that cannot be played; ``field`` is the path of the invalid part."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def constant(bpm: float) -> brief_pb2.TempoMap:
    """One tempo throughout, in 4/4."""
    point = brief_pb2.TempoPoint(bpm=bpm, beats_per_bar=4, beat_unit=4)
    return brief_pb2.TempoMap(points=[point], swing_ratio=_SWING_RANGE[0])


def read_tempo(
    message: brief_pb2.Brief | render_pb2.RerenderStemRequest, found: list[FieldViolation], *, root: str
) -> brief_pb2.TempoMap | None:
    """The requested tempo with its defaults filled in. None where it is not set or wrong; what is wrong is added to ``found``."""
    given = message.WhichOneof("tempo")
    try:
        if given == "bpm":
            return _checked(constant(message.bpm))
        if given == "tempo_map":
            return _checked(_filled(message.tempo_map))
    except _TempoError as error:
        path = "bpm" if given == "bpm" else f"tempo_map.{error.field}"
        found.append(FieldViolation(f"{root}{path}", str(error)))
    return None


def _filled(given: brief_pb2.TempoMap) -> brief_pb2.TempoMap:
    for index, point in enumerate(given.points):
        if point.start_seconds > _MAX_START_S:
            text = f"must be at most {_MAX_START_S:g}, got {point.start_seconds:g}"
            raise _TempoError(f"points[{index}].start_seconds", text)
    filled = brief_pb2.TempoMap()
    filled.CopyFrom(given)
    filled.swing_ratio = given.swing_ratio or _SWING_RANGE[0]
    for point in filled.points:
        point.beats_per_bar = point.beats_per_bar or 4
        point.beat_unit = point.beat_unit or 4
    return filled


def _checked(tempo_map: brief_pb2.TempoMap) -> brief_pb2.TempoMap:
    points = tempo_map.points
    if not 1 <= len(points) <= _MAX_POINTS:
        raise _TempoError("points", f"must be 1 to {_MAX_POINTS} points, got {len(points)}")
    if points[0].start_seconds != 0.0:
        text = f"must be 0 for the first point, got {points[0].start_seconds}"
        raise _TempoError("points[0].start_seconds", text)
    for index, point in enumerate(points):
        _check_point(f"points[{index}]", point)
    for index, (a, b) in enumerate(pairwise(points)):
        if not b.start_seconds > a.start_seconds:
            text = f"must be above {a.start_seconds}, got {b.start_seconds}"
            raise _TempoError(f"points[{index + 1}].start_seconds", text)
    first_s = tempo_map.first_downbeat_seconds
    if not 0.0 <= first_s <= _MAX_FIRST_DOWNBEAT_S:
        raise _TempoError("first_downbeat_seconds", f"must be 0 to 60 s, got {first_s}")
    low, high = _SWING_RANGE
    if not low <= tempo_map.swing_ratio <= high:
        raise _TempoError("swing_ratio", f"must be {low} to {high}, got {tempo_map.swing_ratio}")
    return tempo_map


def _check_point(path: str, point: brief_pb2.TempoPoint) -> None:
    low, high = _BPM_RANGE
    if not (math.isfinite(point.start_seconds) and point.start_seconds >= 0.0):
        raise _TempoError(f"{path}.start_seconds", f"must be 0 or more, got {point.start_seconds}")
    if not low <= point.bpm <= high:
        raise _TempoError(f"{path}.bpm", f"must be {low:g} to {high:g}, got {point.bpm}")
    if not 1 <= point.beats_per_bar <= _MAX_BEATS_PER_BAR:
        raise _TempoError(f"{path}.beats_per_bar", f"must be 1 to {_MAX_BEATS_PER_BAR}, got {point.beats_per_bar}")
    if point.beat_unit not in _BEAT_UNITS:
        raise _TempoError(
            f"{path}.beat_unit", f"must be one of {', '.join(map(str, _BEAT_UNITS))}, got {point.beat_unit}"
        )


def tempo_map_json(tempo_map: brief_pb2.TempoMap) -> dict[str, Any]:
    """As in the manifest."""
    return {
        "points": [
            {
                "second": point.start_seconds,
                "bpm": point.bpm,
                "beatsPerBar": point.beats_per_bar,
                "beatUnit": point.beat_unit,
            }
            for point in tempo_map.points
        ],
        "firstDownbeatSecond": tempo_map.first_downbeat_seconds,
        "swingRatio": tempo_map.swing_ratio,
    }


def bars_s(tempo_map: brief_pb2.TempoMap, seconds: float) -> list[float]:
    """Seconds of every downbeat before ``seconds``."""
    bars: list[float] = tempo_grid(tempo_map_json(tempo_map), seconds).bars_s.tolist()
    return [bar for bar in bars if 0.0 <= bar < seconds]


def read_key(text: str, found: list[FieldViolation], *, root: str) -> str:
    """The requested key in its usual spelling, such as "A minor"; empty where it is not set or wrong."""
    match = _KEY.fullmatch(text)
    if not text:
        return ""
    if match is None:
        problem = f'must be a tonic and a mode such as "A minor" or "Eb major", got {text!r}'
        found.append(FieldViolation(f"{root}key", problem))
        return ""
    return _key(*match.groups())


def _key(letter: str, accidental: str, mode: str | None) -> str:
    tonic = letter.upper() + accidental.replace("♯", "#").replace("♭", "b")
    return f"{tonic} {'minor' if mode in {'minor', 'min', 'm'} else 'major'}"


def drawn_key(share: float) -> str:
    """A key by a number from 0 to 1."""
    number = int(share * 2 * len(_TONICS)) % (2 * len(_TONICS))
    return f"{_TONICS[number // 2]} {'minor' if number % 2 else 'major'}"


def prompt_tempo(prompt: str) -> tuple[float, float, str] | None:
    """The lowest and the highest tempo that a prompt means, and its words for it; None where it says nothing."""
    low, high = _BPM_RANGE
    number = _PROMPT_BPM.search(prompt)
    if number and low <= float(number.group(1)) <= high:
        return float(number.group(1)), float(number.group(1)), number.group()
    for words, (slow, fast) in _TEMPO_WORDS:
        if found := re.search(rf"\b(?:{words})\b", prompt, re.IGNORECASE):
            return slow, fast, found.group()
    return None


def prompt_bpm(prompt: str, share: float) -> float | None:
    """The tempo that a prompt names or, of the range that its words mean, the one at ``share``; None where it says nothing."""
    tempo = prompt_tempo(prompt)
    if tempo is None:
        return None
    slow, fast, _ = tempo
    return slow if slow == fast else float(round(slow + share * (fast - slow)))


def prompt_key(prompt: str) -> str:
    """The key that a prompt names; empty where it names none."""
    named = _PROMPT_KEY.search(prompt)
    if named is None or (named.group(1) == "a" and _ARTICLE.match(prompt[named.end() :])):
        return ""
    tonic = re.sub(r"\s*sharp", "#", re.sub(r"\s*flat", "b", named.group(1), flags=re.IGNORECASE), flags=re.IGNORECASE)
    return _key(tonic[0], tonic[1:], named.group(2).lower())


def is_instrumental(prompt: str) -> bool:
    """Whether a prompt asks for no voice."""
    return _INSTRUMENTAL.search(prompt) is not None
