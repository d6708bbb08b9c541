"""The manifest and its published schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from servicekit.audio.loudness import Loudness
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
from servicekit.delivery.manifest_json import manifest_facts, manifest_text, read_manifest
from servicekit.delivery.names import STEMS, StemMode
from servicekit.errors import Internal, InvalidFields

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = ROOT / "tests/unit/golden"
PUBLISHED = ROOT / "protos/sonichaos/manifest/v1/manifest.schema.json"
SHA = "0123456789abcdef" * 4

TAKE = Manifest(
    job_id="j-01jd8m3k7qv5t9w2x4y6z8a1bc",
    version=1,
    created_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
    origin=Origin(
        prompt='dusty "boom bap", 日本語',
        persona=PersonaFacts(id="ember", prefix="warm tape", embedding_sha256=SHA),
        seed=4294967295,
        model=ModelFacts(name="starter", licence="Apache-2.0", digests={"vocoder": SHA, "denoiser": SHA}),
    ),
    tempo_map={
        "points": [{"second": 0.0, "bpm": 92.5, "beatsPerBar": 4, "beatUnit": 4}],
        "firstDownbeatSecond": 0.0,
        "swingRatio": 0.58,
    },
    key="A minor",
    frames=352800,
    bounce=FileFacts(file="bounce.wav", sha256=SHA, lufs=-14.26, true_peak_dbtp=-1.0),
    licence=Licence(tier="sync", licensee="Someone", terms="https://example.com/terms"),
    labels={"b": "2", "a": "1"},
    fingerprint={"torch": "2.13.0", "device": "cpu"},
    processing=("gain -1.20 dB",),
)
UPLOAD = replace(TAKE, origin=None, tempo_map=None, key=None)
STEMS = StemsFacts(
    mode=StemMode.EXACT,
    separator=SeparatorFacts(name="starter", weights_sha256=SHA),
    files=tuple(FileFacts(file=f"{t}.wav", sha256=SHA, lufs=None, true_peak_dbtp=None) for t in STEMS),
    residual_rule="local-energy-2048",
    residual_dbfs=-41.5,
    excess_samples=0,
)
WITH_STEMS = TAKE.with_stems(STEMS, fingerprint={"device": "cuda"}, processing=("separated",))
RERENDERED = replace(WITH_STEMS, version=2, rerender={"baseVersion": 1, "stem": "vocals", "gainDb": -0.5})


@pytest.mark.parametrize("name", ["take", "stems", "rerender", "v2", "upload", "upload-raw"])
def test_manifests_of_earlier_builds_are_read_and_written_unchanged(name: str) -> None:
    """The bytes of tests/unit/golden, written before there were models, come back byte for byte."""
    text = (GOLDEN / f"manifest-{name}.json").read_text(encoding="utf-8")
    assert manifest_text(read_manifest(text)) == text


@pytest.mark.parametrize("manifest", [TAKE, UPLOAD, WITH_STEMS, RERENDERED], ids=["take", "upload", "stems", "v2"])
def test_comes_back(manifest: Manifest) -> None:
    """What is written is read as the same value, and writing that gives the same bytes."""
    text = manifest_text(manifest)
    assert read_manifest(text) == manifest
    assert manifest_text(read_manifest(text)) == text


def test_a_year_has_four_digits() -> None:
    """Also one before 1000: what is read can be written."""
    text = manifest_text(replace(TAKE, created_at=datetime(26, 1, 2, tzinfo=UTC)))
    assert json.loads(text)["createdAt"] == "0026-01-02T00:00:00Z"
    assert manifest_text(read_manifest(text)) == text


def test_top_level_is_the_contract() -> None:
    """The names at the top are those of the contract, `rerender` only on a re-render."""
    contract = """
        prompt persona seed model lufs stems schema jobId version sampleRate bitDepth frames tempoMap key truePeakDbtp
        stemMode residualDbfs excessSamples processing bounce licence labels fingerprint createdAt
    """
    wanted = set(contract.split())
    assert set(manifest_facts(WITH_STEMS)) == wanted
    assert set(manifest_facts(RERENDERED)) == wanted | {"rerender"}


def test_upload_has_nulls() -> None:
    """For an upload, what it lacks is null, and so is what belongs to stems until there are any."""
    facts = json.loads(manifest_text(UPLOAD))
    absent = (
        "prompt",
        "persona",
        "seed",
        "model",
        "tempoMap",
        "key",
        "stems",
        "stemMode",
        "residualDbfs",
        "excessSamples",
    )
    assert [facts[name] for name in absent] == [None] * len(absent)


def test_stems_complete_a_bounce() -> None:
    """Stems add their facts and the separation's fingerprint under its own names, and change nothing else."""
    before, after = manifest_facts(TAKE), manifest_facts(WITH_STEMS)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"stems", "stemMode", "residualDbfs", "excessSamples", "processing", "fingerprint"}
    assert after["fingerprint"] == {"device": "cpu", "torch": "2.13.0", "separation.device": "cuda"}
    assert after["stems"]["files"]["vocals"] == {
        "file": "vocals.wav",
        "sha256": SHA,
        "lufs": None,
        "truePeakDbtp": None,
    }


def test_equal_manifests_are_equal_bytes() -> None:
    """The order in which labels or digests were given does not matter."""
    other = replace(TAKE, labels={"a": "1", "b": "2"}, fingerprint={"device": "cpu", "torch": "2.13.0"})
    assert manifest_text(other) == manifest_text(TAKE)


def test_both_services_say_the_same_of_a_wav() -> None:
    """Facts for a WAV are the same from a manifest that was just made and from one that was read."""
    loudness = Loudness(-14.26, -1.0)
    assert read_manifest(manifest_text(TAKE)).wav_facts("bounce", loudness) == TAKE.wav_facts("bounce", loudness)
    assert TAKE.wav_facts("drums", loudness).source == "generated"
    assert UPLOAD.wav_facts("drums", loudness).source == "separated"


def change(path: str, value: Any) -> str:
    """The text of a full manifest with one value changed; ``...`` removes it."""
    facts = json.loads(manifest_text(RERENDERED))
    *parents, last = path.split(".")
    at: Any = facts
    for name in parents:
        at = at[int(name)] if isinstance(at, list) else at[name]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return json.dumps(facts)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "sonichaos.manifest.v2"),
        ("jobId", "../j-1"),
        ("jobId", ""),
        ("version", 0),
        ("version", 1),
        ("createdAt", "2026-03-04 05:06:07"),
        ("prompt", ...),
        ("persona", {"id": "ember"}),
        ("persona", None),
        ("seed", -1),
        ("seed", 4294967296),
        ("frames", 0),
        ("sampleRate", 48000),
        ("bitDepth", 16),
        ("lufs", "-inf"),
        ("bounce.sha256", "ABC"),
        ("bounce.extra", 1),
        ("stems", None),
        ("stemMode", None),
        ("stemMode", "approximate"),
        ("excessSamples", -1),
        ("stems.files.vocals", ...),
        ("stems.separator.name", ""),
        ("tempoMap.points", []),
        ("tempoMap.swingRatio", 0.9),
        ("licence.covers", "everything"),
        ("labels.a", 1),
        ("processing", [""]),
        ("rerender", ...),
        ("rerender.stem", "strings"),
        ("surprise", True),
    ],
)
def test_what_breaks_the_schema_is_refused(path: str, value: Any) -> None:
    """A manifest that lacks a fact, or has a wrong or an unknown one, is refused as an invalid field."""
    with pytest.raises(InvalidFields) as caught:
        read_manifest(change(path, value))
    assert caught.value.violations[0].field == "manifest_json"


def test_a_refusal_names_the_part() -> None:
    """What is wrong deep within a part that may be null is named by its own path."""
    with pytest.raises(InvalidFields, match=r"\$\.tempoMap\.swingRatio: 0\.9 is greater"):
        read_manifest(change("tempoMap.swingRatio", 0.9))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"lufs": NaN}', '{"prompt": "\\ud800"}', "[" * 200_000])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    """Anything else than a JSON object in UTF-8 is refused."""
    with pytest.raises(InvalidFields):
        read_manifest(text)


def test_a_number_beyond_all_others_is_refused() -> None:
    """It would be read as infinity, which cannot be written."""
    text = manifest_text(TAKE).replace('"lufs": -14.26', '"lufs": -1e999')
    assert "1e999" in text
    with pytest.raises(InvalidFields):
        read_manifest(text)


def test_too_long_is_refused() -> None:
    """A text that is longer than any manifest is refused unread."""
    with pytest.raises(InvalidFields, match="at most 1048576 characters"):
        read_manifest(manifest_text(TAKE) + " " * (1 << 20))


def test_a_broken_manifest_is_never_written() -> None:
    """A fact that the schema does not allow stops the writer, naming the fact."""
    with pytest.raises(Internal, match=r"\$\.frames"):
        manifest_text(replace(TAKE, frames=0))


def test_schema_is_published_twice_and_alike() -> None:
    """The schema that the client carries is the one beside the protos, it is valid, and it describes every field."""
    carried = resources.files("sonichaos.manifest.v1").joinpath("manifest.schema.json").read_text(encoding="utf-8")
    assert carried == PUBLISHED.read_text(encoding="utf-8")
    schema = json.loads(carried)
    Draft202012Validator.check_schema(schema)
    assert [name for name, facts in _fields(schema) if "description" not in facts] == []


def _fields(schema: Any) -> list[tuple[str, Any]]:
    """Every property of an object, outside of conditions."""
    if not isinstance(schema, dict):
        return []
    found = list(schema.get("properties", {}).items()) if "additionalProperties" in schema or "type" in schema else []
    for name, part in schema.items():
        if name != "allOf":
            found += [
                field
                for value in (part.values() if name in ("properties", "$defs") else [part])
                for field in _fields(value)
            ]
    return found
