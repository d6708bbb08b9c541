"""Plans, re-renders and audit bodies as JSON: what earlier builds wrote is read, and written again byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from render_service.audit import (
    RERENDER,
    TAKE_BOUNCE,
    TAKE_STEMS,
    BounceFacts,
    StoredStems,
    audit_row,
    bounce_draft,
    manifest_of,
    rerender_draft,
    stems_draft,
)
from render_service.composer.score import Note, Part, Score
from render_service.composer.style import Instrumentation
from render_service.plan import Plan, plan_from_json, plan_json
from render_service.rerender import Rerender
from servicekit.audio.loudness import Loudness
from servicekit.delivery.audit_body import AUDIT_STEMS, STEMS_BODY
from servicekit.delivery.files import StoredFile
from servicekit.delivery.manifest import FileFacts, Licence, ModelFacts, SeparatorFacts
from servicekit.delivery.names import STEMS, LicenceCoverage, StemName
from servicekit.errors import NotFound
from servicekit.journal import canonical_json
from tests.support.journal_rows import audited, claimed, new_job, open_journal

GOLDEN = Path(__file__).parents[1] / "golden"
JOB = "j-01jd8m3k7qv5t9w2x4y6z8a1bc"
START = {"latents": StemName.VOCALS, "recording": StemName.BASS, "noise": StemName.OTHER}


def golden(name: str) -> str:
    """A file written by the code before there were models."""
    return (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


def sha(digit: str) -> str:
    """A digest that is easy to tell from others."""
    return digit * 64


def plan() -> Plan:
    """The plan of all golden files."""
    return plan_from_json(json.loads(golden("plan")))


def order(start: str = "latents") -> Rerender:
    """The re-render of a golden file."""
    return Rerender.read(json.loads(golden(f"plan-rerender-{start}"))["rerender"])


def facts(**changes: Any) -> BounceFacts:
    """The facts of all golden files."""
    made = BounceFacts(
        tenant="local",
        job_id=JOB,
        version=1,
        created_at=datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
        plan=plan(),
        labels={"b": "2", "a": "1"},
        licence=Licence(
            tier="sync", licensee="Someone", terms="https://example.com/terms", covers=LicenceCoverage.BOUNCE
        ),
        model=ModelFacts(name="starter", licence="Apache-2.0", digests={"vocoder": sha("d"), "denoiser": sha("e")}),
        fingerprint={"torch": "2.13.0", "device": "cpu"},
        processing=("vocoder gain 0.5",),
    )
    return replace(made, **changes)


def stored_stems(version: int, manifest_json: str = "{}") -> StoredStems:
    """What a separation stored of a version."""
    return StoredStems(
        zip=StoredFile(key=f"jobs/{JOB}/v{version}.zip", sha256=sha("a"), size_bytes=9000),
        zip_entries=order().base.entries,
        manifest=StoredFile(key=f"jobs/{JOB}/v1.json", sha256=sha("7"), size_bytes=3000),
        manifest_json=manifest_json,
        separator=SeparatorFacts(name="htdemucs_ft", weights_sha256=sha("8")),
        fingerprint={"torch": "2.13.0", "device": "cuda"},
    )


def test_plans_of_earlier_builds_come_back_byte_for_byte() -> None:
    """A plan is read with its tempo map, key and chords, and written as it was."""
    assert (str(plan().key), plan().tempo_map.points[1].beats_per_bar, len(plan().chords)) == ("A minor", 7, 2)
    assert json.dumps(plan_json(plan())) == golden("plan")
    assert (plan().loop, plan().target_lufs, plan().score) == (False, None, None)


def test_loop_loudness_target_and_score_are_part_of_the_plan() -> None:
    """So of the audit row and of a replay."""
    note = Note(part=Part.BASS, start_s=0.5, end_s=1.25, pitch=33, velocity=1.0)
    score = Score(instrumentation=(Instrumentation.ORGAN,), sections=(), notes=(note,), sung=())
    asked = replace(plan(), loop=True, target_lufs=-14.5, score=score)
    assert plan_from_json(json.loads(json.dumps(plan_json(asked)))) == asked


@pytest.mark.parametrize("start", START)
def test_rerenders_of_earlier_builds_come_back_byte_for_byte(start: str) -> None:
    """With latents and a range of bars, with an upload's recording, and from noise."""
    assert (order(start).stem, order(start).from_noise) == (START[start], start == "noise")
    assert json.dumps({**plan_json(plan()), "rerender": order(start).facts()}) == golden(f"plan-rerender-{start}")
    assert not order(start).match_mix
    assert not order(start).prefer_new_sound
    fitted = replace(order(start), match_mix=True, prefer_new_sound=True)
    assert Rerender.read(json.loads(json.dumps(fitted.facts()))) == fitted


def test_a_changed_plan_is_refused_by_its_field() -> None:
    """What is missing or malformed is named."""
    good = plan_json(plan())
    with pytest.raises(ValueError, match="guidance"):
        plan_from_json({name: value for name, value in good.items() if name != "guidance"})
    with pytest.raises(ValueError, match="MAJ9"):
        plan_from_json({**good, "chords": [[0.0, 8.0, 0, "MAJ9", 0]]})
    with pytest.raises(ValueError, match="tempoMap: must be 30 to 300, got 1000"):
        plan_from_json({**good, "tempoMap": {**good["tempoMap"], "points": [{"second": 0.0, "bpm": 1000.0}]}})


def test_bodies_of_earlier_builds_come_back_byte_for_byte() -> None:
    """Bounce, stems, stems of silence, and a re-render."""
    for codec, name in (
        (TAKE_BOUNCE, "bounce"),
        (TAKE_STEMS, "stems"),
        (TAKE_STEMS, "stems-silent"),
        (RERENDER, "rerender"),
    ):
        text = golden(f"audit-{name}")
        assert canonical_json(codec.write(codec.read(json.loads(text)))) == text


def test_bodies_are_written_as_earlier_builds_wrote_them() -> None:
    """The same facts give the same bytes, and no row holds the prompt."""
    manifest = manifest_of(
        facts(processing=("vocoder gain 0.5", "gain -1.20 dB")),
        frames=363825,
        bounce=FileFacts(file="bounce.wav", sha256=sha("f"), lufs=-14.26, true_peak_dbtp=-1.0),
    )
    bounce = StoredFile(key=f"jobs/{JOB}/bounce.wav", sha256=sha("f"), size_bytes=1234)
    latents = StoredFile(key=f"jobs/{JOB}/v1.latents.safetensors", sha256=sha("b"), size_bytes=1234)
    measured = {**json.loads(golden("audit-rerender"))["rerender"], "onsets": {"grid": [0.25]}}
    drafts = {
        "bounce": bounce_draft(manifest, facts(), bounce, latents, None),
        "stems": stems_draft(manifest, facts(), bounce, stored_stems(1)),
        "rerender": rerender_draft(
            manifest,
            facts(version=2),
            order(),
            bounce=StoredFile(key=f"jobs/{JOB}/v2.wav", sha256=sha("6"), size_bytes=2183000),
            loudness=Loudness(-15.5, -1.25),
            stems=stored_stems(2, json.dumps({"rerender": measured})),
            midi=None,
        ),
    }
    for name, draft in drafts.items():
        assert canonical_json(draft.body) == golden(f"audit-{name}")
        assert draft.prompt == plan().prompt


@pytest.mark.parametrize("name", ["stems", "rerender", "upload-stems"])
def test_a_rerender_reads_its_base_from_any_row_of_stems(name: str) -> None:
    """Whichever service wrote it: the ZIP, the bounce, the manifest and the four stems by their digests."""
    body = STEMS_BODY.read(json.loads(golden(f"audit-{name}")))
    assert tuple(body.stems) == tuple(sorted(STEMS))
    assert (body.manifest_sha256, body.separator.name) == (sha("7"), "htdemucs_ft")


def test_facts_are_read_from_their_audit_row(tmp_path: Path) -> None:
    """A bounce read back has the facts it was made from; the prompt comes from beside the chain."""
    with open_journal(tmp_path) as journal:
        journal.accept(new_job(), limit=10)
        body = json.loads(golden("audit-bounce"))
        row = audited(journal, claimed(journal), "bounce", body, prompt=plan().prompt)
        read = BounceFacts.audited(row, TAKE_BOUNCE.read(row.body()), plan().prompt)
        assert replace(read, job_id=JOB) == facts(processing=("vocoder gain 0.5", "gain -1.20 dB"))
        assert audit_row(journal, "local", row.job_id, 1, "bounce") == row
        with pytest.raises(NotFound, match="'stems'"):
            audit_row(journal, "local", row.job_id, 1, AUDIT_STEMS)
