"""``sonichaos render`` and ``rerender`` against scripted services: options, JSON lines and files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2
from sonichaos_client.cli import cli
from tests.support.client_command import RENDER, lines, sonichaos
from tests.support.scripted_service import BOUNCE, ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


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


def test_without_out_the_command_that_downloads_is_printed(
    pair: ScriptedPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It works as printed."""
    monkeypatch.chdir(tmp_path)
    result = sonichaos(pair, *RENDER, "--stems")
    assert result.exit_code == 0, result.stderr
    before, printed = result.stderr.strip().splitlines()[-1].split("To download: sonichaos ")
    assert before == "The files are stored by the service. "
    assert sonichaos(pair, *shlex.split(printed)).exit_code == 0
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == ZIP


def test_json_is_one_object_per_line(pair: ScriptedPair, tmp_path: Path) -> None:
    """The accepted job, each event, the file and the finished job, in lowerCamelCase."""
    result = sonichaos(pair, *RENDER, "--stems", "--json", "--out", str(tmp_path))
    first, *events, file, last = lines(result)
    assert first["jobId"] == last["jobId"]
    assert (first["state"], last["state"]) == ("JOB_STATE_QUEUED", "JOB_STATE_DONE")
    assert [event["sequence"] for event in events] == [str(number) for number in range(1, 11)]
    assert events[1]["stepsDone"] == 1
    assert file["path"] == str(tmp_path / f"{first['jobId']}-v1.zip")
    resolved = "92.5 bpm (prompt), A minor (drawn), seed 4242 (drawn)"
    assert result.stderr.splitlines() == [f"accepted {first['jobId']}", resolved]


def test_detach_prints_only_the_id(pair: ScriptedPair) -> None:
    """A script can read the id from stdout."""
    result = sonichaos(pair, *RENDER, "--detach")
    assert result.stdout.strip() == next(iter(pair.render.jobs))
    assert pair.render.requests("WatchJob") == []


def test_render_first_shows_what_the_brief_was_resolved_to(pair: ScriptedPair) -> None:
    """Tempo, key and seed with their sources, before any progress; also for a job that is not watched."""
    typed = ("--bpm", "120", "--key", "Eb", "--seed", "7")
    for detach in ((), ("--detach",)):
        shown = sonichaos(pair, *RENDER, *typed, *detach).stderr.splitlines()
        assert shown[0].startswith("accepted j-")
        assert shown[1] == "120 bpm (caller), Eb (caller), seed 7 (caller)"


def test_without_a_persona_the_first_built_in_one_is_used(pair: ScriptedPair) -> None:
    """A note names it; a persona of the environment or of the command line is taken as it is."""
    for name in ("added", "ember", "moss"):
        pair.render.personas[name] = render_pb2.Persona(id=name, built_in=name != "added")
    drawn = sonichaos(pair, "render", "--prompt", "a", "--json")
    assert drawn.exit_code == 0, drawn.stderr
    assert drawn.stderr.splitlines()[0].startswith("persona: ember (default;")
    assert all("jobId" in line for line in lines(drawn))
    environment = {**pair.environment, "SONICHAOS_PERSONA": "moss"}
    for typed in ((), ("--persona", "other")):
        result = CliRunner().invoke(cli, ["render", "--prompt", "a", *typed], env=environment)
        assert "default" not in result.stderr
    used = [request.brief.persona_id for request in pair.render.requests("CreateRender")]
    assert used == ["ember", "moss", "other"]


def test_without_any_persona_the_error_says_how_to_add_one(pair: ScriptedPair) -> None:
    """No job is created."""
    result = sonichaos(pair, "render", "--prompt", "a")
    assert result.exit_code == 2
    assert "sonichaos persona add" in result.stderr
    assert pair.render.jobs == {}


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
    (request,) = pair.render.requests("RerenderStem")
    asked = render_pb2.RerenderStemRequest(job_id="j-1", stem=brief_pb2.STEM_BASS, persona_id="moss")
    asked.request_id = request.request_id  # made by the client
    assert request == asked
