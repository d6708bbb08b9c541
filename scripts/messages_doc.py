"""Writes docs/messages.md, every message and enumeration of the protos: ``.venv/bin/python scripts/messages_doc.py``."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PAGE = ROOT / "docs" / "messages.md"
_INTRODUCTION = """# Messages, fields and events

*Written by `scripts/messages_doc.py` from the protos; change those, not this page.*

Every message and enumeration, by package. [api.md](api.md) has the calls that take and return them, [errors.md](errors.md) the
reasons of errors. Events are `JobEvent`; `EventKind` says what each kind means."""
_Path = tuple[int, ...]
# Field numbers in descriptor.proto, of which the paths of comments are made.
_MESSAGES, _ENUMS, _FIELDS, _VALUES, _NESTED, _NESTED_ENUMS = 4, 5, 2, 2, 3, 4


def files() -> list[FileDescriptorProto]:
    """The descriptors of all protos of this project, with their comments."""
    names = sorted(str(path.relative_to(PROTOS)) for path in (PROTOS / "sonichaos").rglob("*.proto"))
    with tempfile.NamedTemporaryFile() as out:
        command = [
            sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTOS}", f"-I{sysconfig.get_path('purelib')}",
            "--include_source_info", f"--descriptor_set_out={out.name}", *names,
        ]  # fmt: skip
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # warnings of unused imports
        return list(FileDescriptorSet.FromString(Path(out.name).read_bytes()).file)


def page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    for file in files():
        comments = {tuple(place.path): _words(place.leading_comments) for place in file.source_code_info.location}
        parts += [f"## {file.name.removeprefix('sonichaos/')}", f"[{file.name}](../protos/{file.name})"]
        for number, message in enumerate(file.message_type):
            parts += _message(message, message.name, (_MESSAGES, number), comments)
        for number, enum in enumerate(file.enum_type):
            if enum.name != "ErrorReason":
                parts += _enum(enum, enum.name, (_ENUMS, number), comments)
    return "\n\n".join(filter(None, parts)) + "\n"


def _message(message: DescriptorProto, name: str, path: _Path, comments: dict[_Path, str]) -> Iterator[str]:
    yield f"### {name}"
    yield comments.get(path, "")
    rows = [
        (f"`{field.name}`", _type(field, message), comments.get((*path, _FIELDS, number), ""))
        for number, field in enumerate(message.field)
    ]
    yield _table(("field", "type", "description"), rows) if rows else "No fields."
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _message(nested, f"{name}.{nested.name}", (*path, _NESTED, number), comments)
    for number, enum in enumerate(message.enum_type):
        yield from _enum(enum, f"{name}.{enum.name}", (*path, _NESTED_ENUMS, number), comments)


def _enum(enum: EnumDescriptorProto, name: str, path: _Path, comments: dict[_Path, str]) -> Iterator[str]:
    yield f"### {name}"
    yield comments.get(path, "")
    rows = [
        (f"`{value.name}`", str(value.number), comments.get((*path, _VALUES, number), ""))
        for number, value in enumerate(enum.value)
    ]
    yield _table(("value", "number", "description"), rows)


def _type(field: FieldDescriptorProto, message: DescriptorProto) -> str:
    kind = field.type_name.lstrip(".") or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    for nested in message.nested_type:
        if nested.options.map_entry and kind.endswith(f".{nested.name}"):
            return f"map of {_type(nested.field[0], nested)} to {_type(nested.field[1], nested)}"
    short = kind.removeprefix("google.protobuf.") if kind.startswith("google.") else kind.rpartition(".")[2]
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {short}"
    if field.HasField("oneof_index") and not field.proto3_optional:
        return f"{short}, one of `{message.oneof_decl[field.oneof_index].name}`"
    return f"optional {short}" if field.proto3_optional else short


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _words(comment: str) -> str:
    return " ".join(comment.replace("|", "\\|").replace("<", "&lt;").split()).partition(" buf:lint")[0]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
