"""Writes docs/settings.md from the settings models: ``.venv/bin/python scripts/settings_doc.py``.

A test compares the page with the models, so a setting that is added without running this fails it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from render_service.settings import RenderSettings
from separation_service.settings import SeparationSettings
from servicekit.host_settings import CLIENT_VARIABLES, HostSettings
from servicekit.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
_INTRODUCTION = """# Settings

*Written by `scripts/settings_doc.py` from the settings models; change those, not this page.*

A service reads its settings once, at start, from environment variables that begin with `SONICHAOS_`. If a variable is unknown or
its value invalid, the service exits with status 2 and a message that names the variable. An empty value counts as not set.
`sonichaos up` has options for the most common settings; they override the environment.
"""
_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def default_of(field: FieldInfo) -> str:
    """The default as a reader would type it."""
    value = field.get_default(call_default_factory=False)
    if field.default_factory is not None or value is PydanticUndefined:
        return "`~/.local/share/sonichaos`, or below `$XDG_DATA_HOME`"
    if value is None or value == "" or value == SecretStr(""):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def accepts(field: FieldInfo) -> str:
    """Kind and limits of the values."""
    if get_origin(field.annotation) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(field.annotation))
    kinds = {
        bool: "`true` or `false`",
        int: "whole number",
        float: "number",
        str: "text",
        SecretStr: "text, never logged",
    }
    kind = next((words for known, words in kinds.items() if field.annotation is known), "path")
    limits = [
        f"{_LIMITS[name]} {getattr(bound, name):,}"
        for bound in field.metadata
        for name in _LIMITS
        if hasattr(bound, name)
    ]
    return ", ".join([kind, *limits])


def table(model: type[Settings], skip: frozenset[str] = frozenset()) -> str:
    """A row for each field of ``model`` that is not in ``skip``."""
    rows = ["| variable | default | accepts | what it does |", "| --- | --- | --- | --- |"]
    for name, field in model.model_fields.items():
        if name not in skip:
            cells = (f"`{PREFIX}{name.upper()}`", default_of(field), accepts(field), field.description or "")
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _clients_table() -> str:
    rows = [f"| `{name}` | {text} |" for name, text in CLIENT_VARIABLES.items()]
    return "\n".join(["| variable | description |", "| --- | --- |", *rows])


def page() -> str:
    """The whole page."""
    shared = frozenset(HostSettings.model_fields)
    parts = (
        _INTRODUCTION.rstrip(),
        "## Both services",
        table(HostSettings),
        "## render_service",
        table(RenderSettings, shared),
        "## separation_service",
        table(SeparationSettings, shared),
        "## Clients",
        "Read by the command, and by `Credentials.from_environment()` of the Python client. The command's options come first.",
        _clients_table(),
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
