"""Frozen dataclasses as JSON objects with lowerCamelCase names, through pydantic.

A dataclass opts in with ``__pydantic_config__ = CAMEL_CASE``; the order of its fields is the order of the JSON's names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

CAMEL_CASE = ConfigDict(alias_generator=to_camel)

T = TypeVar("T")


class JsonCodec(Generic[T]):
    """Writes and reads one type. Names that the type does not have are ignored, so that a row of a later release can be read."""

    def __init__(self, of: type[T]) -> None:
        self._adapter: TypeAdapter[T] = TypeAdapter(of)

    def write(self, value: T) -> dict[str, Any]:
        """Plain JSON values. A value that is not of its field's type is a bug, so it raises instead of being written."""
        facts: dict[str, Any] = self._adapter.dump_python(value, by_alias=True, mode="json", warnings="error")
        return facts

    def read(self, facts: Mapping[str, Any]) -> T:
        """The inverse of :meth:`write`. Raises ValueError naming the first field that is missing or malformed."""
        try:
            return self._adapter.validate_python(facts)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            path = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{path}: {first['msg'].removeprefix('Value error, ')}") from None
