"""The manifest as canonical JSON: keys sorted, two spaces, UTF-8, so that equal manifests are equal bytes."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from servicekit.audio.pcm24 import BIT_DEPTH, SAMPLE_RATE_HZ
from servicekit.delivery.manifest import Manifest
from servicekit.delivery.names import STEMS
from servicekit.errors import FieldViolation, Internal, InvalidFields
from servicekit.json_codec import JsonCodec

SCHEMA = "sonichaos.manifest.v1"
MAX_TEXT_CHARACTERS = 1 << 20

# Published data, installed with the package of the stubs; read as a file so that nothing here imports the stubs.
_SCHEMA_PACKAGE = "sonichaos.manifest.v1"
_SCHEMA_FILE = "manifest.schema.json"

# A manifest on disk has the fields of Origin and some of StemsFacts at its top level.
_ORIGIN_FIELDS = ("prompt", "persona", "seed", "model")
_STEMS_FIELDS = {"stemMode": "mode", "residualDbfs": "residualDbfs", "excessSamples": "excessSamples"}

Json = dict[str, Any]
_CODEC = JsonCodec(Manifest)


def manifest_text(manifest: Manifest) -> str:
    """The text that is stored. Raises Internal, naming the field, where it would break the published schema."""
    facts = manifest_facts(manifest)
    problem = _problem(facts)
    if problem is not None:
        raise Internal(f"the manifest of {manifest.job_id} breaks its schema: {problem}", metadata={"stage": "PACKAGE"})
    return json.dumps(facts, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_manifest(text: str) -> Manifest:
    """The inverse of :func:`manifest_text`. Raises InvalidFields for ``manifest_json``, naming the malformed part."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _invalid(f"must have at most {MAX_TEXT_CHARACTERS} characters, got {len(text)}")
    try:
        facts = json.loads(text, parse_constant=_refuse_constant)
        # A lone surrogate, and 1e999, which is read as infinity, could never be written.
        json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise _invalid(f"must be JSON in UTF-8: {error}") from None
    problem = _problem(facts)
    if problem is not None:
        raise _invalid(problem)
    try:
        return _CODEC.read({**facts, "origin": _origin(facts), "stems": _stems(facts)})
    except ValueError as error:
        raise _invalid(str(error)) from None


def manifest_facts(manifest: Manifest) -> Json:
    """The manifest as plain JSON values, not checked against the schema."""
    facts = _CODEC.write(manifest)
    origin, stems = facts.pop("origin"), facts["stems"]
    if facts["rerender"] is None:
        del facts["rerender"]
    return {
        **facts,
        "schema": SCHEMA,
        "sampleRate": SAMPLE_RATE_HZ,
        "bitDepth": BIT_DEPTH,
        "lufs": facts["bounce"]["lufs"],
        "truePeakDbtp": facts["bounce"]["truePeakDbtp"],
        **(origin or dict.fromkeys(_ORIGIN_FIELDS)),
        **{name: stems and stems[field] for name, field in _STEMS_FIELDS.items()},
        "stems": stems
        and {
            "files": dict(zip(STEMS, stems["files"], strict=True)),
            "separator": stems["separator"],
            "residualRule": stems["residualRule"],
        },
    }


def _origin(facts: Json) -> Json | None:
    given = {name: facts[name] for name in _ORIGIN_FIELDS}
    if given["prompt"] is None:
        return None
    if None in given.values():
        raise ValueError("a prompt must come with persona, seed and model; an upload has none of the four")
    return given


def _stems(facts: Json) -> Json | None:
    stems = facts["stems"]
    if stems is None:
        return None
    fields = {field: facts[name] for name, field in _STEMS_FIELDS.items()}
    return {**stems, **fields, "files": [stems["files"][stem] for stem in STEMS]}


def _problem(facts: object) -> str | None:
    """The first way in which ``facts`` break the schema, as a path and words; None where they do not."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(facts))
    return None if error is None else f"{error.json_path}: {error.message[:300]}"


@cache
def _validator() -> Any:  # noqa: ANN401  jsonschema has no types here
    from jsonschema import Draft202012Validator

    text = resources.files(_SCHEMA_PACKAGE).joinpath(_SCHEMA_FILE).read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _invalid(problem: str) -> InvalidFields:
    return InvalidFields([FieldViolation("manifest_json", problem)])
