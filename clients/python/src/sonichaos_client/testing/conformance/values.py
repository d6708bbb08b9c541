"""Values of a case: references to earlier answers, and functions that make requests and uploads.

docs/conformance.md, "Values", defines them.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_REFERENCE = re.compile(r"\$\{(?P<path>[^}]+)\}")
_PART = re.compile(r"\.?(?P<name>[A-Za-z_][A-Za-z0-9_]*)|\[(?P<index>-?\d+)\]|\[(?P<field>\w+)=(?P<value>[^\]]+)\]")
_INDEX = "{i}"

Names = Mapping[str, Any]


class ValueFault(Exception):
    """A reference names a field that the answer lacks, or a function got an argument that it cannot use."""


def lookup(path: str, names: Names) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a path such as ``take.job.versions[0].files`` or ``zipEntries[name=drums.wav]``. Raises ValueFault."""
    value: Any = names
    position = 0
    while position < len(path):
        part = _PART.match(path, position)
        if part is None:
            raise ValueFault(f"${{{path}}}: expected a name or an index at character {position + 1}.")
        position = part.end()
        value = _step(value, part, path)
    return value


def _step(value: Any, part: re.Match[str], path: str) -> Any:  # noqa: ANN401
    try:
        if part["name"] is not None:
            return value[part["name"]]
        if part["index"] is not None:
            return value[int(part["index"])]
        return next(item for item in value if str(item[part["field"]]) == part["value"])
    except (KeyError, IndexError, TypeError, StopIteration):
        raise ValueFault(f"${{{path}}}: there is nothing at {part[0]!r} in {shown(value)}.") from None


def resolve(template: Any, names: Names, index: int = 0) -> Any:  # noqa: ANN401
    """The value of ``template``: references replaced, functions computed. Raises ValueFault.

    ``index`` is the number of the item in a `$list` or `$map`, from 0. Mappings of matchers keep their keys.
    """
    if isinstance(template, str):
        return _text(template, names, index)
    if isinstance(template, list):
        return [resolve(item, names, index) for item in template]
    if not isinstance(template, dict):
        return template
    if len(template) == 1:
        name, argument = next(iter(template.items()))
        if name in _LAZY:
            return _LAZY[name](argument, names)
        if name in _FUNCTIONS:
            try:
                return _FUNCTIONS[name](resolve(argument, names, index), index)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise ValueFault(f"{name} cannot use its argument: {error!r}.") from None
    return {_text(key, names, index): resolve(item, names, index) for key, item in template.items()}


def _text(text: str, names: Names, index: int) -> Any:  # noqa: ANN401
    whole = _REFERENCE.fullmatch(text)
    if whole is not None:
        return lookup(whole["path"], names)
    return _REFERENCE.sub(lambda found: str(lookup(found["path"], names)), text.replace(_INDEX, str(index)))


def _list(argument: Any, names: Names) -> list[Any]:  # noqa: ANN401
    return [resolve(argument["item"], names, index) for index in range(argument["count"])]


def _map(argument: Any, names: Names) -> dict[str, Any]:  # noqa: ANN401
    return {
        str(resolve(argument["key"], names, index)): resolve(argument["value"], names, index)
        for index in range(argument["count"])
    }


def _repeat(argument: Any, _index: int) -> Any:  # noqa: ANN401
    return argument["text"] * argument["count"]


def _number(argument: Any, index: int) -> float:  # noqa: ANN401
    return float(argument.get("plus", 0)) + index * float(argument.get("times", 1))


def _now(argument: Any, _index: int) -> str:  # noqa: ANN401
    return _timestamp(datetime.now(UTC) + timedelta(seconds=float(argument)))


def _time_plus(argument: Any, _index: int) -> str:  # noqa: ANN401
    moment = datetime.fromisoformat(argument["time"]).astimezone(UTC)
    return _timestamp(moment + timedelta(seconds=float(argument["seconds"])))


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _concat(argument: Any, _index: int) -> Any:  # noqa: ANN401
    total = argument[0]
    for item in argument[1:]:
        total = total + item
    return total


def _slice(argument: Any, _index: int) -> Any:  # noqa: ANN401
    start = int(argument["start"])
    return argument["of"][start : start + int(argument["size"])]


def _sha256(argument: Any, _index: int) -> str:  # noqa: ANN401
    return hashlib.sha256(argument.encode() if isinstance(argument, str) else argument).hexdigest()


def _decode(argument: Any, _index: int) -> str:  # noqa: ANN401
    return bytes(argument).decode()


def _joined(argument: Any, _index: int) -> bytes:  # noqa: ANN401
    return b"".join(base64.b64decode(message[argument["field"]]) for message in argument["of"])


def _alter(argument: Any, _index: int) -> str:  # noqa: ANN401
    return f"{argument[:-1]}{'1' if argument[-1] == '0' else '0'}"


def _wav(argument: Any, _index: int) -> bytes:  # noqa: ANN401
    """A sine in 16-bit PCM, the same in both channels."""
    rate_hz, channels = int(argument.get("rate_hz", 44100)), int(argument.get("channels", 2))
    hz, amplitude = float(argument.get("hz", 220)), float(argument.get("amplitude", 0.25))
    frames = round(float(argument["seconds"]) * rate_hz)
    step = 2 * math.pi * hz / rate_hz
    data = b"".join(
        struct.pack("<h", round(32767 * amplitude * math.sin(step * frame))) * channels for frame in range(frames)
    )
    block = 2 * channels
    fmt = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * block, block, 16)
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _bytes(argument: Any, _index: int) -> bytes:  # noqa: ANN401
    return bytes(int(argument))


_LAZY: dict[str, Callable[[Any, Names], Any]] = {"$list": _list, "$map": _map}
_FUNCTIONS: dict[str, Callable[[Any, int], Any]] = {
    "$repeat": _repeat,
    "$number": _number,
    "$now_plus_seconds": _now,
    "$time_plus": _time_plus,
    "$concat": _concat,
    "$slice": _slice,
    "$sha256": _sha256,
    "$text": _decode,
    "$joined": _joined,
    "$alter": _alter,
    "$wav": _wav,
    "$zero_bytes": _bytes,
}
FUNCTIONS = frozenset({*_LAZY, *_FUNCTIONS})
"""Names of the functions."""


def as_json(value: Any) -> Any:  # noqa: ANN401
    """The value as protobuf's JSON has it: bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value


_MAX_SHOWN = 300


def shown(value: Any) -> str:  # noqa: ANN401
    """The value in at most 300 characters, for messages."""
    text = f"{len(value)} bytes" if isinstance(value, bytes) else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}... ({len(text)} characters)"
