"""The manifest as canonical JSON: keys sorted, two spaces, UTF-8, so that equal manifests are equal bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from servicekit.audio.loudness import Loudness
from servicekit.audio.pcm24 import BIT_DEPTH, SAMPLE_RATE_HZ
from servicekit.delivery.manifest import (
    FileFacts,
    Licence,
    Manifest,
    ModelFacts,
    Origin,
    PersonaFacts,
    SeparatorFacts,
    StemsFacts,
)
from servicekit.delivery.names import STEMS, LicenceCoverage, StemMode
from servicekit.errors import FieldViolation, Internal, InvalidFields

SCHEMA = "sonichaos.manifest.v1"
MAX_TEXT_CHARACTERS = 1 << 20

# Published data, installed with the wire's package; read as a file so that nothing here imports the stubs.
_SCHEMA_PACKAGE = "sonichaos.manifest.v1"
_SCHEMA_FILE = "manifest.schema.json"
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Json = dict[str, Any]


def manifest_text(manifest: Manifest) -> str:
    """The text that is stored. Raises Internal, naming the field, where it would break the published schema."""
    facts = manifest_facts(manifest)
    problem = _problem(facts)
    if problem is not None:
        raise Internal(f"the manifest of {manifest.job_id} breaks its schema: {problem}", metadata={"stage": "PACKAGE"})
    return json.dumps(facts, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_manifest(text: str) -> Manifest:
    """The inverse of :func:`manifest_text`. Raises InvalidFields for ``manifest_json``, saying which part is wrong."""
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _refused(f"wanted at most {MAX_TEXT_CHARACTERS} characters, got {len(text)}")
    try:
        facts = json.loads(text, parse_constant=_no_number)
        json.dumps(facts, ensure_ascii=False).encode()  # a lone surrogate could be read but never written
    except (ValueError, RecursionError) as error:
        raise _refused(f"is not JSON in UTF-8: {error}") from None
    problem = _problem(facts)
    if problem is not None:
        raise _refused(problem)
    try:
        return _manifest_of(facts)
    except ValueError as error:
        raise _refused(str(error)) from None


def manifest_facts(manifest: Manifest) -> Json:
    """The manifest as plain JSON values, not checked."""
    origin, stems = manifest.origin, manifest.stems
    facts: Json = {
        "schema": SCHEMA,
        "jobId": manifest.job_id,
        "version": manifest.version,
        "createdAt": manifest.created_at.astimezone(UTC).strftime(_TIME),
        "prompt": origin.prompt if origin else None,
        "persona": _persona_facts(origin.persona) if origin else None,
        "seed": origin.seed if origin else None,
        "model": _model_facts(origin.model) if origin else None,
        "tempoMap": manifest.tempo_map,
        "key": manifest.key,
        "sampleRate": SAMPLE_RATE_HZ,
        "bitDepth": BIT_DEPTH,
        "frames": manifest.frames,
        "lufs": manifest.bounce.loudness.lufs,
        "truePeakDbtp": manifest.bounce.loudness.true_peak_dbtp,
        "bounce": _file_facts(manifest.bounce),
        "stems": _stems_facts(stems) if stems else None,
        "stemMode": stems.mode if stems else None,
        "residualDbfs": stems.residual_dbfs if stems else None,
        "excessSamples": stems.excess_samples if stems else None,
        "processing": list(manifest.processing),
        "licence": _licence_facts(manifest.licence),
        "labels": dict(manifest.labels),
        "fingerprint": dict(manifest.fingerprint),
    }
    return facts if manifest.rerender is None else facts | {"rerender": dict(manifest.rerender)}


def _manifest_of(facts: Json) -> Manifest:
    licence = facts["licence"]
    return Manifest(
        job_id=facts["jobId"],
        version=int(facts["version"]),
        created_at=datetime.strptime(facts["createdAt"], _TIME).replace(tzinfo=UTC),
        origin=_origin_of(facts),
        tempo_map=facts["tempoMap"],
        key=facts["key"],
        frames=int(facts["frames"]),
        bounce=_file_of(facts["bounce"]),
        licence=Licence(
            tier=licence["tier"],
            licensee=licence["licensee"],
            terms=licence["terms"],
            covers=LicenceCoverage(licence["covers"]),
        ),
        labels=facts["labels"],
        fingerprint=facts["fingerprint"],
        processing=tuple(facts["processing"]),
        stems=_stems_of(facts) if facts["stems"] is not None else None,
        rerender=facts.get("rerender"),
    )


def _origin_of(facts: Json) -> Origin | None:
    persona, model = facts["persona"], facts["model"]
    if facts["prompt"] is None:
        return None
    if persona is None or model is None or facts["seed"] is None:
        raise ValueError("a prompt comes with persona, seed and model; an upload has none of the four")
    return Origin(
        prompt=facts["prompt"],
        persona=PersonaFacts(id=persona["id"], prefix=persona["prefix"], embedding_sha256=persona["embeddingSha256"]),
        seed=int(facts["seed"]),
        model=ModelFacts(name=model["name"], licence=model["licence"], digests=model["digests"]),
    )


def _stems_of(facts: Json) -> StemsFacts:
    stems = facts["stems"]
    separator = stems["separator"]
    return StemsFacts(
        mode=StemMode(facts["stemMode"]),
        separator=SeparatorFacts(name=separator["name"], weights_sha256=separator["weightsSha256"]),
        files=tuple(_file_of(stems["files"][stem]) for stem in STEMS),
        residual_rule=stems["residualRule"],
        residual_dbfs=facts["residualDbfs"],
        excess_samples=int(facts["excessSamples"]),
    )


def _stems_facts(stems: StemsFacts) -> Json:
    return {
        "files": {stem: _file_facts(file) for stem, file in zip(STEMS, stems.files, strict=True)},
        "separator": {"name": stems.separator.name, "weightsSha256": stems.separator.weights_sha256},
        "residualRule": stems.residual_rule,
    }


def _file_of(facts: Mapping[str, Any]) -> FileFacts:
    loudness = Loudness(facts["lufs"], facts["truePeakDbtp"])
    return FileFacts(file=facts["file"], sha256=facts["sha256"], loudness=loudness)


def _file_facts(file: FileFacts) -> Json:
    return {
        "file": file.file,
        "sha256": file.sha256,
        "lufs": file.loudness.lufs,
        "truePeakDbtp": file.loudness.true_peak_dbtp,
    }


def _persona_facts(persona: PersonaFacts) -> Json:
    return {"id": persona.id, "prefix": persona.prefix, "embeddingSha256": persona.embedding_sha256}


def _model_facts(model: ModelFacts) -> Json:
    return {"name": model.name, "licence": model.licence, "digests": dict(model.digests)}


def _licence_facts(licence: Licence) -> Json:
    return {
        "tier": licence.tier,
        "licensee": licence.licensee,
        "terms": licence.terms,
        "covers": licence.covers,
    }


def _problem(facts: object) -> str | None:
    """A way in which ``facts`` break the schema, as a path and words; None where they do not."""
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(facts))
    return None if error is None else f"{error.json_path}: {error.message[:300]}"


@cache
def _validator() -> Any:  # noqa: ANN401  jsonschema has no types here
    from jsonschema import Draft202012Validator

    text = resources.files(_SCHEMA_PACKAGE).joinpath(_SCHEMA_FILE).read_text(encoding="utf-8")
    return Draft202012Validator(json.loads(text))


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _refused(what: str) -> InvalidFields:
    return InvalidFields([FieldViolation("manifest_json", what)])
