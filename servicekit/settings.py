"""Settings, read once from the environment and refused when unknown or wrong.

A service describes its settings as a frozen pydantic model. ``read_settings`` takes every ``SONICHAOS_*`` variable: names of
the model are parsed, names that another program of this installation reads are passed over, any other is an error, so that a
misspelt switch never runs with its default in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

PREFIX = "SONICHAOS_"


class SettingsError(ValueError):
    """A setting that is unknown or wrong; the message names the variable and what it wants."""


class Settings(BaseModel):
    """Base of every service's settings. Each field carries a description; docs/settings.md lists them all."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


SettingsT = TypeVar("SettingsT", bound=Settings)


def variable_names(model: type[Settings]) -> dict[str, str]:
    """Environment variable of each field, such as ``{"queue_limit": "SONICHAOS_QUEUE_LIMIT"}``."""
    return {field: PREFIX + field.upper() for field in model.model_fields}


def read_settings(
    model: type[SettingsT],
    environ: Mapping[str, str],
    *,
    also_known: Collection[str] = (),
    other_prefixes: tuple[str, ...] = (),
) -> SettingsT:
    """Read ``model`` from ``environ``.

    ``also_known`` are variables, and ``other_prefixes`` beginnings of variables, that other programs of the installation read and
    check. Raises :class:`SettingsError` naming every variable that is unknown or wrong.
    """
    by_variable = {variable: field for field, variable in variable_names(model).items()}
    given = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    passed_over = {name for name in given if name in also_known or name.startswith(other_prefixes)}
    problems = [_unknown(name, list(by_variable)) for name in given if name not in by_variable.keys() | passed_over]
    values = {by_variable[name]: value for name, value in given.items() if name in by_variable and value != ""}
    try:
        settings = model.model_validate(values)
    except ValidationError as invalid:
        for error in invalid.errors():
            variable = PREFIX + str(error["loc"][0]).upper() if error["loc"] else PREFIX
            problems.append(f"{variable}: {error['msg']}, got {error['input']!r}")
        raise SettingsError("\n".join(problems)) from None
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def _unknown(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{name}: no such setting{hint}"
