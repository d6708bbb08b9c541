"""Reads a tempo map from a file: proto-JSON of ``sonichaos.jobs.v1.TempoMap``, or a manifest.

A manifest names two of the fields differently.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from google.protobuf.json_format import ParseDict, ParseError

from sonichaos.jobs.v1.brief_pb2 import TempoMap

_MAX_BYTES = 1024 * 1024
_EXAMPLE = (
    '{"points": [{"startSeconds": 0, "bpm": 92, "beatsPerBar": 4, "beatUnit": 4}], '
    '"firstDownbeatSeconds": 0, "swingRatio": 0.5}'
)
_MANIFEST_NAMES = {"second": "startSeconds", "firstDownbeatSecond": "firstDownbeatSeconds"}


def read_tempo_map(path: Path) -> TempoMap:
    """The tempo map in a file. Raises click.BadParameter with an example."""
    if path.stat().st_size > _MAX_BYTES:
        raise _invalid(path, f"it is larger than {_MAX_BYTES} bytes")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # a lone surrogate is valid JSON, but not valid text
    except ValueError as error:
        raise _invalid(path, f"it is not valid JSON: {error}") from error
    except RecursionError as error:
        raise _invalid(path, "it is nested too deeply") from error
    if isinstance(document, dict) and "tempoMap" in document:
        document = document["tempoMap"]
    if not isinstance(document, dict):
        raise _invalid(path, "it is not a JSON object")
    try:
        tempo_map = ParseDict(_with_wire_names(document), TempoMap())
    except (ParseError, OverflowError) as error:
        raise _invalid(path, str(error)) from error
    if not tempo_map.points:
        raise _invalid(path, "it has no points")
    return tempo_map


def _with_wire_names(document: dict[str, Any]) -> dict[str, Any]:
    """The tempo map with the manifest's field names replaced by those of the protobuf message."""
    named = {_MANIFEST_NAMES.get(name, name): value for name, value in document.items()}
    points = named.get("points")
    if isinstance(points, list):
        named["points"] = [_with_wire_names(point) if isinstance(point, dict) else point for point in points]
    return named


def _invalid(path: Path, why: str) -> click.BadParameter:
    return click.BadParameter(
        f"{path} is not a tempo map: {why}. Expected, for example: {_EXAMPLE}", param_hint="'--tempo-map'"
    )
