"""The commands on existing jobs, uploads, personas and audit rows, against scripted services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from servicekit.errors import Unavailable
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2
from tests.support.client_command import RENDER, lines, sonichaos
from tests.support.scripted_service import BOUNCE
from tests.support.scripted_services import ScriptedPair, scripted_pair


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


def test_separate_uploads_and_downloads(pair: ScriptedPair, tmp_path: Path) -> None:
    """A WAV is uploaded and its stems are downloaded."""
    wav = tmp_path / "live take.wav"
    wav.write_bytes(b"RIFF" + bytes(2_000_000))
    result = sonichaos(pair, "separate", str(wav), "--out", str(tmp_path / "out"), "--stem-mode", "raw")
    assert result.exit_code == 0, result.stderr
    assert pair.separation.uploads == [wav.read_bytes()]
    assert pair.separation.requests("CreateSeparation")[0].header.stem_mode == brief_pb2.STEM_MODE_RAW
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".zip"]


def test_jobs_get_cancel_delete_sign_url(pair: ScriptedPair, tmp_path: Path) -> None:
    """The commands on existing jobs."""
    job_id = json.loads(sonichaos(pair, *RENDER, "--stems", "--json").stdout.splitlines()[-1])["jobId"]
    other = pair.separation.accept("j-upload", stems=True).job_id
    assert {line["jobId"] for line in lines(sonichaos(pair, "jobs", "--json"))} == {job_id, other}
    assert job_id in sonichaos(pair, "jobs", "--owner", "render").stdout
    assert lines(sonichaos(pair, "get", job_id, "--json"))[0]["state"] == "JOB_STATE_DONE"
    assert "done" in sonichaos(pair, "get", job_id).stdout
    assert "kept until" not in sonichaos(pair, "get", job_id).stdout
    pair.render.jobs[job_id].purge_time.FromSeconds(86400)
    assert "  kept until 1970-01-02 00:00:00 UTC" in sonichaos(pair, "get", job_id).stdout
    fetched = sonichaos(pair, "get", job_id, "--out", str(tmp_path), "--file", "bounce")
    assert Path(fetched.stdout.strip()).read_bytes() == BOUNCE
    assert sonichaos(pair, "sign-url", job_id).stdout.startswith(pair.files.base_url)
    assert sonichaos(pair, "cancel", other).exit_code == 0
    assert pair.separation.requests("CancelJob")[0].job_id == other
    assert lines(sonichaos(pair, "delete", job_id, "--json")) == [{"jobId": job_id, "deleted": True}]
    assert sonichaos(pair, "get", job_id).exit_code == 2


def test_delete_of_a_version_keeps_the_job(pair: ScriptedPair) -> None:
    """The version is marked in what ``get`` shows; the original is refused before any call."""
    versions = pair.render.accept("j-two", stems=False).versions
    versions.add(number=2, state=job_pb2.JOB_STATE_DONE)
    result = sonichaos(pair, "delete", "j-two", "--version", "2")
    assert (result.exit_code, result.stdout) == (0, "j-two v2: deleted\n")
    as_json = sonichaos(pair, "delete", "j-two", "--version", "2", "--json")
    assert lines(as_json) == [{"jobId": "j-two", "version": 2, "deleted": True}]
    shown = sonichaos(pair, "get", "j-two").stdout
    assert "j-two v2: done, deleted 1970-01-01 00:00:01 UTC" in shown
    assert shown.count("deleted") == 1
    refused = sonichaos(pair, "delete", "j-two", "--version", "1")
    assert refused.exit_code == 2
    assert len(pair.render.requests("DeleteVersion")) == 2


def test_retry_passes_over_versions_that_cannot_run_again(pair: ScriptedPair) -> None:
    """A failed version that was deleted, and one whose base version was."""
    versions = pair.render.accept("j-four", stems=False).versions
    for number, base in ((2, 1), (3, 1), (4, 3)):
        versions.add(number=number, base_version=base, state=job_pb2.JOB_STATE_FAILED)
    versions[2].delete_time.FromSeconds(1)
    assert sonichaos(pair, "retry", "j-four", "--detach").exit_code == 0
    assert [request.version for request in pair.render.requests("RetryVersion")] == [2]


def test_an_empty_list_of_jobs_says_so(pair: ScriptedPair) -> None:
    """On stderr: how to create a job, or that the options match none; stdout stays empty."""
    for typed, said in (
        ((), "There are no jobs yet. 'sonichaos render'"),
        (("--json",), "There are no jobs yet"),
        (("--state", "failed"), "No job matches"),
        (("--search", "Tape piano"), "No job matches"),
    ):
        result = sonichaos(pair, "jobs", *typed)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(said)
    assert pair.render.requests("ListJobs")[-1].prompt_contains == "Tape piano"


def test_usage_shows_each_limit(pair: ScriptedPair) -> None:
    """What is used, of how much; 0 is no limit."""
    assert sonichaos(pair, "usage").stdout.splitlines() == [
        "tenant acme",
        "waiting_jobs           2 of 100",
        "upload_bytes_per_day   1,234,567 (no limit)",
        "A new day begins at 1970-01-02 00:00:00 UTC.",
    ]
    (shown,) = lines(sonichaos(pair, "usage", "--json"))
    assert (shown["tenant"], shown["limits"][0]["allowed"]) == ("acme", 100.0)


def test_priorities_are_sent(pair: ScriptedPair, tmp_path: Path) -> None:
    """By every command that creates work."""
    wav = tmp_path / "take.wav"
    wav.write_bytes(b"RIFF" + bytes(1000))
    job_id = json.loads(sonichaos(pair, *RENDER, "--priority", "7", "--json").stdout.splitlines()[-1])["jobId"]
    sonichaos(pair, "separate", str(wav), "--priority", "-3")
    sonichaos(pair, "stems", job_id, "--priority", "100")
    assert pair.render.requests("CreateRender")[-1].priority == 7
    assert pair.separation.requests("CreateSeparation")[0].header.priority == -3
    assert pair.render.requests("AddStems")[-1].priority == 100
    wrong = sonichaos(pair, *RENDER, "--priority", "101")
    assert (wrong.exit_code, "from -100 to 100, got 101" in wrong.stderr) == (2, True)


def test_personas_and_persona_add(pair: ScriptedPair, tmp_path: Path) -> None:
    """A persona is created from the audio files of a folder, in the order of their names; personas are listed one per line."""
    for name in ("b.flac", "a.WAV", "notes.txt"):
        (tmp_path / name).write_bytes(name.encode())
    added = sonichaos(pair, "persona", "add", "moss", "--clips", str(tmp_path), "--prefix", "soft")
    assert added.exit_code == 0, added.stderr
    assert pair.render.uploads == [b"a.WAV", b"b.flac"]
    pair.render.personas["ember"] = render_pb2.Persona(id="ember", built_in=True)
    assert [line["id"] for line in lines(sonichaos(pair, "personas", "--json"))] == ["ember", "moss"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert sonichaos(pair, "persona", "add", "x", "--clips", str(empty), "--prefix", "p").exit_code == 2


def test_audit_shows_verifies_and_replays(pair: ScriptedPair) -> None:
    """Exit status 0 for an intact chain and an exact replay, 3 for a broken chain or a different take."""
    pair.render.rows = [render_pb2.AuditRow(sequence=1, job_id="j-1", version=1, kind="bounce", digest="cd" * 32)]
    shown = sonichaos(pair, "audit", "j-1", "--replay", "--json")
    assert shown.exit_code == 0
    row, chain, replay = lines(shown)
    assert (row["jobId"], chain["intact"], replay["outcome"]) == ("j-1", True, "REPLAY_OUTCOME_EXACT")
    assert f"2:{'ab' * 32}" in sonichaos(pair, "audit").stdout
    sonichaos(pair, "audit", "--head", f"2:{'ab' * 32}")
    assert pair.render.requests("VerifyAuditChain")[-1].head_digest == "ab" * 32
    pair.render.replayed = render_pb2.ReplayTakeResponse(outcome=render_pb2.REPLAY_OUTCOME_DIFFERENT)
    assert sonichaos(pair, "audit", "j-1", "--replay").exit_code == 3
    pair.render.chain = render_pb2.VerifyAuditChainResponse(intact=False, broken_sequence=1, detail="digest")
    broken = sonichaos(pair, "audit")
    assert broken.exit_code == 3
    assert "BROKEN at row 1" in broken.stdout


def test_erase_prompt_names_the_files_that_still_contain_it(pair: ScriptedPair) -> None:
    """--yes replaces the confirmation; the result is text or JSON; the error for an unknown job names it."""
    pair.render.accept("j-1", stems=False)
    (erased,) = lines(sonichaos(pair, "erase-prompt", "j-1", "--yes", "--json"))
    assert erased == {"auditRows": 2, "keysWithPrompt": ["jobs/j-1/v1.json"], "purgePending": False}
    text = sonichaos(pair, "erase-prompt", "j-1", "--yes").stdout
    assert "until the job is deleted: jobs/j-1/v1.json" in text
    unknown = sonichaos(pair, "erase-prompt", "j-2", "--yes")
    assert (unknown.exit_code, "j-2" in unknown.stderr) == (2, True)


def test_erase_prompt_without_a_terminal_requires_yes(pair: ScriptedPair) -> None:
    """A script must confirm explicitly; otherwise nothing is erased."""
    pair.render.accept("j-1", stems=False)
    refused = sonichaos(pair, "erase-prompt", "j-1")
    assert refused.exit_code == 2
    assert "--yes" in refused.stderr
    assert pair.render.requests("ErasePrompt") == []


def test_erase_shows_what_was_erased_and_what_remains(pair: ScriptedPair) -> None:
    """As text or JSON, for a job and for a tenant, whose erasure is repeated on both services until it has ended."""
    pair.render.accept("j-1", stems=False)
    text = sonichaos(pair, "erase", "j-1", "--yes").stdout
    assert text == (
        "j-1: erased\n  erased: 3 job files\n  remains: 2 audit rows: chained\n  remains: backups: made before\n"
    )
    (erased,) = lines(sonichaos(pair, "erase", "j-1", "--yes", "--json"))
    assert (erased["jobId"], erased["erased"]) == ("j-1", [{"kind": "DATA_KIND_JOB_FILES", "count": "3"}])
    both = lines(sonichaos(pair, "erase", "--tenant", "studio", "--yes", "--json"))
    assert [(line["service"], line["finished"]) for line in both] == [("render", True), ("separation", True)]
    for service in (pair.render, pair.separation):
        asked = service.requests("EraseTenant")
        assert [(request.tenant, request.confirm_tenant) for request in asked] == [("studio", "studio")] * 2
    assert "studio: erased by separation_service" in sonichaos(pair, "erase", "--tenant", "studio", "--yes").stdout


@pytest.mark.parametrize("arguments", [[], ["j-1", "--tenant", "studio"], ["j-1"], ["--tenant", "studio"]])
def test_erase_needs_one_target_and_a_confirmation(pair: ScriptedPair, arguments: list[str]) -> None:
    """Otherwise nothing is erased: here stdin is no terminal, so that only --yes confirms."""
    pair.render.accept("j-1", stems=False)
    assert sonichaos(pair, "erase", *arguments).exit_code == 2
    assert [*pair.render.requests("EraseJob"), *pair.render.requests("EraseTenant")] == []


def test_drain_stops_both_services(pair: ScriptedPair) -> None:
    """With the services' own time limit, or one that is given: separation_service after render_service has ended."""
    assert sonichaos(pair, "drain").stdout == (
        "render_service: stops; running work has 30 s to finish\nseparation_service: stops; running work has 30 s to finish\n"
    )
    answers = lines(sonichaos(pair, "drain", "--timeout", "2.5", "--json"))
    assert [(answer["service"], answer["timeout"]) for answer in answers] == [
        ("render", "2.500s"),
        ("separation", "2.500s"),
    ]
    assert [request.HasField("timeout") for request in pair.separation.requests("Drain")] == [False, True]
    assert len(pair.render.requests("Drain")) == 4
    assert sonichaos(pair, "drain", "--timeout", "3601").exit_code == 2


def test_drain_reports_a_service_that_is_down(pair: ScriptedPair) -> None:
    """The other one is drained. A separation_service that has ended with render_service is no error."""
    pair.render.errors["Drain"] = [Unavailable("the store is down")]
    assert sonichaos(pair, "drain").exit_code == 75
    assert len(pair.separation.requests("Drain")) == 1
    drained = sonichaos(pair, "drain", "--separation-address", "127.0.0.1:1")
    assert drained.exit_code == 0
    assert "separation_service: does not answer" in drained.stderr


def test_verify_prints_the_failed_checks(pair: ScriptedPair, tmp_path: Path) -> None:
    """Exit status 3 and the failed checks of a file that is not a ZIP, as text and JSON; no service is called."""
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK not really")
    as_text = sonichaos(pair, "verify", str(path))
    assert as_text.exit_code == 3
    assert f"{path}: 1 check failed" in as_text.stdout
    report = lines(sonichaos(pair, "verify", str(path), "--json"))[0]
    assert report["valid"] is False
    assert report["failures"][0]["message"]
    assert sonichaos(pair, "verify", str(tmp_path / "missing.zip")).exit_code == 2


def test_untrusted_text_cannot_control_the_terminal(pair: ScriptedPair) -> None:
    """Control characters of a prompt are not printed."""
    pair.render.accept("j-1", stems=False, prompt="a\x1b[2Jb\nc")
    assert "\x1b" not in sonichaos(pair, "jobs").stdout
    assert len(sonichaos(pair, "jobs").stdout.splitlines()) == 1


def test_analysis_and_drift_report_as_text(pair: ScriptedPair, tmp_path: Path) -> None:
    """Tempo, grid and key with their confidences, and the drift of re-renders, as text."""
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    analysis = sonichaos(pair, "analyze", str(tmp_path / "a.wav")).stdout
    assert "92.00 bpm" in analysis
    assert "or 184.0 bpm" in analysis
    assert "A minor" in analysis
    report = sonichaos(pair, "drift-report", "--stem", "bass").stdout
    assert pair.render.requests("GetDriftReport")[0].stem == brief_pb2.STEM_BASS
    assert "j-1 v2" in report
    assert "j-2 v3   not measurable, not counted" in report
    assert "1 of 1 within the limits" in report
    assert "threshold not met" in report


def test_a_deleted_newest_version_is_listed_as_such(pair: ScriptedPair) -> None:
    """Not by the state in which it ended."""
    job_id = sonichaos(pair, *RENDER, "--stems", "--detach").stdout.strip()
    sonichaos(pair, "watch", job_id)
    job = pair.render.jobs[job_id]
    job.versions.add(number=2, state=job_pb2.JOB_STATE_FAILED, base_version=1).delete_time.GetCurrentTime()
    job.latest.number, job.latest.state = 2, job_pb2.JOB_STATE_FAILED
    listed = sonichaos(pair, "jobs").stdout
    assert "v2 deleted" in listed
    assert "failed" not in listed


def test_without_a_version_the_newest_that_fits_is_used(pair: ScriptedPair, tmp_path: Path) -> None:
    """A failed re-render does not hide the files of the version before it; a cancel reaches every unfinished version."""
    job_id = sonichaos(pair, *RENDER, "--stems", "--detach").stdout.strip()
    sonichaos(pair, "watch", job_id)
    job = pair.render.jobs[job_id]
    job.versions.add(number=2, state=job_pb2.JOB_STATE_FAILED, base_version=1)
    job.latest.number, job.latest.state = 2, job_pb2.JOB_STATE_FAILED
    assert "v2 failed" in sonichaos(pair, "jobs").stdout
    fetched = sonichaos(pair, "get", job_id, "--out", str(tmp_path))
    assert fetched.stdout.strip() == str(tmp_path / f"{job_id}-v1.zip")
    assert sonichaos(pair, "get", job_id, "--version", "3").exit_code == 2
    job.versions.add(number=3, state=job_pb2.JOB_STATE_QUEUED)
    job.versions.add(number=4, state=job_pb2.JOB_STATE_RUNNING)
    sonichaos(pair, "cancel", job_id)
    assert [request.version for request in pair.render.requests("CancelJob")] == [0, 3, 4]
    sonichaos(pair, "cancel", job_id, "--version", "4")
    assert pair.render.requests("CancelJob")[-1].version == 4
    sonichaos(pair, "sign-url", job_id)
    assert pair.render.requests("CreateSignedUrl")[-1].version == 0
    sonichaos(pair, "audit", job_id, "--replay")
    assert pair.render.requests("ReplayTake")[-1].version == 0
