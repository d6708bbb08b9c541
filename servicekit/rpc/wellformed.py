"""The form of a request's values, checked once for all methods: times, durations and numbers that no code below can use.

A wire message can hold a time of the year 10000, a duration of -1 nanoseconds and a double that is no number. Everything below the
boundary converts, compares and digests such values and must not meet them.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import FieldViolation, InvalidFields

_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the range of google.protobuf.Timestamp."""
_MAX_DURATION_S = 315_576_000_000
"""Ten thousand years, the range of google.protobuf.Duration."""
_NANOS_PER_S = 1_000_000_000
_FLOATS = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)


@dataclass(frozen=True)
class Undecodable:
    """Bytes that are no message of the method's type."""

    size_bytes: int


def lenient(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """A deserializer that gives :class:`Undecodable` where ``deserialize`` fails, for which the framework answers INTERNAL."""
    if deserialize is None:
        return None

    def read(data: bytes) -> Any:  # noqa: ANN401  a message
        try:
            return deserialize(data)
        except DecodeError:
            return Undecodable(len(data))

    return read


def check_request(request: Any) -> Any:  # noqa: ANN401  a message, or a stream of messages
    """The request itself; a stream is checked while it is read. Raises InvalidFields naming every malformed field."""
    if isinstance(request, Undecodable):
        text = f"must be a message of the method's type, got {request.size_bytes} other bytes"
        raise InvalidFields([FieldViolation("request", text)])
    if not isinstance(request, Message):
        return _checked(request) if hasattr(request, "__aiter__") else request
    violations = list(_violations(request, ""))
    if violations:
        raise InvalidFields(violations)
    return request


async def _checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield check_request(request)


def _violations(message: Message, path: str) -> Iterator[FieldViolation]:
    for field, value in message.ListFields():
        name = f"{path}{field.name}"
        if field.type in _FLOATS:
            yield from _number_violations(value if field.is_repeated else [value], name)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for index, inner in enumerate(value if field.is_repeated else [value]):
                yield from _message_violations(inner, f"{name}[{index}]" if field.is_repeated else name)


def _message_violations(message: Message, path: str) -> Iterator[FieldViolation]:
    if isinstance(message, Timestamp):
        if not (0 <= message.nanos < _NANOS_PER_S and _FIRST_SECOND <= message.seconds <= _LAST_SECOND):
            yield FieldViolation(path, "must be a time between the years 1 and 9999 with 0 to 999999999 nanos")
    elif isinstance(message, Duration):
        seconds, nanos = message.seconds, message.nanos
        if not (abs(nanos) < _NANOS_PER_S and abs(seconds) <= _MAX_DURATION_S and seconds * nanos >= 0):
            yield FieldViolation(
                path, "must be a duration of at most 10000 years whose seconds and nanos have one sign"
            )
    else:
        yield from _violations(message, f"{path}.")


def _number_violations(values: Any, path: str) -> Iterator[FieldViolation]:  # noqa: ANN401  a list or a repeated field
    wrong = next((value for value in values if not math.isfinite(value)), None)
    if wrong is not None:
        yield FieldViolation(path, f"must be a finite number, got {wrong:g}")
