"""A tempo map from a file: proto-JSON of ``sonichaos.jobs.v1.TempoMap``, or a manifest, whose names differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import ParseDict, ParseError

from sonichaos.jobs.v1.brief_pb2 import TempoMap

_MOST_BYTES = 1024 * 1024
_WANTED = (
    '{"points": [{"startSeconds": 0, "bpm": 92, "beatsPerBar": 4, "beatUnit": 4}], '
    '"firstDownbeatSeconds": 0, "swingRatio": 0.5}'
)
_MANIFEST_NAMES = {"second": "startSeconds", "firstDownbeatSecond": "firstDownbeatSeconds"}


def read_tempo_map(path: Path) -> TempoMap:
    """The tempo map of a file. Raises click.BadParameter saying what was wanted."""
    if path.stat().st_size > _MOST_BYTES:
        raise _unusable(path, f"it is larger than {_MOST_BYTES} bytes")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # half a surrogate pair is JSON, but no text
    except ValueError as error:
        raise _unusable(path, f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise _unusable(path, "it is nested too deeply") from error
    if isinstance(document, dict) and "tempoMap" in document:
        document = document["tempoMap"]
    if not isinstance(document, dict):
        raise _unusable(path, "it is not an object")
    try:
        tempo_map = ParseDict(_with_wire_names(document), TempoMap())
    except (ParseError, OverflowError) as error:
        raise _unusable(path, str(error)) from error
    if not tempo_map.points:
        raise _unusable(path, "it has no points")
    return tempo_map


def _with_wire_names(document: dict[str, Any]) -> dict[str, Any]:
    """The tempo map with the manifest's two names of its own replaced by those of the message."""
    named = {_MANIFEST_NAMES.get(name, name): value for name, value in document.items()}
    points = named.get("points")
    if isinstance(points, list):
        named["points"] = [_with_wire_names(point) if isinstance(point, dict) else point for point in points]
    return named


def _unusable(path: Path, why: str) -> click.BadParameter:
    return click.BadParameter(f"{path} holds no tempo map: {why}. Wanted: {_WANTED}", param_hint="--tempo-map")
