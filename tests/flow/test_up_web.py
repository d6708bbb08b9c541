"""``sonichaos up --web`` as a page uses it: a take by gRPC-Web across a crash of its service, and its file from the other port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from google.protobuf.message import Message

from sonichaos.jobs.v1 import job_pb2
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs
from sonichaos.render.v1 import render_pb2
from sonichaos.separation.v1 import separation_pb2 as separations
from sonichaos_client import Client
from tests.support.pair import eventually
from tests.support.service_processes import ROOT, plain_environment
from tests.support.web_bridge import CONTENT_TYPE, frame, read_answer
from tests.support.web_page import require_page

JOBS, RENDERS = "sonichaos.jobs.v1.JobsService", "sonichaos.render.v1.RenderService"
SECONDS = 20
Reply = TypeVar("Reply", bound=Message)


class Page:
    """A page of a running ``sonichaos up --web``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.origin = ""
        self.pids: dict[str, int] = {}
        for line in map(json.loads, process.stdout):
            self.origin = line.get("page", self.origin)
            if "pid" in line and "service" in line:
                self.pids[line["service"]] = line["pid"]
            if "ready" in line:
                self.addresses = (line["renderAddress"], line["separationAddress"])
                return

    def readiness(self) -> dict[str, Any]:
        """What it shows of the services."""
        with urllib.request.urlopen(f"{self.origin}/readiness.json", timeout=30) as answer:  # noqa: S310  loopback
            return dict(json.load(answer)["services"])

    def call(self, path: str, request: Message, reply: type[Reply]) -> tuple[list[Reply], dict[str, str]]:
        """Messages and trailers of a call, however it ends."""
        headers = {"Content-Type": CONTENT_TYPE, "Origin": self.origin}
        sent = urllib.request.Request(f"{self.origin}/{path}", frame(request.SerializeToString()), headers)  # noqa: S310
        with urllib.request.urlopen(sent, timeout=300) as answer:  # noqa: S310  loopback
            messages, trailers = read_answer(answer.read())
        return [reply.FromString(message) for message in messages], trailers

    def one(self, path: str, request: Message, reply: type[Reply]) -> Reply:
        """The answer of a call that succeeds."""
        messages, trailers = self.call(path, request, reply)
        assert trailers == {"grpc-status": "0"}
        return messages[0]

    def get_job(self, job_id: str) -> job_pb2.Job:
        """A job."""
        return self.one(f"{JOBS}/GetJob", jobs.GetJobRequest(job_id=job_id), jobs.GetJobResponse).job


@contextmanager
def opened(folder: Path, settings: dict[str, str]) -> Iterator[Page]:
    """The page of services with these settings."""
    listen = [f"--{name}-listen=127.0.0.1:0" for name in ("render", "separation", "url", "web")]
    command = [str(Path(sys.executable).parent / "sonichaos"), "up", "--web", "--json", "--data", str(folder / "data")]
    with (folder / "stderr").open("w") as errors:
        process = subprocess.Popen(
            [*command, *listen],
            env={**plain_environment(), **settings},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )
    try:
        yield Page(process)
    finally:
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def page(models: dict[str, str], clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page of the real services, with tiny models."""
    require_page()
    with opened(tmp_path_factory.mktemp("web"), models) as running:
        with Client(*running.addresses) as client:
            client.create_persona("tone", "a tone", [clips["tone"]])
        yield running


def test_a_take_survives_the_crash_of_its_service(page: Page) -> None:
    """The watch ends, the page shows the restart, and a new watch continues after the last event; then the file is read."""
    brief = {"prompt": "dusty", "persona_id": "tone", "seconds": SECONDS}
    created = page.one(
        f"{RENDERS}/CreateRender", render_pb2.CreateRenderRequest(brief=brief), render_pb2.CreateRenderResponse
    )
    job_id = created.job.job_id
    eventually(lambda: page.get_job(job_id).state == job_pb2.JOB_STATE_RUNNING, "it runs")
    os.kill(page.pids["render_service"], signal.SIGKILL)
    eventually(lambda: page.readiness()["render_service"]["state"] == "restarting", "the page shows the restart")
    assert page.readiness()["separation_service"]["state"] == "serving"
    eventually(lambda: page.readiness()["render_service"]["state"] == "serving", "it serves again")
    watched, trailers = page.call(f"{JOBS}/WatchJob", jobs.WatchJobRequest(job_id=job_id), jobs.WatchJobResponse)
    assert trailers == {"grpc-status": "0"}
    sequences = [one.event.sequence for one in watched if one.HasField("event")]
    assert sequences == list(range(1, len(sequences) + 1))
    job = page.get_job(job_id)
    assert (job.state, job.last_sequence) == (job_pb2.JOB_STATE_DONE, len(sequences))
    wanted = jobs.CreateSignedUrlRequest(job_id=job_id, version=1, kind=jobs.FILE_KIND_BOUNCE)
    signed = page.one(f"{JOBS}/CreateSignedUrl", wanted, jobs.CreateSignedUrlResponse)
    asked = urllib.request.Request(signed.url, headers={"Origin": page.origin, "Range": "bytes=0-3"})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310  loopback
        assert answer.read() == b"RIFF"
        assert answer.headers["Access-Control-Allow-Origin"] == page.origin


def test_the_other_service_is_behind_the_same_address(page: Page, models: dict[str, str]) -> None:
    """Its models, by their own path."""
    path = "sonichaos.separation.v1.SeparationService/GetModelInfo"
    found = page.one(path, separations.GetModelInfoRequest(), separations.GetModelInfoResponse)
    assert found.name == models["SONICHAOS_SEPARATOR"]
