"""What clients in C++, Ruby, Go and Java can rely on with default options: sizes, errors, numbers, keepalive.

Keepalive is that of the client in TypeScript too, whose other facts are in `test_javascript_limits`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

import grpc
import pytest

from render_service.renderers.load import load_renderer
from separation_service.engine import load_separator
from tests.support.frame_counter import FrameCountingProxy
from tests.support.journal_rows import new_job
from tests.support.native_clients import LANGUAGES, native_client
from tests.support.render_parts import render_parts, separation_in_thread
from tests.support.render_server import render_in_thread
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator
from tests.support.typescript_build import start_pings

JOBS = 200
POINTS = 512
NODE = "typescript"
PINGS_S = 10
WINDOW_S = 44
"""Four pings. Of a server with the defaults of gRPC, the fourth ends the connection."""


@dataclass
class Server:
    """A real render_service without workers, with 200 large jobs that wait."""

    address: str
    job_id: str
    stack: ExitStack
    pinging: dict[str, tuple[subprocess.Popen[str], FrameCountingProxy]] = field(default_factory=dict)

    def start_pings(self, language: str) -> tuple[subprocess.Popen[str], FrameCountingProxy]:
        """The client that pings, and its connections. All languages ping at the same time, while other tests run."""
        if language not in self.pinging:
            start = start_pings if language == NODE else native_client(language).start_keepalive
            proxy = self.stack.enter_context(FrameCountingProxy(int(self.address.rpartition(":")[2])))
            process = start(f"127.0.0.1:{proxy.port}", self.job_id, WINDOW_S)
            self.stack.callback(process.kill)
            self.pinging[language] = (process, proxy)
        return self.pinging[language]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The service."""
    folder = tmp_path_factory.mktemp("limits")
    renderer = load_renderer(str(tiny_checkpoint(folder / "renderer")), device="cpu", threads=1)
    separator = load_separator(NAME, repo=tiny_separator(folder / "separator"), device="cpu", threads=1)
    points = [
        {"startSeconds": float(index), "bpm": 90 + index / 7, "beatsPerBar": 4, "beatUnit": 4}
        for index in range(POINTS)
    ]
    with ExitStack() as stack:
        parts = stack.enter_context(render_parts(folder, renderer))
        jobs = [parts.journal.accept(new_job(brief={"tempoMap": {"points": points}}), limit=JOBS) for _ in range(JOBS)]
        separation = stack.enter_context(separation_in_thread(folder, separator))
        address = stack.enter_context(render_in_thread(parts, separation))
        running = Server(address, jobs[-1].job.job_id, stack)
        with suppress(pytest.skip.Exception):  # its own test is skipped then
            running.start_pings(NODE)
        yield running


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_arrives_with_default_options(language: str, server: Server) -> None:
    """4.9 MB of jobs in pages, the first ten of 32 rejected fields with their number, and the largest sequence number."""
    server.start_pings(language)
    result = native_client(language).facts(server.address, server.job_id)
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    pages = facts.pop("pages")
    assert pages > 1
    assert facts == {
        "jobs": JOBS,
        "refusalCode": grpc.StatusCode.INVALID_ARGUMENT.value[0],
        "refusalReason": "INVALID_FIELD",
        "namedViolations": 10,
        "violations": "32",
        "watchCode": grpc.StatusCode.DEADLINE_EXCEEDED.value[0],  # the job goes on, so the client ended the watch
        "watchEvents": 0,
    }


@pytest.mark.parametrize("language", [*LANGUAGES, NODE])
def test_pings_every_ten_seconds_are_accepted(language: str, server: Server) -> None:
    """With a call and without one: both connections last, and the server says goodbye to neither."""
    process, proxy = server.start_pings(language)
    output, _ = process.communicate(timeout=WINDOW_S + 60)
    assert json.loads(output) == {"watchCode": grpc.StatusCode.DEADLINE_EXCEEDED.value[0], "idleConnected": True}
    assert len(proxy.connections) == 2
    for connection in proxy.connections:
        assert connection.client_pings >= WINDOW_S // PINGS_S
        assert connection.server_goaways == 0
