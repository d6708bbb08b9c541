"""The ``sonichaos`` command against scripted services: exit statuses, usage and messages of errors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

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
from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.cli import cli
from tests.support.client_command import RENDER, lines, sonichaos
from tests.support.scripted_services import ScriptedPair, scripted_pair


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (InvalidFields([FieldViolation("brief.prompt", "is longer than 2000 characters")]), 2),
        (NotFound("no persona", reason="PERSONA_NOT_FOUND", metadata={"known": "ember, moss"}), 2),
        (AlreadyExists("the request id was used with another brief"), 2),
        (FailedPrecondition("no lyrics here", reason="UNSUPPORTED_BY_RENDERER"), 2),
        (ResourceExhausted("the queue is full", retry_after_s=30), 75),
        (ResourceExhausted("too large", reason="TOO_LARGE"), 2),
        (Unavailable("draining", reason="DRAINING", retry_after_s=30), 75),
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
