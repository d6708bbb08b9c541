"""Writes docs/python-api.md, all that ``sonichaos_client`` exports: ``.venv/bin/python scripts/python_doc.py``."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import os
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

from google.protobuf.message import Message

import sonichaos_client
from sonichaos_client import AsyncClient, JobFailedError, SonichaosError

PAGE = Path(__file__).resolve().parent.parent / "docs" / "python-api.md"
_INTRODUCTION = """# The Python client's API

*Written by `scripts/python_doc.py` from `sonichaos_client`; change that, not this page.*

All that the package exports. `AsyncClient` has the methods of `Client`, to be awaited; those that yield items are asynchronous
iterators. Protobuf messages, such as `Job`, are on [messages.md](messages.md). The [client's README](../clients/python/README.md)
has examples."""


def exported() -> dict[str, object]:
    """Everything in ``sonichaos_client.__all__``, by name."""
    return {name: getattr(sonichaos_client, name) for name in sonichaos_client.__all__}


def page() -> str:
    """The whole page."""
    names = exported()
    errors = {name: kind for name, kind in names.items() if isinstance(kind, type) and issubclass(kind, SonichaosError)}
    enums = {name: kind for name, kind in names.items() if isinstance(kind, type) and issubclass(kind, enum.Enum)}
    messages = sorted(name for name, kind in names.items() if isinstance(kind, type) and issubclass(kind, Message))
    others = {name: value for name, value in names.items() if not ({name} & {*errors, *messages, *enums})}
    parts = [_INTRODUCTION]
    for name, value in sorted(others.items(), key=lambda item: (item[0] != "Client", item[0])):
        if value is not AsyncClient:
            parts += _section(name, value)
    parts += ["## Enumerations", *(f"`{name}`: {_text(kind)} {_members(kind)}" for name, kind in enums.items())]
    parts += ["## Protobuf messages", ", ".join(f"`{name}`" for name in messages) + "."]
    parts += [
        "## Exceptions",
        "Each is a `SonichaosError`. Indentation shows what derives from what.",
        _tree(SonichaosError),
    ]
    rows = [_row(f"`{name}`", _code(kind), _text(kind)) for name, kind in errors.items()]
    parts += ["\n".join(["| exception | code | raised if |", "| --- | --- | --- |", *rows])]
    return "\n\n".join(parts) + "\n"


def _section(name: str, value: object) -> Iterator[str]:
    yield f"## {name}"
    if not isinstance(value, type):
        if callable(value) and not typing.get_origin(value):
            yield f"`{name}{_signature(value)}`"
            yield _text(value)
        else:
            yield f"`{value}`".replace("typing.", "")
        return
    yield _text(value)
    if typing.is_typeddict(value) or dataclasses.is_dataclass(value):
        yield _fields(value)
    else:
        yield f"`{name}{_signature(value)}`"
    methods = [(name, getattr(value, name)) for name in _methods(value)]
    rows = [_row(f"`{name}{_signature(method)}`", _text(method)) for name, method in methods]
    if rows:
        yield "\n".join(["| method | what it does |", "| --- | --- |", *rows])


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _methods(kind: type) -> list[str]:
    """Public methods and functions of a class and its bases, in the order of the source."""
    found = [name for base in reversed(kind.__mro__) if base.__module__.startswith("sonichaos") for name in vars(base)]
    return [
        name for name in dict.fromkeys(found) if not name.startswith("_") and inspect.isroutine(getattr(kind, name))
    ]


def _fields(kind: type) -> str:
    """Names and types of a dataclass or TypedDict."""
    names = (
        [field.name for field in dataclasses.fields(kind)]
        if dataclasses.is_dataclass(kind)
        else list(kind.__annotations__)
    )
    types = {
        name: text for base in reversed(kind.__mro__) for name, text in getattr(base, "__annotations__", {}).items()
    }
    return "Fields: " + ", ".join(f"`{name}: {_annotation(types[name])}`" for name in names) + "."


def _signature(function: Callable[..., object]) -> str:
    """Parameters as one writes them, without self; annotations as in the source."""
    signature = inspect.signature(function)
    parts = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        stars = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        star |= stars == "*"
        text = stars + parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {_annotation(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_default(parameter.default)}"
        parts.append(text)
    returns = signature.return_annotation
    arrow = "" if returns in (signature.empty, "None", None) else f" -> {_annotation(returns)}"
    return f"({', '.join(parts)}){arrow}"


def _default(value: object) -> str:
    if value is os.environ:
        return "os.environ"
    return f"{type(value).__name__}.{value.name}" if isinstance(value, enum.Enum) else repr(value)


def _annotation(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else str(getattr(annotation, "__forward_arg__", annotation))
    return re.sub(r"\b[a-z]\w*\.(?=[A-Z])", "", text)  # without names of modules


def _text(value: object) -> str:
    """The docstring on one line."""
    words = " ".join((inspect.getdoc(value) or "").split()).replace("``", "`")
    return words.replace(":class:", "")


def _members(kind: type[enum.Enum]) -> str:
    return ", ".join(f"`{member.name}`" for member in kind) + "."


def _code(kind: type[SonichaosError]) -> str:
    return "that of the job" if issubclass(kind, JobFailedError) else str(kind.default_code.name)


def _tree(root: type, depth: int = 0) -> str:
    """The exceptions below ``root``, indented, in a block."""
    lines = [f"{'    ' * depth}{root.__name__}"]
    lines += [_tree(kind, depth + 1) for kind in root.__subclasses__() if kind.__module__ == "sonichaos_client.errors"]
    text = "\n".join(lines)
    return f"```text\n{text}\n```" if depth == 0 else text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
