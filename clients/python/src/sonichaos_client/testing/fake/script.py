"""Scripts of the fake: personas, speeds and faults from a YAML file, and faults by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from sonichaos.testing.v1 import fake_pb2
from sonichaos_client.testing.fake.checks import check_persona_id
from sonichaos_client.testing.fake.faults import check_fault
from sonichaos_client.testing.fake.personas import BUILT_IN
from sonichaos_client.testing.fake.refusals import Refusal
from sonichaos_client.testing.fake.studio import Speeds

_KINDS = {one.name: one for one in fake_pb2.Fault.DESCRIPTOR.oneofs_by_name["kind"].fields}
_COMMON = {one.name: one for one in fake_pb2.Fault.DESCRIPTOR.fields if one.name not in _KINDS}
_KEYS = ("personas", "render_seconds", "stems_seconds", "faults")

Value = str | int | float


class ScriptError(ValueError):
    """A script that the fake cannot follow. The message says where and why."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """Personas by id with their prefixes, the speeds of jobs, and the faults from the start."""

    personas: Mapping[str, str] = field(default_factory=lambda: dict(BUILT_IN))
    speeds: Speeds = field(default_factory=Speeds)
    faults: Sequence[fake_pb2.Fault] = ()


def read_script(path: Path) -> Script:
    """Read a script. Raises ScriptError, and OSError if the file cannot be read."""
    import yaml

    try:
        facts = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} must be YAML in UTF-8: {error}") from None
    try:
        return parse_script(facts)
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from None


def parse_script(facts: object) -> Script:
    """A script from the values of its YAML. Raises ScriptError."""
    if not isinstance(facts, dict):
        raise ScriptError(f"a script must be a mapping with some of {', '.join(_KEYS)}, got {type(facts).__name__}.")
    unknown = [str(key) for key in facts if key not in _KEYS]
    if unknown:
        raise ScriptError(f"a script has {', '.join(_KEYS)}, got {', '.join(unknown)}.")
    defaults = Speeds()
    faults = facts.get("faults", [])
    if not isinstance(faults, list) or not all(isinstance(one, dict) and "kind" in one for one in faults):
        raise ScriptError("faults must be a list of mappings that have a kind.")
    return Script(
        personas=_personas(facts.get("personas", dict(BUILT_IN))),
        speeds=Speeds(
            render_s=_seconds("render_seconds", facts.get("render_seconds", defaults.render_s)),
            stems_s=_seconds("stems_seconds", facts.get("stems_seconds", defaults.stems_s)),
        ),
        faults=[make_fault(**one) for one in faults],
    )


def make_fault(kind: str, **fields: Value) -> fake_pb2.Fault:
    """A fault by its kind and the fields of its message: ``make_fault("fail_stage", stage="separate", reason="NOT_FINITE")``.

    ``times`` and ``service`` belong to every kind. Values of enumerations are names, durations are seconds. Raises ScriptError.
    """
    if kind not in _KINDS:
        raise ScriptError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}.")
    fault = fake_pb2.Fault()
    message = getattr(fault, kind)
    message.SetInParent()
    own = {one.name: one for one in message.DESCRIPTOR.fields}
    for name, value in fields.items():
        if name not in own and name not in _COMMON:
            raise ScriptError(f"the fault {kind} has {', '.join([*own, *_COMMON])}, got {name}.")
        target, descriptor = (message, own[name]) if name in own else (fault, _COMMON[name])
        _set(target, descriptor, value)
    try:
        check_fault(fault)
    except Refusal as refusal:
        raise ScriptError(refusal.message) from None
    return fault


def _set(target: Any, descriptor: FieldDescriptor, value: Value) -> None:  # noqa: ANN401  a message
    if descriptor.enum_type is not None:
        setattr(target, descriptor.name, _enum_number(descriptor.name, descriptor.enum_type, str(value)))
    elif descriptor.message_type is not None:
        getattr(target, descriptor.name).FromMicroseconds(round(_seconds(descriptor.name, value) * 1e6))
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 32:
        setattr(target, descriptor.name, value)
    else:
        raise ScriptError(f"{descriptor.name} must be a whole number from 0 to 4294967295, got {value!r}.")


def _enum_number(field: str, enum: EnumDescriptor, name: str) -> int:
    """The number of a value by its name without the prefix of its type, in any case."""
    prefix = enum.values[0].name.removesuffix("UNSPECIFIED")
    numbers: dict[str, int] = {value.name.removeprefix(prefix): value.number for value in enum.values[1:]}
    if name.upper() not in numbers:
        raise ScriptError(f"{field} must be one of {', '.join(numbers)}, got {name!r}.")
    return numbers[name.upper()]


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        raise ScriptError(f"{name} must be a number of seconds, 0 or more, got {value!r}.")
    return float(value)


def _personas(facts: object) -> dict[str, str]:
    if not isinstance(facts, dict) or not facts:
        raise ScriptError("personas must be a mapping of at least one id to its prefix.")
    for name, prefix in facts.items():
        found = check_persona_id(str(name), "personas")
        if found or not isinstance(prefix, str):
            problem = found[0].description if found else f"must have a text as its prefix, got {prefix!r}"
            raise ScriptError(f"the persona {name!r} {problem}.")
    return {str(name): prefix for name, prefix in facts.items()}
