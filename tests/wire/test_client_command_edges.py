"""Edge cases of the ``sonichaos`` command: invalid numbers and text, files that cannot be written, jobs that have ended."""

from __future__ import annotations

import importlib.util
import json
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from servicekit.errors import Internal, Unavailable
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos_client import CallOptions, Client, RetryPolicy
from sonichaos_client.cli import cli
from sonichaos_client.cli.session import Session
from tests.support.scripted_service import BOUNCE, ZIP
from tests.support.scripted_services import ScriptedPair, scripted_pair

ROOT = Path(__file__).resolve().parents[2]
RENDER = ("render", "--prompt", "dusty boom bap", "--persona", "ember")
NOT_UTF8 = "caf\udce9"  # how Python represents the byte E9 of a command line


@pytest.fixture(scope="module")
def shared() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


@pytest.fixture
def pair(shared: ScriptedPair) -> ScriptedPair:
    """Two scripted services with an empty script."""
    for scripted in (shared.render, shared.separation):
        fresh = type(scripted)(scripted.owner, scripted.files)
        vars(scripted).update(vars(fresh))
    shared.files.statuses = []
    return shared


class ImpatientSession(Session):
    """A session whose client gives up quickly."""

    def client(self) -> Client:
        """A client with a short retry policy."""
        retry = RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.02, max_elapsed_s=0.1)
        return Client(
            self.render_address,
            self.separation_address,
            options=CallOptions(retry=retry, rng=random.Random(1)),  # noqa: S311  no secrecy
        )


def sonichaos(pair: ScriptedPair, *arguments: str) -> Result:
    """Run the command in this process; it must exit with a status, never with a traceback."""
    result = CliRunner().invoke(cli, arguments, env=pair.environment, prog_name="sonichaos", obj=ImpatientSession())
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.mark.parametrize("command", ["render", "separate"])
@pytest.mark.parametrize(
    ("typed", "covers"),
    [
        (("--license-covers", "bounce"), brief_pb2.LICENCE_COVERAGE_BOUNCE),
        (("--licence-covers", "bounce_and_stems"), brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS),
        (("--terms", "t"), brief_pb2.LICENCE_COVERAGE_BOUNCE_AND_STEMS),
        ((), None),
    ],
)
def test_a_licence_is_sent_if_any_option_of_it_is_given(
    pair: ScriptedPair, tmp_path: Path, command: str, typed: tuple[str, ...], covers: int | None
) -> None:
    """Any licence option creates a licence; without one there is none."""
    if command == "render":
        assert sonichaos(pair, *RENDER, "--detach", *typed).exit_code == 0
        asked = pair.render.requests("CreateRender")[0].brief
    else:
        (tmp_path / "a.wav").write_bytes(b"RIFF1234")
        assert sonichaos(pair, "separate", str(tmp_path / "a.wav"), "--detach", *typed).exit_code == 0
        asked = pair.separation.requests("CreateSeparation")[0].header
    assert asked.HasField("licence") == (covers is not None)
    assert asked.licence.covers == (covers or brief_pb2.LICENCE_COVERAGE_UNSPECIFIED)


@pytest.mark.parametrize(
    ("typed", "mode"),
    [
        ((), brief_pb2.STEM_MODE_UNSPECIFIED),
        (("--stem-mode", "exact"), brief_pb2.STEM_MODE_EXACT),
        (("--stem-mode", "raw"), brief_pb2.STEM_MODE_RAW),
    ],
)
def test_later_stems_have_the_mode_of_the_brief_by_default(
    pair: ScriptedPair, typed: tuple[str, ...], mode: int
) -> None:
    """A take created as raw stays raw."""
    job_id = sonichaos(pair, *RENDER, "--stem-mode", "raw", "--detach").stdout.strip()
    assert sonichaos(pair, "stems", job_id, "--detach", *typed).exit_code == 0
    assert pair.render.requests("AddStems")[0].stem_mode == mode


@pytest.mark.parametrize(
    "arguments",
    [
        (*RENDER, "--seconds", "0"),
        (*RENDER, "--seconds", "-0.0"),
        (*RENDER, "--seconds", "nan"),
        (*RENDER, "--timeout", "nan"),
        (*RENDER, "--timeout", "1e300"),
        ("sign-url", "j-1", "--expires-in", "nan"),
        ("sign-url", "j-1", "--expires-in", "604801"),
        ("get", "j-1", "--version", "4294967296"),
        ("watch", "j-1", "--after", "9223372036854775808"),
        ("stems", "j-1", "--version", "4294967296"),
        ("audit", "j-1", "--replay", "--version", "4294967296"),
        ("audit", "--head", f"0:{'ab' * 32}"),
        ("audit", "--head", f"9999999999999999999:{'ab' * 32}"),
    ],
)
def test_invalid_numbers_are_rejected_by_the_client(pair: ScriptedPair, arguments: tuple[str, ...]) -> None:
    """They are not treated as unset, not sent, and cause no traceback."""
    assert sonichaos(pair, *arguments).exit_code == 2
    assert pair.render.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("render", "--persona", "ember", "--prompt", NOT_UTF8),
        (*RENDER, "--label", f"a={NOT_UTF8}"),
        ("get", NOT_UTF8),
        ("jobs", "--persona", NOT_UTF8),
    ],
)
def test_text_that_is_not_utf8_is_rejected_in_one_line(pair: ScriptedPair, arguments: tuple[str, ...]) -> None:
    """Exit status 2, the text with its bytes escaped, and no call."""
    as_text = sonichaos(pair, *arguments)
    assert as_text.exit_code == 2
    assert len(as_text.stderr.splitlines()) == 1
    assert "caf\\udce9" in as_text.stderr
    as_json = sonichaos(pair, *arguments, "--json")
    assert json.loads(as_json.stdout)["error"]["code"] == "INVALID_ARGUMENT"
    assert pair.render.calls == []


def test_a_file_name_may_be_no_valid_utf8(pair: ScriptedPair, tmp_path: Path) -> None:
    """It is separated, and its ZIP is downloaded to a folder of such a name; output escapes the bytes."""
    (tmp_path / NOT_UTF8).write_bytes(b"RIFF1234")
    done = sonichaos(pair, "separate", str(tmp_path / NOT_UTF8), "--json", "--out", str(tmp_path / f"out {NOT_UTF8}"))
    assert done.exit_code == 0, done.stderr
    assert pair.separation.requests("CreateSeparation")[0].header.file_name == "caf\\udce9"
    saved = json.loads(done.stdout.splitlines()[-2])
    assert Path(saved["path"]).read_bytes() == ZIP


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 200_000, "nested too deeply"),
        ('{"\\ud800": 1}', "not valid JSON"),
        (f'{{"points": [{{"bpm": {"9" * 400}}}]}}', "too large"),
    ],
)
def test_json_that_cannot_be_a_tempo_map_is_rejected(
    pair: ScriptedPair, tmp_path: Path, text: str, message: str
) -> None:
    """JSON that is nested too deeply, has a lone surrogate, or has a number that is too large."""
    path = tmp_path / "map.json"
    path.write_text(text)
    result = sonichaos(pair, *RENDER, "--tempo-map", str(path))
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_lost_file_is_exit_status_3(pair: ScriptedPair, tmp_path: Path) -> None:
    """HTTP status 404 for a stored file is exit status 3, as for changed bytes, and names the file."""
    job_id = sonichaos(pair, *RENDER, "--detach").stdout.strip()
    sonichaos(pair, "watch", job_id)
    pair.files.statuses = [404]
    result = sonichaos(pair, "get", job_id, "--file", "bounce", "--out", str(tmp_path))
    assert result.exit_code == 3
    assert f"jobs/{job_id}/bounce.wav" in result.stderr
    assert "lost" in result.stderr


def test_an_audit_without_rows_says_so(pair: ScriptedPair) -> None:
    """An unknown id is an error; for a job without audit rows a note says so, and the chain is verified."""
    unknown = sonichaos(pair, "audit", "nosuch")
    assert unknown.exit_code == 2
    assert "JOB_NOT_FOUND" in unknown.stderr
    assert "intact" not in unknown.stdout
    pair.render.accept("j-new", stems=False)
    new = sonichaos(pair, "audit", "j-new")
    assert new.exit_code == 0
    assert "no audit rows yet" in new.stderr


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (job_pb2.JOB_STATE_CANCELLING, "cancel accepted"),
        (job_pb2.JOB_STATE_CANCELLED, "v1 cancelled"),
        (job_pb2.JOB_STATE_DONE, "already ended, nothing to cancel: v1 done"),
        (job_pb2.JOB_STATE_FAILED, "already ended, nothing to cancel: v1 failed"),
    ],
)
def test_cancel_prints_its_result(pair: ScriptedPair, state: job_pb2.JobState.ValueType, message: str) -> None:
    """The result distinguishes a job that had ended before; with --version only that version counts."""
    job = pair.render.accept("j-1", stems=False)
    job.versions[0].state = state
    assert sonichaos(pair, "cancel", "j-1").stdout == f"j-1: {message}\n"
    job.versions.add(number=2, state=job_pb2.JOB_STATE_CANCELLING)
    assert sonichaos(pair, "cancel", "j-1").stdout == "j-1: cancel accepted\n"
    assert sonichaos(pair, "cancel", "j-1", "--version", "1").stdout == f"j-1: {message}\n"


def test_if_the_stems_failed_the_bounce_is_downloaded(pair: ScriptedPair, tmp_path: Path) -> None:
    """The bounce of a take whose stems failed is downloaded, and a note says why there is no ZIP."""
    pair.render.ending, pair.render.ending_error = job_pb2.JOB_STATE_FAILED, Internal("the separator fell over")
    job_id = sonichaos(pair, *RENDER, "--stems", "--detach").stdout.strip()
    assert sonichaos(pair, "watch", job_id).exit_code == 1
    fetched = sonichaos(pair, "get", job_id, "--out", str(tmp_path))
    assert fetched.exit_code == 0, fetched.stderr
    assert Path(fetched.stdout.strip()).read_bytes() == BOUNCE
    assert Path(fetched.stdout.strip()).suffix == ".wav"
    assert "the separator fell over" in fetched.stderr
    assert f"sonichaos stems {job_id}" in fetched.stderr


def test_a_full_disk_is_reported_with_path_and_advice(pair: ScriptedPair, tmp_path: Path) -> None:
    """The error names the file and what to do; exit status 1, and JSON."""
    job_id = sonichaos(pair, *RENDER, "--stems", "--detach").stdout.strip()
    sonichaos(pair, "watch", job_id)
    soft_bytes, hard_bytes = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(ZIP) // 2, hard_bytes))
    try:
        result = sonichaos(pair, "get", job_id, "--json", "--out", str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft_bytes, hard_bytes))
    assert result.exit_code == 1
    assert f"Cannot write {tmp_path / job_id}-v1.zip" in result.stderr
    assert "Free space" in result.stderr
    assert json.loads(result.stdout)["error"]["code"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize("at", ["WatchJob", "GetJob"])
def test_a_reported_failure_takes_precedence_over_a_lost_connection(pair: ScriptedPair, at: str) -> None:
    """If the services become unreachable after the event of a failure, the command ends with that failure."""
    pair.render.ending, pair.render.ending_error = job_pb2.JOB_STATE_FAILED, Internal("the separator fell over")
    if at == "WatchJob":
        pair.render.disconnects = [7] + [0] * 200  # after the last event, before the stream's proper end
        pair.render.accept("j-0", stems=False)
        pair.render.events["j-0"].append(job_pb2.JobEvent(sequence=8))
        result = sonichaos(pair, "watch", "j-0", "--json")
        assert "Lost the connection" in result.stderr
    else:
        pair.render.errors["GetJob"] = [Unavailable("draining")] * 200
        result = sonichaos(pair, *RENDER, "--json")
    assert result.exit_code == 1
    assert "v1 failed: the separator fell over" in result.stderr
    row, error = (json.loads(line) for line in result.stdout.splitlines()[-2:])
    assert (row["state"], row["versions"][0]["state"]) == ("JOB_STATE_FAILED", "JOB_STATE_FAILED")
    assert error["error"]["message"].endswith("the separator fell over")


def test_the_demo_shows_silence(pair: ScriptedPair, capsys: pytest.CaptureFixture[str]) -> None:
    """A take without loudness is shown as silent, not as 0.0 LUFS."""
    spec = importlib.util.spec_from_file_location("demo", ROOT / "scripts" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    job = pair.separation.accept("j-silent", stems=True)
    pair.separation.finish("j-silent")
    job.versions[0].loudness.SetInParent()
    with Client(pair.render_address, pair.separation_address) as client:
        demo.show(client, job, ROOT / "README.md")
        job.versions[0].loudness.lufs, job.versions[0].loudness.true_peak_dbtp = -14.25, -1
        demo.show(client, job, ROOT / "README.md")
    silent, loud = (line for line in capsys.readouterr().out.splitlines() if "loudness" in line)
    assert silent.split() == ["loudness", "silent"]
    assert "LUFS, true peak -1.00 dBTP" in loud
