"""The admission hook of a running service: what it sees, what callers get, and that a slow one holds up nothing else."""

from __future__ import annotations

import asyncio
import io
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile
from grpc import aio

from jobs_service.admission_hook import AdmissionHook, open_admission_hook
from separation_service.engine import load_separator
from servicekit.host_settings import HostSettings
from servicekit.journal import JobState, Journal
from servicekit.metrics import Metrics
from servicekit.settings import read_settings
from sonichaos.admission.v1 import admission_pb2
from sonichaos.jobs.v1 import job_pb2, jobs_service_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support import documented_shell
from tests.support.admission_hooks import Request, Response, accept, hook_server, refuse, script
from tests.support.callers import as_tenant
from tests.support.jobs_server import Wire, reason_of, refusal, serving
from tests.support.journal_rows import PROMPT, open_journal, request
from tests.support.separation_server import serving as serving_separation

ADD_STEMS = "/sonichaos.jobs.v1.JobsService/AddStems"
LONG_S = 30.0
PRIORITY = 3


def hook_of(resources: AsyncExitStack, address: str, metrics: Metrics, **settings: str) -> AdmissionHook:
    """The hook of a service with these settings."""
    environ = {"SONICHAOS_ADMISSION_HOOK": address, "SONICHAOS_ADMISSION_TIMEOUT_SECONDS": str(LONG_S)}
    environ |= {f"SONICHAOS_ADMISSION_{name.upper()}": value for name, value in settings.items()}
    return open_admission_hook(read_settings(HostSettings, environ), metrics, resources)


def without_stems(journal: Journal, wire: Wire, tenant: str = "local") -> str:
    """A take with a bounce and no stems."""
    job_id = wire.accept(asked=request(tenant=tenant), stems=False)
    claim = wire.claim()
    wire.keep(claim, stems=False)
    journal.finish(claim)
    return job_id


def failed(journal: Journal, wire: Wire) -> str:
    """A take that failed."""
    job_id = wire.accept()
    journal.fail(wire.claim(), {"code": 13, "message": "a test's"})
    return job_id


def add_stems(wire: Wire, job_id: str, **call: Any) -> Any:
    """Ask for stems."""
    return wire.stub.AddStems(jobs_service_pb2.AddStemsRequest(job_id=job_id, priority=PRIORITY), **call)


def counted(metrics: Metrics, result: str) -> float | None:
    """How many answers had this result."""
    return metrics.registry.get_sample_value("sonichaos_render_admission_checks_total", {"result": result})


async def test_the_hook_sees_who_asks_for_what_and_no_credential(tmp_path: Path) -> None:
    """Tenant, subject, call, job and brief; not the metadata of the call."""
    metrics = Metrics("render")
    with open_journal(tmp_path) as journal, hook_server(accept) as server:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, server.address, metrics)
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            job_id = without_stems(journal, wire, tenant="studio")
            await add_stems(wire, job_id, metadata=as_tenant("studio"))
    (asked,), (metadata,) = server.asked, server.metadata
    assert (asked.tenant, asked.subject, asked.rpc, asked.job_id) == ("studio", "test studio", ADD_STEMS, job_id)
    assert asked.identity_method == admission_pb2.IDENTITY_METHOD_API_KEY
    assert (asked.brief.prompt, asked.brief.stems, asked.audio_seconds) == (PROMPT, True, 8.0)
    assert asked.priority == PRIORITY
    assert set(metadata) == {"user-agent"}
    assert b"Bearer" not in asked.SerializeToString()
    assert counted(metrics, "accepted") == 1.0


@pytest.mark.parametrize("kind", ["service", "command"])
async def test_a_refusal_reaches_the_caller_with_its_reason_and_creates_no_work(tmp_path: Path, kind: str) -> None:
    """PERMISSION_DENIED, with the reason in the message and in the metadata, cut to 500 characters and one line."""
    text = "the budget of this month is spent"
    metrics = Metrics("render")
    with open_journal(tmp_path) as journal, hook_server(refuse(text)) as server:
        address = server.address if kind == "service" else script(tmp_path, f"echo '{text}'; exit 1")
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, address, metrics)
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            job_id, retried = without_stems(journal, wire), failed(journal, wire)
            for call in (
                add_stems(wire, job_id),
                wire.stub.RetryVersion(jobs_service_pb2.RetryVersionRequest(job_id=retried)),
            ):
                with pytest.raises(aio.AioRpcError, match=text) as refused:
                    await call
                code, reason, facts = reason_of(refused.value)
                assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "ADMISSION_REFUSED")
                assert facts == {"admission_reason": text}
            assert journal.job("local", job_id).state is JobState.DONE
            assert journal.job("local", retried).state is JobState.FAILED
    assert counted(metrics, "refused") == 2.0


async def test_the_command_of_the_documentation_asks_for_payment(tmp_path: Path) -> None:
    """The script of docs/access.md accepts the tenants of its file and refuses others with its text, whatever their names share."""
    (text,) = documented_shell.documented("docs/access.md", "tests/wire/test_admission_hook.py")
    program, paid = tmp_path / "check-paid", tmp_path / "paid"
    program.write_text(text, encoding="utf-8")
    program.chmod(0o700)
    paid.write_text("studio-a\nstudio-bb\n", encoding="utf-8")
    with open_journal(tmp_path) as journal:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, f"command:{program} {paid}", Metrics("render"))
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            for tenant in ("studio-a", "studio-b"):
                job_id = without_stems(journal, wire, tenant)
                if tenant == "studio-a":
                    await add_stems(wire, job_id, metadata=as_tenant(tenant))
                else:
                    _, reason, facts = await refusal(add_stems(wire, job_id, metadata=as_tenant(tenant)))
                    assert reason == "ADMISSION_REFUSED"
                    assert facts == {"admission_reason": "the account of studio-b is not paid"}


async def test_a_long_reason_is_cut(tmp_path: Path) -> None:
    """To 500 characters, without line breaks."""
    with open_journal(tmp_path) as journal, hook_server(refuse("no\n" + "x" * 600)) as server:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, server.address, Metrics("render"))
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            _, _, facts = await refusal(add_stems(wire, without_stems(journal, wire)))
    assert facts == {"admission_reason": "no " + "x" * 497}


async def test_a_call_that_is_refused_anyway_does_not_ask(tmp_path: Path) -> None:
    """The hook sees only work that would be accepted."""
    with open_journal(tmp_path) as journal, hook_server(accept) as server:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, server.address, Metrics("render"))
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            job_id = wire.accept()
            assert (await refusal(add_stems(wire, job_id)))[1] == "WRONG_STATE"
            assert (await refusal(add_stems(wire, job_id, metadata=as_tenant("other"))))[1] == "JOB_NOT_FOUND"
    assert server.asked == []


@pytest.mark.parametrize("problem", ["absent", "command"])
async def test_while_the_hook_fails_the_setting_decides(tmp_path: Path, problem: str) -> None:
    """By default work is refused with a retry time; with "accept" it is accepted, and counted either way."""
    address = "127.0.0.1:9" if problem == "absent" else script(tmp_path, "exit 7")
    for on_failure, metrics in (("refuse", Metrics("render")), ("accept", Metrics("render"))):
        folder = tmp_path / on_failure
        folder.mkdir()
        with open_journal(folder) as journal:
            async with AsyncExitStack() as resources:
                hook = hook_of(resources, address, metrics, on_failure=on_failure)
                wire = await resources.enter_async_context(serving(folder, journal, hook=hook))
                job_id = without_stems(journal, wire)
                if on_failure == "refuse":
                    assert (await refusal(add_stems(wire, job_id)))[:2] == (
                        grpc.StatusCode.UNAVAILABLE,
                        "ADMISSION_UNAVAILABLE",
                    )
                    assert journal.job("local", job_id).state is JobState.DONE
                else:
                    assert (await add_stems(wire, job_id)).job.state == job_pb2.JOB_STATE_QUEUED
        assert counted(metrics, "failed") == 1.0


async def test_a_hook_that_hangs_is_a_failure_and_holds_up_no_other_call(tmp_path: Path) -> None:
    """While more calls wait for it than a pool has threads, jobs are read, listed, cancelled and deleted."""
    leave = threading.Event()

    def hang(_request: Request) -> Response:
        leave.wait()
        return Response(accepted=True)

    with open_journal(tmp_path) as journal, hook_server(hang) as server:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, server.address, Metrics("render"))
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            waiting = [asyncio.ensure_future(add_stems(wire, without_stems(journal, wire))) for _ in range(6)]
            other = failed(journal, wire)
            await asyncio.to_thread(server.was_asked.wait)
            await wire.stub.GetJob(jobs_service_pb2.GetJobRequest(job_id=other))
            await wire.stub.ListJobs(jobs_service_pb2.ListJobsRequest())
            await wire.stub.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=other))
            await wire.stub.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=other))
            assert not any(task.done() for task in waiting)
            leave.set()
            await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_hook_that_does_not_answer_in_time_is_a_failure(tmp_path: Path) -> None:
    """The caller gets the same answer as while it is down."""
    leave = threading.Event()

    def hang(_request: Request) -> Response:
        leave.wait()
        return Response(accepted=True)

    with open_journal(tmp_path) as journal, hook_server(hang) as server:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, server.address, Metrics("render"), timeout_seconds="0.3")
            wire = await resources.enter_async_context(serving(tmp_path, journal, hook=hook))
            job_id = without_stems(journal, wire)
            assert (await refusal(add_stems(wire, job_id)))[1] == "ADMISSION_UNAVAILABLE"
            assert journal.job("local", job_id).state is JobState.DONE
        leave.set()


async def test_an_upload_is_shown_with_its_file_and_a_refused_one_leaves_nothing(tmp_path: Path) -> None:
    """Name, size and digest of the file, labels and licence; no job and no stored bounce. A repeated request is not shown again."""
    separator = load_separator("starter", repo=None, device="cpu", threads=1)
    sound = io.BytesIO()
    soundfile.write(sound, 0.1 * np.random.default_rng(0).standard_normal((88_200, 2)), 44100, format="WAV")
    verdicts = [Response(reason="not this one"), Response(accepted=True)]
    with hook_server(lambda _request: verdicts.pop(0)) as server:
        async with AsyncExitStack() as resources:
            hook = hook_of(resources, server.address, Metrics("separation"))
            live = await resources.enter_async_context(serving_separation(tmp_path, separator, hook=hook))
            header = separation_pb2.SeparationHeader(file_name="demo.wav", labels={"album": "one"}, request_id="r1")
            header.licence.licensee = "Someone"

            def upload() -> Any:
                parts = (
                    separation_pb2.CreateSeparationRequest(header=header),
                    separation_pb2.CreateSeparationRequest(data=sound.getvalue()),
                )
                return live.separation.CreateSeparation(iter(parts))

            assert (await refusal(upload()))[1:] == ("ADMISSION_REFUSED", {"admission_reason": "not this one"})
            assert not list((tmp_path / "store").rglob("*.wav"))
            job = (await upload()).job
            assert (await upload()).job.job_id == job.job_id
    assert len(server.asked) == 2
    asked = server.asked[1]
    assert (asked.job_id, asked.request_id, asked.audio_seconds) == (job.job_id, "r1", 2.0)
    assert (asked.upload.file_name, asked.upload.size_bytes) == ("demo.wav", len(sound.getvalue()))
    assert (asked.brief.labels, asked.brief.licence.licensee) == ({"album": "one"}, "Someone")
