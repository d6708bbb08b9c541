"""The cases: YAML files, read and checked against case.schema.json. docs/conformance.md explains them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from sonichaos_client.testing.conformance.matching import MATCHERS
from sonichaos_client.testing.conformance.values import FUNCTIONS

Step = Mapping[str, Any]


class CaseFileError(Exception):
    """A file of cases that cannot be used: not YAML, against the schema, a name twice, or an unknown name."""


@dataclass(frozen=True)
class OnlyIf:
    """A case runs only if ``value`` matches ``expect``; otherwise ``otherwise`` says why it was skipped."""

    value: Any
    expect: Any
    otherwise: str


@dataclass(frozen=True)
class Case:
    """A case, or a fixture that cases share. ``needs`` names the fixtures that must have run before.

    A ``destructive`` case leaves the server without its data or without work.
    """

    id: str
    why: str
    needs: tuple[str, ...]
    steps: tuple[Step, ...]
    only_if: OnlyIf | None
    destructive: bool = False


@dataclass(frozen=True)
class Reason:
    """What the errors with one reason have: status code, whether RetryInfo, and metadata that is always there.

    ``not_covered`` says why no case provokes it; empty if one does.
    """

    name: str
    code: str
    retry: bool
    metadata: tuple[str, ...]
    not_covered: str


@dataclass(frozen=True)
class Suite:
    """Cases in the order in which they run, and the fixtures by name."""

    fixtures: Mapping[str, Case]
    cases: Sequence[Case]


def load_suite(folder: Path | None = None) -> Suite:
    """The cases of the suite, or of the YAML files of another folder. Raises CaseFileError."""
    fixtures: dict[str, Case] = {}
    cases: dict[str, Case] = {}
    for name, text in _files(folder):
        body = _checked(name, text)
        _add(fixtures, [_case(fixture_id, one) for fixture_id, one in body.get("fixtures", {}).items()], name)
        _add(cases, [_case(one["id"], one) for one in body.get("cases", ())], name)
    for case in (*fixtures.values(), *cases.values()):
        unknown = [need for need in case.needs if need not in fixtures]
        if unknown:
            raise CaseFileError(f"{case.id}: needs must name fixtures, got {', '.join(unknown)}.")
    return Suite(fixtures, tuple(cases.values()))


@cache
def reasons() -> Mapping[str, Reason]:
    """What errors of each reason have, from reasons.yaml."""
    body = yaml.safe_load(_package_text("reasons.yaml"))
    return {
        name: Reason(
            name, one["code"], one.get("retry", False), tuple(one.get("metadata", ())), one.get("not_covered", "")
        )
        for name, one in body.items()
    }


def schema() -> Any:  # noqa: ANN401 - any JSON value
    """The JSON Schema of a file of cases."""
    return json.loads(_package_text("case.schema.json"))


def _package_text(name: str) -> str:
    return resources.files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _files(folder: Path | None) -> Iterator[tuple[str, str]]:
    place = resources.files(__package__ or "").joinpath("cases") if folder is None else folder
    for entry in sorted(place.iterdir(), key=lambda one: one.name):
        if entry.name.endswith(".yaml"):
            yield entry.name, entry.read_text(encoding="utf-8")


def _checked(name: str, text: str) -> Any:  # noqa: ANN401
    try:
        body = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CaseFileError(f"{name}: expected YAML, got {error}") from None
    problem = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema()).iter_errors(body))
    if problem is not None:
        raise CaseFileError(f"{name}: {problem.json_path}: {problem.message[:500]}")
    unknown = sorted({key for key in _dollar_keys(body) if key not in MATCHERS | FUNCTIONS})
    if unknown:
        raise CaseFileError(f"{name}: there is no matcher or function {', '.join(unknown)}.")
    return body


def _dollar_keys(value: Any) -> Iterator[str]:  # noqa: ANN401
    if isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("$") and not key.startswith("${"):
                yield key
            yield from _dollar_keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _dollar_keys(item)


def _case(case_id: str, body: Mapping[str, Any]) -> Case:
    condition = body.get("only_if")
    only_if = OnlyIf(condition["value"], condition["expect"], condition["otherwise"]) if condition else None
    needs, steps = tuple(body.get("needs", ())), tuple(body["steps"])
    return Case(case_id, body["why"], needs, steps, only_if, body.get("destructive", False))


def _add(known: dict[str, Case], found: Sequence[Case], name: str) -> None:
    for case in found:
        if case.id in known:
            raise CaseFileError(f"{name}: {case.id} is there twice.")
        known[case.id] = case
