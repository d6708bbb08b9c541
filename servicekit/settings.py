"""Reads settings from the environment and rejects unknown or invalid ones.

A service describes its settings as a frozen pydantic model. ``read_settings`` reads every ``SONICHAOS_*`` variable: it parses the
names of the model, ignores names of the installation's other programs, and rejects any other name, so that a misspelt variable
never leaves a setting silently at its default.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

PREFIX = "SONICHAOS_"


class SettingsError(ValueError):
    """A setting is unknown or invalid; the message names the variable and what it accepts."""


class Settings(BaseModel):
    """Base class of every service's settings. Every field has a description, which docs/settings.md shows."""

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

    ``also_known`` are names, and ``other_prefixes`` prefixes, of variables that other programs of the installation read and
    check. Raises :class:`SettingsError` naming every unknown or invalid variable.
    """
    by_variable = {variable: field for field, variable in variable_names(model).items()}
    variables = {name: value for name, value in environ.items() if name.startswith(PREFIX)}
    ignored = {name for name in variables if name in also_known or name.startswith(other_prefixes)}
    problems = [_unknown(name, list(by_variable)) for name in variables if name not in by_variable.keys() | ignored]
    values = {by_variable[name]: value for name, value in variables.items() if name in by_variable and value != ""}
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


def _unknown(name: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(name, valid, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{name}: no such setting{hint}"
