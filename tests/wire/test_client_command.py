"""The ``sonichaos`` command against scripted services: exit statuses, JSON lines, files and messages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from servicekit.errors import (
    AlreadyExists,
    DataLoss,
    FailedPrecondition,
    FieldViolation,
    Internal,
    InvalidFields,
    NotFound,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client.cli import cli
from tests.support.scripted_service import BOUNCE, ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair

ROOT = Path(__file__).resolve().parents[2]
RENDER = ("render", "--prompt", "dusty boom bap", "--persona", "ember")


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


def sonichaos(pair: ScriptedPair, *arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli, arguments, env=pair.environment, prog_name="sonichaos")


def lines(result: Result) -> list[dict[str, Any]]:
    """The JSON objects on stdout."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_render_follows_the_take_and_downloads_its_zip(pair: ScriptedPair, tmp_path: Path) -> None:
    """The job is accepted, both tracks are shown, the ZIP is downloaded, and the exit status is 0."""
    result = sonichaos(pair, *RENDER, "--stems", "--seconds", "8", "--seed", "7", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    job_id = next(iter(pair.render.jobs))
    assert (tmp_path / "out" / f"{job_id}-v1.zip").read_bytes() == ZIP
    assert "render [##########]" in result.stderr
    assert "stems  [##########]" in result.stderr
    assert "the bounce is ready" in result.stderr
    assert str(tmp_path / "out" / f"{job_id}-v1.zip") in result.stdout
    brief = pair.render.requests("CreateRender")[0].brief
    assert (brief.seconds, brief.seed, brief.stems) == (8, 7, True)
    assert brief.stem_mode == brief_pb2.STEM_MODE_EXACT


def test_without_stems_the_bounce_is_downloaded(pair: ScriptedPair, tmp_path: Path) -> None:
    """The file of a take without stems is its bounce."""
    result = sonichaos(pair, *RENDER, "--out", str(tmp_path))
    assert result.exit_code == 0, result.stderr
    assert [path.suffix for path in tmp_path.iterdir()] == [".wav"]
    assert next(tmp_path.iterdir()).read_bytes() == BOUNCE
    assert "stems" not in result.stderr


def test_json_is_one_object_per_line(pair: ScriptedPair, tmp_path: Path) -> None:
    """The accepted job, each event, the file and the finished job, in lowerCamelCase."""
    result = sonichaos(pair, *RENDER, "--stems", "--json", "--out", str(tmp_path))
    first, *events, file, last = lines(result)
    assert first["jobId"] == last["jobId"]
    assert (first["state"], last["state"]) == ("JOB_STATE_QUEUED", "JOB_STATE_DONE")
    assert [event["sequence"] for event in events] == [str(number) for number in range(1, 11)]
    assert events[1]["stepsDone"] == 1
    assert file["path"] == str(tmp_path / f"{first['jobId']}-v1.zip")
    assert result.stderr.splitlines() == [f"accepted {first['jobId']}"]


def test_detach_prints_only_the_id(pair: ScriptedPair) -> None:
    """A script can read the id from stdout."""
    result = sonichaos(pair, *RENDER, "--detach")
    assert result.stdout.strip() == next(iter(pair.render.jobs))
    assert pair.render.requests("WatchJob") == []


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (InvalidFields([FieldViolation("brief.prompt", "is longer than 2000 characters")]), 2),
        (NotFound("no persona", reason="PERSONA_NOT_FOUND", metadata={"known": "ember, moss"}), 2),
        (AlreadyExists("the request id was used with another brief"), 2),
        (FailedPrecondition("no lyrics here", reason="UNSUPPORTED_BY_RENDERER"), 2),
        (ResourceExhausted("the queue is full", retry_after_s=30), 75),
        (ResourceExhausted("too large", reason="TOO_LARGE"), 2),
        (Unavailable("warming", reason="WARMING", retry_after_s=3), 75),
        (Unavailable("store is down", reason="STORE_UNAVAILABLE"), 75),
        (DataLoss("changed"), 3),
        (Internal("oh"), 1),
    ],
)
def test_exit_status_of_an_error(pair: ScriptedPair, refusal: ServiceError, status: int) -> None:
    """Each kind of error has its exit status, a message with its reason, and its details in JSON."""
    pair.render.errors["CreateRender"] = [refusal, refusal]
    as_text = sonichaos(pair, *RENDER)
    assert as_text.exit_code == status
    assert refusal.message.replace("brief.prompt", "--prompt") in as_text.stderr
    assert refusal.reason in as_text.stderr
    assert refusal.metadata.get("known", "") in as_text.stderr
    as_json = lines(sonichaos(pair, *RENDER, "--json"))[-1]["error"]
    assert (as_json["code"], as_json["reason"]) == (refusal.code.name, refusal.reason)
    assert as_json.get("retryAfterSeconds") == refusal.retry_after_s


@pytest.mark.parametrize(
    ("ending", "error", "status"),
    [
        (job_pb2.JOB_STATE_FAILED, Internal("NaN in the latents", reason="NOT_FINITE"), 1),
        (job_pb2.JOB_STATE_FAILED, Unavailable("the store does not answer", retry_after_s=5), 75),
        (job_pb2.JOB_STATE_CANCELLED, None, 1),
    ],
)
def test_a_job_that_fails_is_reported(
    pair: ScriptedPair, tmp_path: Path, ending: job_pb2.JobState.ValueType, error: ServiceError | None, status: int
) -> None:
    """The error of a failed or cancelled job, its exit status, and the job in JSON; no file is written."""
    pair.render.ending, pair.render.ending_error = ending, error
    result = sonichaos(pair, *RENDER, "--json", "--out", str(tmp_path))
    assert result.exit_code == status
    assert lines(result)[-2]["state"] == job_pb2.JobState.Name(ending)
    assert "error" in lines(result)[-1]
    assert error is None or error.message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_error_without_services_says_how_to_start_them() -> None:
    """The message has the service, the address and the command that starts it."""
    nowhere = {"SONICHAOS_RENDER_ADDRESS": "127.0.0.1:1", "SONICHAOS_SEPARATION_ADDRESS": "127.0.0.1:1"}
    for arguments in (RENDER, ("jobs",), ("get", "j-1"), ("personas",), ("watch", "j-1"), ("audit",)):
        result = CliRunner().invoke(cli, arguments, env=nowhere)
        assert result.exit_code == 75, arguments
        assert "sonichaos up" in result.stderr
        assert "127.0.0.1:1" in result.stderr


def test_an_address_option_takes_precedence_over_the_environment(pair: ScriptedPair) -> None:
    """The option may precede or follow the name of the command."""
    nowhere = {"SONICHAOS_RENDER_ADDRESS": "127.0.0.1:1"}
    for arguments in (
        ("personas", "--render-address", pair.render_address),
        ("--render-address", pair.render_address, "personas"),
    ):
        assert CliRunner().invoke(cli, arguments, env=nowhere).exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("render", "--persona", "ember"),
        (*RENDER, "--bpm", "90", "--tempo-map", __file__),
        (*RENDER, "--seed", "-1"),
        (*RENDER, "--chords", "Am", "--score", __file__),
        (*RENDER, "--score", "/nonexistent.mid"),
        (*RENDER, "--seed", "4294967296"),
        (*RENDER, "--stem-mode", "loud"),
        (*RENDER, "--label", "no-equals-sign"),
        (*RENDER, "--out", __file__),
        ("separate", "/nonexistent.wav"),
        ("audit", "--replay"),
        ("audit", "--head", "12"),
        ("erase-prompt", "j-1"),  # stdin is not a terminal here
        ("help", "no-such-command"),
        ("rerender", "j-1", "--stem", "guitar"),
        ("rerender", "j-1", "--stem", "bass", "--from-bar", "2"),
        ("rerender", "j-1", "--stem", "bass", "--bpm", "90", "--tempo-map", __file__),
        ("rerender", "j-1", "--stem", "bass", "--plot", "/nonexistent/a.png"),
        ("rerender", "j-1", "--stem", "bass", "--plot", "a.png", "--detach"),
        ("analyze", __file__, "--bpm-hint", "90", "--min-bpm", "60"),
        ("no-such-command",),
    ],
)
def test_bad_usage_is_rejected_before_any_call(pair: ScriptedPair, arguments: tuple[str, ...]) -> None:
    """Exit status 2, and no call."""
    assert sonichaos(pair, *arguments).exit_code == 2
    assert [*pair.render.calls, *pair.separation.calls] == []


def test_a_missing_persona_lists_the_available_ones(pair: ScriptedPair) -> None:
    """The error lists the available personas."""
    for name in ("ember", "moss"):
        pair.render.personas[name] = render_pb2.Persona(id=name)
    result = sonichaos(pair, "render", "--prompt", "a")
    assert result.exit_code == 2
    assert "ember, moss" in result.stderr


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_tempo_map_comes_from_a_file(pair: ScriptedPair, tmp_path: Path, *, wrapped: bool) -> None:
    """Proto-JSON of a tempo map, or a manifest that contains one."""
    start = "second" if wrapped else "startSeconds"
    document: dict[str, Any] = {
        "points": [{start: 0, "bpm": 92}, {start: 4.5, "bpm": 120, "beatsPerBar": 3, "beatUnit": 8}],
        "firstDownbeatSecond" if wrapped else "firstDownbeatSeconds": 0.25,
        "swingRatio": 0.6,
    }
    path = tmp_path / "map.json"
    path.write_text(json.dumps({"schema": "x", "tempoMap": document} if wrapped else document))
    assert sonichaos(pair, *RENDER, "--detach", "--tempo-map", str(path)).exit_code == 0
    tempo_map = pair.render.requests("CreateRender")[0].brief.tempo_map
    assert [(point.start_seconds, point.bpm) for point in tempo_map.points] == [(0, 92), (4.5, 120)]
    assert (tempo_map.points[1].beats_per_bar, tempo_map.swing_ratio) == (3, 0.6)
    assert tempo_map.first_downbeat_seconds == 0.25


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"points": "x"}', '{"tempo": 3}', '{"points": []}', '{"tempoMap": 1}']
)
def test_an_invalid_tempo_map_is_rejected(pair: ScriptedPair, tmp_path: Path, text: str) -> None:
    """The error has an example, and no job is created."""
    path = tmp_path / "map.json"
    path.write_text(text)
    result = sonichaos(pair, *RENDER, "--tempo-map", str(path))
    assert result.exit_code == 2
    assert "beatsPerBar" in result.stderr
    assert pair.render.jobs == {}


def test_all_options_reach_the_service(pair: ScriptedPair) -> None:
    """Request id, labels, licence, timeout and all other options are in the request."""
    options = (
        "--request-id r1 --label a=b --label c=d=e --licence-tier sync --licensee me --terms t --licence-covers bounce"
    )
    more = "--instrumental --key Eb --stem-mode raw --bpm 92.5 --timeout 600 --detach --loop --target-lufs -12.5"
    assert sonichaos(pair, *RENDER, *options.split(), *more.split()).exit_code == 0
    request = pair.render.requests("CreateRender")[0]
    brief = request.brief
    assert request.request_id == "r1"
    assert dict(brief.labels) == {"a": "b", "c": "d=e"}
    assert (brief.licence.tier, brief.licence.licensee, brief.licence.terms) == ("sync", "me", "t")
    assert brief.licence.covers == brief_pb2.LICENCE_COVERAGE_BOUNCE
    assert (brief.instrumental, brief.key, brief.bpm) == (True, "Eb", 92.5)
    assert (brief.loop, brief.target_lufs) == (True, -12.5)
    assert brief.stem_mode == brief_pb2.STEM_MODE_RAW
    assert brief.HasField("expire_time")
    assert not brief.HasField("seed")


def test_a_score_is_a_midi_file_or_chords(pair: ScriptedPair, tmp_path: Path) -> None:
    """The bytes of the file, or the text; a file above 1 MiB is rejected before any call."""
    (tmp_path / "song.mid").write_bytes(b"MThd")
    (tmp_path / "large.mid").write_bytes(bytes((1 << 20) + 1))
    assert sonichaos(pair, *RENDER, "--detach", "--score", str(tmp_path / "song.mid")).exit_code == 0
    assert sonichaos(pair, *RENDER, "--detach", "--chords", "Am F").exit_code == 0
    scores = [request.brief.score for request in pair.render.requests("CreateRender")]
    assert scores == [brief_pb2.Score(midi=b"MThd"), brief_pb2.Score(chords="Am F")]
    large = sonichaos(pair, *RENDER, "--score", str(tmp_path / "large.mid"))
    assert large.exit_code == 2
    assert "must be at most 1048576 bytes, got 1048577" in large.stderr
    assert len(pair.render.requests("CreateRender")) == 2


def test_an_existing_file_is_not_overwritten(pair: ScriptedPair, tmp_path: Path) -> None:
    """If the file name is known beforehand, the error comes before any call that creates work; --force overwrites."""
    job_id = sonichaos(pair, *RENDER, "--detach").stdout.strip()
    path = tmp_path / f"{job_id}-v1.zip"
    path.write_bytes(b"mine")
    refused = sonichaos(pair, "stems", job_id, "--out", str(tmp_path))
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert pair.render.requests("AddStems") == []
    assert path.read_bytes() == b"mine"
    pair.render.jobs[job_id].versions[0].stems_wanted = True
    assert sonichaos(pair, "watch", job_id, "--out", str(tmp_path)).exit_code == 2
    assert sonichaos(pair, "stems", job_id, "--out", str(tmp_path), "--force").exit_code == 0
    assert path.read_bytes() == ZIP


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
    fetched = sonichaos(pair, "get", job_id, "--out", str(tmp_path), "--file", "bounce")
    assert Path(fetched.stdout.strip()).read_bytes() == BOUNCE
    assert sonichaos(pair, "sign-url", job_id).stdout.startswith(pair.files.base_url)
    assert sonichaos(pair, "cancel", other).exit_code == 0
    assert pair.separation.requests("CancelJob")[0].job_id == other
    assert lines(sonichaos(pair, "delete", job_id, "--json")) == [{"jobId": job_id, "deleted": True}]
    assert sonichaos(pair, "get", job_id).exit_code == 2


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


def test_all_options_of_a_re_render_reach_the_service(pair: ScriptedPair, tmp_path: Path) -> None:
    """Every option reaches its field; the tempo map is the output of analyze."""
    pair.render.accept("j-1", stems=True)
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    analysis = sonichaos(pair, "analyze", str(tmp_path / "a.wav"), "--bpm-hint", "90", "--json")
    (tmp_path / "grid.json").write_text(analysis.stdout)
    header = pair.separation.requests("AnalyzeAudio")[0].header
    assert header.min_bpm == pytest.approx(90 / 2**0.5)
    assert header.max_bpm == pytest.approx(90 * 2**0.5)
    assert pair.separation.uploads == [b"RIFF"]
    typed = (
        "--stem",
        "vocals",
        "--persona",
        "moss",
        "--prompt",
        "calm",
        "--seed",
        "0",
        "--base",
        "3",
        "--allow-drift",
        "--new-part",
    )
    bars = ("--from-bar", "2", "--to-bar", "4", "--strength", "0.5", "--request-id", "r1", "--key", "A minor")
    grid = ("--tempo-map", str(tmp_path / "grid.json"))
    result = sonichaos(pair, "rerender", "j-1", *typed, *bars, *grid, "--detach")
    assert (result.exit_code, result.stdout) == (0, "j-1\n"), result.stderr
    point = brief_pb2.TempoPoint(bpm=92.0, beats_per_bar=4, beat_unit=4)
    assert pair.render.requests("RerenderStem") == [
        render_pb2.RerenderStemRequest(
            request_id="r1",
            job_id="j-1",
            base_version=3,
            stem=brief_pb2.STEM_VOCALS,
            persona_id="moss",
            prompt="calm",
            seed=0,
            strength=0.5,
            from_bar=2,
            to_bar=4,
            allow_drift=True,
            tempo_map=brief_pb2.TempoMap(points=[point], first_downbeat_seconds=0.25, swing_ratio=0.5),
            key="A minor",
            new_part=True,
        )
    ]


def test_a_re_render_with_defaults(pair: ScriptedPair) -> None:
    """Options that are not given stay unset."""
    pair.render.accept("j-1", stems=True)
    result = sonichaos(pair, "rerender", "j-1", "--stem", "bass", "--persona", "moss")
    assert result.exit_code == 0, result.stderr
    asked = render_pb2.RerenderStemRequest(job_id="j-1", stem=brief_pb2.STEM_BASS, persona_id="moss")
    assert pair.render.requests("RerenderStem") == [asked]


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
