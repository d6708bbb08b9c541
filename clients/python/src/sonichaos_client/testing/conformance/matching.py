"""Matchers: how a case says what an answer must be. docs/conformance.md, "Matchers", defines them."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sonichaos_client.testing.conformance.values import ValueFault, lookup, shown


class _Absent:
    """Stands for a field that an answer does not have."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One thing that is not as expected. ``path`` leads to it within the answer; empty for the answer as a whole."""

    path: str
    expected: str
    received: str


def differences(expected: Any, received: Any, path: str = "") -> list[Difference]:  # noqa: ANN401 - any JSON value
    """How ``received`` differs from what ``expected`` describes. Empty if it matches."""
    if isinstance(expected, dict):
        if expected and all(key.startswith("$") for key in expected):
            return [one for name, argument in expected.items() for one in _apply(name, argument, received, path)]
        return _differences_of_fields(expected, received, path)
    if isinstance(expected, list):
        if not isinstance(received, list) or len(received) != len(expected):
            return [Difference(path, f"a list of {len(expected)} items", _size_and_value(received))]
        pairs = enumerate(zip(expected, received, strict=True))
        return [one for index, (want, got) in pairs for one in differences(want, got, f"{path}[{index}]")]
    if _same(expected, received):
        return []
    return [Difference(path, shown(expected), shown(received))]


def matches(expected: Any, received: Any) -> bool:  # noqa: ANN401
    """Whether ``received`` is what ``expected`` describes."""
    return not differences(expected, received)


def _differences_of_fields(expected: dict[str, Any], received: Any, path: str) -> list[Difference]:  # noqa: ANN401
    if not isinstance(received, dict):
        return [Difference(path, "an object", shown(received))]
    found = []
    for name, want in expected.items():
        inner = f"{path}.{name}" if path else name
        found += differences(want, received.get(name, ABSENT), inner)
    return found


def _same(expected: Any, received: Any) -> bool:  # noqa: ANN401
    """Protobuf's JSON writes 64-bit integers as strings, so a number also equals the string of its digits."""
    if isinstance(expected, bool) or isinstance(received, bool):
        return expected is received
    if isinstance(expected, str) != isinstance(received, str):
        number = _number(received)
        return number is not None and number == _number(expected)
    return bool(expected == received)


def _number(value: Any) -> float | int | None:  # noqa: ANN401
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value):
        return float(value)
    return None


def _apply(name: str, argument: Any, received: Any, path: str) -> list[Difference]:  # noqa: ANN401
    """What one matcher finds."""
    if name in _EACH:
        return _EACH[name](argument, received, path)
    problem = _MATCHERS[name](argument, received)
    if problem is None:
        return []
    return [Difference(path, f"{name} {_compact(argument)}", problem)]


def _compact(value: Any) -> str:  # noqa: ANN401
    return shown(value) if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False, default=shown)[:300]


def _size_and_value(value: Any) -> str:  # noqa: ANN401
    return f"{len(value)} items: {shown(value)}" if isinstance(value, list) else shown(value)


def _equals(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    return None if argument == received else shown(received)


def _absent(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    return None if (received is ABSENT or received is None) is argument else shown(received)


def _regex(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    return None if isinstance(received, str) and re.fullmatch(argument, received) else shown(received)


def _min(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    number, limit = _number(received), _number(argument)
    return None if number is not None and limit is not None and number >= limit else shown(received)


def _max(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    number, limit = _number(received), _number(argument)
    return None if number is not None and limit is not None and number <= limit else shown(received)


def _one_of(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    return None if any(matches(one, received) for one in argument) else shown(received)


def _not(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    return shown(received) if matches(argument, received) else None


def _length(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if not isinstance(received, str | bytes | list | dict):
        return shown(received)
    return None if matches(argument, len(received)) else f"length {len(received)}"


def _some(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if isinstance(received, list) and any(matches(argument, item) for item in received):
        return None
    return f"no such item in {_size_and_value(received)}"


def _none(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if not isinstance(received, list):
        return shown(received)
    found = next((index for index, item in enumerate(received) if matches(argument, item)), None)
    return None if found is None else f"item {found}: {shown(received[found])}"


def _in_order(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if not isinstance(received, list):
        return shown(received)
    position = 0
    for number, want in enumerate(argument):
        found = next((index for index in range(position, len(received)) if matches(want, received[index])), None)
        if found is None:
            return (
                f"item {number + 1} of the order is missing after the first {position} of {_size_and_value(received)}"
            )
        position = found + 1
    return None


def _starts_with(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if not isinstance(received, list):
        return shown(received)
    for index, item in enumerate(argument):
        if index >= len(received):
            return f"{len(received)} items only"
        if item != received[index]:
            return f"item {index}: {shown(received[index])}"
    return None


def _at(path: str, item: Any) -> Any:  # noqa: ANN401
    try:
        return lookup(path, item)
    except ValueFault:
        return None


def _consecutive(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    """Items without a value at the path, such as heartbeats, are left out."""
    if not isinstance(received, list):
        return shown(received)
    numbers = [number for item in received if (number := _number(_at(argument["path"], item))) is not None]
    first = _number(argument["first"]) if "first" in argument else (_number(argument["after"]) or 0) + 1
    wanted = [(first or 0) + index for index in range(len(numbers))]
    return None if numbers == wanted else f"the numbers {shown(numbers)}"


def _never_falls(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if not isinstance(received, list):
        return shown(received)
    highest: dict[tuple[Any, ...], float] = defaultdict(lambda: float("-inf"))
    for item in received:
        number = _number(_at(argument["path"], item))
        if number is None or not matches(argument.get("where", {}), item):
            continue
        group = tuple(_at(path, item) for path in argument.get("within", ()))
        if number < highest[group]:
            return f"{number} after {highest[group]} in {shown(group)}"
        highest[group] = number
    return None


def _values(argument: Any, received: Any) -> str | None:  # noqa: ANN401
    if not isinstance(received, list):
        return shown(received)
    found = [_at(argument["path"], item) for item in received if matches(argument.get("where", {}), item)]
    if argument.get("unique") and len(set(map(_compact, found))) != len(found):
        return f"repeated values in {shown(found)}"
    if argument.get("falling") and found != sorted(found, reverse=True):
        return f"the order {shown(found)}"
    if "are" in argument and sorted({_compact(one) for one in found}) != sorted({_compact(a) for a in argument["are"]}):
        return f"the values {shown(sorted({_compact(one) for one in found}))}"
    return None


def _each(argument: Any, received: Any, path: str) -> list[Difference]:  # noqa: ANN401
    if not isinstance(received, list):
        return [Difference(path, "a list", shown(received))]
    return [one for index, item in enumerate(received) for one in differences(argument, item, f"{path}[{index}]")]


def _all(argument: Any, received: Any, path: str) -> list[Difference]:  # noqa: ANN401
    return [one for want in argument for one in differences(want, received, path)]


_EACH: dict[str, Callable[[Any, Any, str], list[Difference]]] = {"$each": _each, "$all": _all}
_MATCHERS: dict[str, Callable[[Any, Any], str | None]] = {
    "$equals": _equals,
    "$absent": _absent,
    "$matches": _regex,
    "$min": _min,
    "$max": _max,
    "$one_of": _one_of,
    "$not": _not,
    "$length": _length,
    "$some": _some,
    "$none": _none,
    "$in_order": _in_order,
    "$starts_with": _starts_with,
    "$consecutive": _consecutive,
    "$never_falls": _never_falls,
    "$values": _values,
}
MATCHERS = frozenset({*_EACH, *_MATCHERS})
"""Names of the matchers."""
