"""Audit rows of an upload: written as earlier builds wrote them."""

from __future__ import annotations

import json
from pathlib import Path

from separation_service.engine import SeparatorInfo
from separation_service.store import StoredPackage
from separation_service.uploads.audit import UPLOAD_BOUNCE, UPLOAD_STEMS, UploadFacts
from servicekit.delivery.files import StoredFile, ZipEntry
from servicekit.delivery.manifest_json import manifest_text, read_manifest
from servicekit.delivery.names import STEMS, StemMode
from servicekit.journal import canonical_json

GOLDEN = Path(__file__).parents[1] / "golden"
JOB = "j-01jd8m3k7qv5t9w2x4y6z8a1bc"


def golden(name: str) -> str:
    """A file written by the code before there were models."""
    return (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


def test_the_plan_and_the_rows_of_earlier_builds_come_back_byte_for_byte() -> None:
    """The manifest and the stored bounce in the plan, the row of the bounce, and the row of the stems."""
    plan = json.loads(golden("plan-upload"))
    assert manifest_text(read_manifest(plan["manifest"])) == plan["manifest"]
    facts = UploadFacts(
        manifest=read_manifest(plan["manifest"]),
        bounce=StoredFile(**plan["bounce"]),
        upload=plan["upload"],
        stem_mode=StemMode.RAW,
    )
    stored = StoredPackage(
        zip=StoredFile(key=f"jobs/{JOB}/v1.zip", sha256="a" * 64, size_bytes=9000),
        entries=tuple(
            ZipEntry(name=f"{stem}.wav", offset_bytes=100, size_bytes=900, sha256=f"{number}" * 64)
            for number, stem in enumerate(STEMS, 1)
        ),
        manifest=StoredFile(key=f"jobs/{JOB}/v1.json", sha256="7" * 64, size_bytes=3000),
        manifest_json="{}",
        fingerprint={"torch": "2.13.0", "device": "cpu"},
        bounce=None,
    )
    separator = SeparatorInfo(
        name="htdemucs_ft",
        licence="MIT",
        sources=STEMS,
        models=4,
        parameters=1,
        files=(),
        weights_sha256="8" * 64,
        fingerprint={},
    )
    assert canonical_json(facts.bounce_draft().body) == golden("audit-upload-bounce")
    assert canonical_json(facts.stems_draft(stored, separator).body) == golden("audit-upload-stems")


def test_rows_are_read_back() -> None:
    """Each codec reads what it wrote."""
    for codec, name in ((UPLOAD_BOUNCE, "audit-upload-bounce"), (UPLOAD_STEMS, "audit-upload-stems")):
        assert canonical_json(codec.write(codec.read(json.loads(golden(name))))) == golden(name)
