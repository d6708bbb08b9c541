"""The log of access, as a process writes it: who called what, from where, with what result, and nothing secret."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import structlog
from servicekit.logs import configure_logs
from servicekit.rpc.access_log import AccessLog
from sonichaos.jobs.v1 import jobs_service_pb2
from sonichaos.render.v1 import render_pb2

def write(log, method, request, code="OK", reason=""):
    with structlog.contextvars.bound_contextvars(tenant="studio-a", subject="key 3f2a"):
        log.write(method=method, peer="ipv4:10.0.0.7:4711", request=request, code=code, reason=reason, seconds=0.5)

configure_logs(service="test", level="info")
create = render_pb2.CreateRenderRequest(request_id="order-7")
create.brief.prompt, create.brief.persona_id = "a hymn for the night shift", "neon-drift"
write(AccessLog(), "/sonichaos.render.v1.RenderService/CreateRender", create)
write(AccessLog(prompts=True), "/sonichaos.render.v1.RenderService/CreateRender", create)
create.request_id = ""
AccessLog().write(
    method="/sonichaos.render.v1.RenderService/CreateRender", peer="unix:", request=create, code="OK", reason="", seconds=0.5,
    answer=render_pb2.CreateRenderResponse(job={"job_id": "j-1", "brief": {"prompt": "a hymn", "persona_id": "neon-drift"}}),
)
get = jobs_service_pb2.GetJobRequest(job_id="j" * 1000)
write(AccessLog(), "/sonichaos.jobs.v1.JobsService/GetJob", get, "UNAUTHENTICATED", "CREDENTIALS_INVALID")
write(AccessLog(), "/grpc.health.v1.Health/Check", object())
"""


@pytest.fixture(scope="module")
def written() -> list[dict[str, Any]]:
    """The lines of a process in which five calls ended."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_says_who_called_what_from_where_with_what_result(written: list[dict[str, Any]]) -> None:
    """And names what the request names, but not its prompt."""
    line = written[0]
    assert line.pop("timestamp")
    assert line == {
        "event": "rpc ended",
        "level": "info",
        "service": "test",
        "source": "servicekit.rpc.access_log",
        "tenant": "studio-a",
        "subject": "key 3f2a",
        "peer": "ipv4:10.0.0.7:4711",
        "method": "/sonichaos.render.v1.RenderService/CreateRender",
        "code": "OK",
        "seconds": 0.5,
        "request_id": "order-7",
        "persona_id": "neon-drift",
    }


def test_prompts_are_written_only_if_switched_on(written: list[dict[str, Any]]) -> None:
    """All prompts of the request, in `prompts`."""
    assert [line.get("prompts") for line in written] == [None, ["a hymn for the night shift"], None, None]


def test_a_call_that_makes_a_job_has_its_id(written: list[dict[str, Any]]) -> None:
    """It is in the answer only, of which the line has nothing else."""
    line = written[2]
    assert line["job_id"] == "j-1"
    assert "prompt" not in json.dumps(line)


def test_a_refused_call_has_its_reason(written: list[dict[str, Any]]) -> None:
    """A job id is cut, since the caller chose it."""
    line = written[3]
    assert (line["code"], line["reason"], line["job_id"]) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID", "j" * 128)


def test_probes_are_not_logged(written: list[dict[str, Any]]) -> None:
    """They call several times a second."""
    assert not [line for line in written if "Health" in line["method"]]
