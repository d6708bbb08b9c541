"""Erasure through the running services: no byte of a personal text is left in database, store and log, also after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest
import soundfile

from sonichaos.jobs.v1 import erasure_pb2, job_pb2
from sonichaos.operations.v1 import operations_pb2, operations_pb2_grpc
from sonichaos_client import Licence, OwningService
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, Pair, eventually, turn_held
from tests.support.service_processes import ROOT, plain_environment
from tests.support.takes import brief, collect_events

PROMPT = "a prompt that nobody else has"
LABEL = "a label that nobody else has"
LICENSEE = "a licensee that nobody else has"
PREFIX = "a prefix that nobody else has"
FILE_NAME = "a file that nobody else has.wav"
REQUEST_ID = "request-that-nobody-else-has"
LICENCE = Licence(tier="sync", licensee=LICENSEE)


@pytest.fixture
def pair(fresh_pair: FreshPair, clips: dict[str, Path]) -> Pair:
    """Both services, with a persona whose prefix can be looked for."""
    running = fresh_pair()
    running.client.create_persona("unheard", PREFIX, [clips["tone"]])
    return running


def found(pair: Pair, *texts: str) -> set[str]:
    """Which of the texts any file has: database and its log, store, spool, logs of the services."""
    contents = [path.read_bytes() for path in pair.folder.rglob("*") if path.is_file()]
    return {text for text in texts if any(text.encode() in content for content in contents)}


def running_jobs(pair: Pair) -> list[str]:
    """The jobs that are being worked on and not cancelled."""
    return [job.job_id for job in pair.client.list_jobs() if job.state == job_pb2.JOB_STATE_RUNNING]


def recording(folder: Path) -> Path:
    """Two seconds of noise, under the name that is looked for."""
    path = folder / FILE_NAME
    soundfile.write(path, 0.1 * np.random.default_rng(5).normal(size=2 * 44100), 44100, subtype="PCM_16")
    return path


def test_erased_jobs_leave_no_text_and_a_chain_that_verifies(pair: Pair, tmp_path: Path) -> None:
    """A take with stems and an upload. The tenant's erasure takes the persona too; then drain ends both services."""
    client = pair.client
    asked = brief("unheard", stems=True, prompt=PROMPT, labels={"reel": LABEL}, licence=LICENCE)
    take = collect_events(client, client.create_render(asked, request_id=REQUEST_ID)).job
    upload = client.separate_file(recording(tmp_path), labels={"reel": LABEL}, licence=LICENCE)
    assert collect_events(client, upload).job.state == job_pb2.JOB_STATE_DONE
    of_jobs = (PROMPT, LABEL, LICENSEE, FILE_NAME)
    assert found(pair, *of_jobs, PREFIX, REQUEST_ID) == {*of_jobs, PREFIX, REQUEST_ID}
    for job in (take, upload):
        report = client.erase(job.job_id)
        erased = {item.kind: item.count for item in report.erased}
        assert (erased[erasure_pb2.DATA_KIND_JOBS], erased[erasure_pb2.DATA_KIND_AUDIT_TEXTS]) == (1, 2)
        left = {item.kind: item.count for item in report.remaining}
        assert left[erasure_pb2.DATA_KIND_AUDIT_ROWS] == len(list(client.list_audit_rows(job.job_id))) == 2
        assert pair.stored(job.job_id) == []
    eventually(lambda: not found(pair, *of_jobs), lambda: f"no text is left: {found(pair, *of_jobs)}")
    assert client.verify_audit_chain().intact
    for service in (OwningService.RENDER, OwningService.SEPARATION):
        assert client.erase_tenant("local", service).finished
    eventually(lambda: not found(pair, *of_jobs, PREFIX), "the persona is erased too")
    assert [persona.id for persona in client.list_personas() if not persona.built_in] == []
    assert client.verify_audit_chain().intact
    assert REQUEST_ID not in "".join(
        path.read_text("latin-1") for path in pair.data.rglob("journal*") if path.is_file()
    )
    drain(pair)


def drain(pair: Pair) -> None:
    """Both processes end by the command."""
    addresses = {
        "SONICHAOS_RENDER_ADDRESS": pair.address(RENDER),
        "SONICHAOS_SEPARATION_ADDRESS": pair.address(SEPARATION),
    }
    command = [sys.executable, "-m", "sonichaos_client", "drain", "--timeout", "5"]
    ended = subprocess.run(
        command, env={**plain_environment(), **addresses}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    for service in (RENDER, SEPARATION):
        pair.wait_gone(service)
        assert "stopped" in {line["event"] for line in pair.log_lines(service)}


def test_the_erasure_of_a_tenant_is_finished_after_a_kill(pair: Pair) -> None:
    """Killed while a take still runs and others are erased: the next start cancels, erases and reports by itself."""
    client = pair.client
    asked = brief("unheard", prompt=PROMPT, labels={"reel": LABEL}, licence=LICENCE)
    collect_events(client, client.create_render(asked))
    with turn_held(pair.data):
        running = client.create_render(asked)
        eventually(lambda: client.get_job(running.job_id).state == job_pb2.JOB_STATE_RUNNING, "it runs")
        with grpc.insecure_channel(pair.address(RENDER)) as channel:
            stub = operations_pb2_grpc.OperationsServiceStub(channel)
            request = operations_pb2.EraseTenantRequest(tenant="local", confirm_tenant="local")
            call = stub.EraseTenant.future(request)
            eventually(lambda: running_jobs(pair) == [], "it is cancelled")
            pair.kill(RENDER)
            call.exception()
    pair.start(RENDER)
    eventually(lambda: not list(client.list_jobs()), "all jobs are erased")
    texts = (PROMPT, LABEL, LICENSEE, PREFIX)
    eventually(lambda: not found(pair, *texts), lambda: f"no text is left: {found(pair, *texts)}")
    assert client.verify_audit_chain().intact
    assert client.erase_tenant("local").finished
