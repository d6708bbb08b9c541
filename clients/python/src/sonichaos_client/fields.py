"""Request fields as keyword arguments: which there are, and the protobuf messages made of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias, TypedDict, TypeVar

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sonichaos.jobs.v1.brief_pb2 import Licence, Score, TempoMap
from sonichaos_client.enums import StemMode

M = TypeVar("M", bound=Message)
StrPath: TypeAlias = str | os.PathLike[str]
"""The path of a local file or folder."""


class BriefFields(TypedDict, total=False):
    """The fields of a `Brief`. Prompt and persona id are required; what is left out or None is chosen by the service."""

    prompt: str
    persona_id: str
    seed: int | None
    seconds: float | None
    bpm: float | None  # or tempo_map
    tempo_map: TempoMap | None
    key: str | None  # such as "A minor"
    instrumental: bool
    lyrics: str | None
    loop: bool  # whole bars, the end leads into the start
    target_lufs: float | None  # -30 to -9; default -16
    score: Score | None  # Score(midi=...) or Score(chords="Am F C G"); default: composed
    stems: bool
    stem_mode: StemMode | None
    labels: Mapping[str, str] | None
    licence: Licence | None
    expire_time: datetime | None  # the job fails unless done by then; naive is UTC


class RerenderFields(TypedDict, total=False):
    """What to change in a re-render. At least one of persona id, prompt and seed is required."""

    persona_id: str | None
    prompt: str | None
    seed: int | None
    base_version: int | None  # default: the newest that is done and has stems
    from_noise: bool
    strength: float | None
    from_bar: int | None  # with to_bar; both included, bar 1 begins at the first downbeat
    to_bar: int | None
    allow_drift: bool
    new_part: bool  # compose the stem's notes anew
    bpm: float | None  # tempo and key of an upload, which has none of its own
    tempo_map: TempoMap | None
    key: str | None
    priority: int  # -100 to 100, the highest first among the tenant's waiting versions


class SeparationFields(TypedDict, total=False):
    """What to attach to a separation."""

    stem_mode: StemMode | None
    labels: Mapping[str, str] | None
    licence: Licence | None
    expire_time: datetime | None
    priority: int  # as in RerenderFields
    resample: bool  # convert a recording that does not have 44.1 kHz


class AnalysisFields(TypedDict, total=False):
    """What is known about a recording before it is analysed."""

    min_bpm: float | None
    max_bpm: float | None
    beats_per_bar: int | None
    resample: bool  # as in SeparationFields


def new_request_id() -> str:
    """An id for a request that its caller gave none, so that repeating the call creates nothing twice."""
    return uuid.uuid4().hex


def message_of(kind: type[M], fields: Mapping[str, Any], *, allowed: type) -> M:
    """A message of type ``kind`` with the given fields; None leaves a field unset.

    Raises TypeError for a name that the TypedDict ``allowed`` does not have.
    """
    unknown = fields.keys() - allowed.__annotations__.keys()
    if unknown:
        names = ", ".join(sorted(allowed.__annotations__))
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}; {kind.__name__} accepts {names}")
    return kind(**{name: _protobuf_value(value) for name, value in fields.items() if value is not None})


def _protobuf_value(value: object) -> object:
    if isinstance(value, datetime):
        stamp = Timestamp()
        stamp.FromDatetime(value)
        return stamp
    return value
