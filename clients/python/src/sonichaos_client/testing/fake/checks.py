"""Checks of the fields that several requests have. Each returns what is wrong, in the words of the services."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from sonichaos.jobs.v1 import brief_pb2
from sonichaos_client.errors import FieldViolation
from sonichaos_client.testing.fake.refusals import check, invalid

MAX_LABELS = 32
_MAX_PAGE = 200
_DEFAULT_PAGE = 50
_MAX_PRIORITY = 100
_MAX_LABEL_CHARACTERS = 256
_LICENCE_CHARACTERS = {"tier": 64, "licensee": 256, "terms": 2048}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{0,128}")
_LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_PERSONA_ID = re.compile(r"[a-z][a-z0-9-]{0,62}")
_SHOWN_CHARACTERS = 80
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
_MAX_DURATION_S = 315_576_000_000
_NANOS_PER_S = 1_000_000_000
_FLOATS = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)

Found = list[FieldViolation]


def page_size(asked: int) -> int:
    """Rows of a page: 50 where none are asked for. Raises INVALID_FIELD for more than 200."""
    if asked > _MAX_PAGE:
        raise invalid("page_size", f"must be at most {_MAX_PAGE}, got {asked}")
    return asked or _DEFAULT_PAGE


def check_text(text: str, field: str, *, max_characters: int) -> Found:
    """A text of at most ``max_characters`` without control characters other than tabs and line breaks."""
    if len(text) > max_characters:
        return [FieldViolation(field, f"must have at most {max_characters} characters, got {len(text)}")]
    if found := _CONTROL.search(text):
        return [FieldViolation(field, f"must not contain control characters, got {found.group()!r}")]
    return []


def check_request_id(request_id: str, field: str = "request_id") -> Found:
    """At most 128 printable ASCII characters without spaces; empty is none."""
    if _REQUEST_ID.fullmatch(request_id):
        return []
    text = f"must be at most 128 printable ASCII characters without spaces, got {request_id[:_SHOWN_CHARACTERS]!r}"
    return [FieldViolation(field, text)]


def check_priority(priority: int, field: str = "priority") -> Found:
    """From -100 to 100."""
    if abs(priority) <= _MAX_PRIORITY:
        return []
    return [FieldViolation(field, f"must be from -{_MAX_PRIORITY} to {_MAX_PRIORITY}, got {priority}")]


def check_labels(labels: Mapping[str, str], field: str) -> Found:
    """At most 32 labels with keys of 1 to 63 plain characters and values of at most 256."""
    found = []
    if len(labels) > MAX_LABELS:
        found.append(FieldViolation(field, f"must be at most {MAX_LABELS} labels, got {len(labels)}"))
    for key, value in list(labels.items())[:MAX_LABELS]:
        if not _LABEL_KEY.fullmatch(key):
            text = f"keys must be 1 to 63 letters, digits or ._/-, starting with a letter or digit, got {key[:_SHOWN_CHARACTERS]!r}"
            found.append(FieldViolation(field, text))
        else:
            found += check_text(value, f"{field}[{key}]", max_characters=_MAX_LABEL_CHARACTERS)
    return found


def check_licence(licence: brief_pb2.Licence, field: str) -> Found:
    """The lengths of the licence's texts."""
    return [
        violation
        for name, max_characters in _LICENCE_CHARACTERS.items()
        for violation in check_text(getattr(licence, name), f"{field}.{name}", max_characters=max_characters)
    ]


def check_coverage(licence: brief_pb2.Licence, field: str) -> Found:
    """A known coverage, or none."""
    if licence.covers in brief_pb2.LicenceCoverage.values():
        return []
    names = " or ".join(brief_pb2.LicenceCoverage.keys()[1:])
    return [FieldViolation(f"{field}.covers", f"must be {names}, got {licence.covers}")]


def check_stem_mode(value: int, field: str) -> Found:
    """A known stem mode, or none."""
    if value in brief_pb2.StemMode.values():
        return []
    names = " or ".join(brief_pb2.StemMode.keys()[1:])
    return [FieldViolation(field, f"must be {names}, got {value}")]


def check_persona_id(persona_id: str, field: str) -> Found:
    """The form of an id, which says nothing about whether such a persona exists."""
    if _PERSONA_ID.fullmatch(persona_id):
        return []
    text = "must be 1 to 63 characters of a-z, 0-9 and -, starting with a letter"
    return [FieldViolation(field, f"{text}, got {persona_id[:80]!r}")]


def check_form(request: Message) -> None:
    """Raise INVALID_FIELD for times, durations and numbers that no service can use."""
    check(list(_malformed(request, "")))


async def checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """A stream of requests, each checked when it is read."""
    async for request in requests:
        check_form(request)
        yield request


def _malformed(message: Message, path: str) -> Iterator[FieldViolation]:
    for field, value in message.ListFields():
        name = f"{path}{field.name}"
        values = value if field.is_repeated else [value]
        if field.type in _FLOATS:
            wrong = next((number for number in values if not math.isfinite(number)), None)
            if wrong is not None:
                yield FieldViolation(name, f"must be a finite number, got {wrong:g}")
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for index, inner in enumerate(values):
                yield from _malformed_message(inner, f"{name}[{index}]" if field.is_repeated else name)


def _malformed_message(message: Message, path: str) -> Iterator[FieldViolation]:
    if isinstance(message, Timestamp):
        if not (0 <= message.nanos < _NANOS_PER_S and _FIRST_SECOND <= message.seconds <= _LAST_SECOND):
            yield FieldViolation(path, "must be a time between the years 1 and 9999 with 0 to 999999999 nanos")
    elif isinstance(message, Duration):
        seconds, nanos = message.seconds, message.nanos
        if not (abs(nanos) < _NANOS_PER_S and abs(seconds) <= _MAX_DURATION_S and seconds * nanos >= 0):
            text = "must be a duration of at most 10000 years whose seconds and nanos have one sign"
            yield FieldViolation(path, text)
    else:
        yield from _malformed(message, f"{path}.")
