"""Retries, timeouts and reports of both clients: against scripted services, and a real one behind a proxy that can be cut."""

# ruff: noqa: S311  draws need no secrecy

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest

from render_service.renderers.load import load_renderer
from separation_service.engine import load_separator
from servicekit.errors import Internal, NotFound, ServiceError, Unavailable
from servicekit.journal import JobFilter
from servicekit.rpc.status import retry_pushback
from sonichaos.jobs.v1 import jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos_client import (
    CallOptions,
    CallReport,
    Client,
    JobState,
    OwningService,
    RetryPolicy,
    Stem,
    errors,
)
from tests.support.client_kinds import KINDS
from tests.support.cuttable_proxy import HttpProxy
from tests.support.pair import eventually
from tests.support.render_parts import TENANT, RenderParts, render_parts, separation_in_thread
from tests.support.render_server import render_in_thread
from tests.support.scripted_services import ScriptedPair, scripted_pair
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator

POLICY = RetryPolicy(max_attempts=4, initial_backoff_s=0.02, max_backoff_s=0.2, max_elapsed_s=2)
QUICK = CallOptions(timeout_s=10, retry=POLICY, rng=random.Random(1))


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services."""
    with scripted_pair() as running:
        yield running


@pytest.fixture
def reports() -> list[CallReport]:
    """What the client of the test reports."""
    return []


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, pair: ScriptedPair, reports: list[CallReport]) -> Iterator[Any]:
    """Each kind of client."""
    made = request.param.of(pair, replace(QUICK, on_call=reports.append))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RenderParts, str]]:
    """A real render_service without workers, with tiny models; its parts and its address."""
    folder = tmp_path_factory.mktemp("service")
    renderer = load_renderer(str(tiny_checkpoint(folder / "renderer")), device="cpu", threads=1)
    separator = load_separator(NAME, repo=tiny_separator(folder / "separator"), device="cpu", threads=1)
    with (
        render_parts(folder, renderer) as parts,
        separation_in_thread(folder, separator) as separation,
        render_in_thread(parts, separation) as address,
    ):
        yield parts, address


def jobs_in(parts: RenderParts) -> set[str]:
    """The ids of all jobs in the journal."""
    return {job.job_id for job in parts.journal.jobs(TENANT, JobFilter()).jobs}


def port_of(address: str) -> int:
    """The port of an address."""
    return int(address.rpartition(":")[2])


def test_a_render_whose_answer_is_lost_is_created_once(service: tuple[RenderParts, str]) -> None:
    """The call is repeated by gRPC on a new connection, and the request id that the client made finds the job of the first call."""
    parts, address = service
    with (
        HttpProxy(port_of(address)) as proxy,
        ThreadPoolExecutor(1) as background,
        Client(f"127.0.0.1:{proxy.port}", options=replace(QUICK, timeout_s=90)) as client,
    ):
        before = {job.job_id for job in client.list_jobs()}
        with proxy.losing_answers():
            call = background.submit(client.create_render, prompt="synths", persona_id="hiss", seconds=2.0, seed=5)
            eventually(lambda: len(jobs_in(parts)) > len(before), "the job is accepted")
        made = call.result(timeout=60)
        assert jobs_in(parts) - before == {made.job_id}
        assert len(made.message.request_id) == 32


def test_a_client_reconnects_within_the_bounds_of_its_policy(service: tuple[RenderParts, str]) -> None:
    """Once the service is back, one call with its few retries succeeds, however long the service was away."""
    _, address = service
    options = CallOptions(retry=RetryPolicy(initial_backoff_s=0.1, max_backoff_s=0.4))
    with HttpProxy(port_of(address)) as proxy, Client(f"127.0.0.1:{proxy.port}", options=options) as client:
        client.get_render_model()
        with proxy.cut():
            for _ in range(3):  # by gRPC's defaults, waits between attempts to connect would be above 2 s by now
                with pytest.raises(errors.ConnectionFailedError):
                    client.get_render_model()
        assert client.get_render_model().name


def test_a_service_says_in_its_trailers_when_to_call_again(service: tuple[RenderParts, str]) -> None:
    """-1 with an error that a retry cannot fix, for gRPC's retries in every language."""
    _, address = service
    with grpc.insecure_channel(address) as channel:
        stub = jobs_service_pb2_grpc.JobsServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetJob(jobs_service_pb2.GetJobRequest(job_id="j-none"), timeout=5)
    assert ("grpc-retry-pushback-ms", "-1") in [tuple(pair) for pair in caught.value.trailing_metadata() or ()]


@pytest.mark.parametrize(("time_left_s", "expected"), [(None, "30000"), (34.0, "30000"), (30.1, "-1"), (29.0, "-1")])
def test_a_wait_that_leaves_no_time_for_the_call_is_not_asked_for(time_left_s: float | None, expected: str) -> None:
    """A service may see more than the caller's 30 s, because gRPC rounds up the timeout that it sends."""
    assert retry_pushback(Unavailable("draining", reason="DRAINING", retry_after_s=30), time_left_s) == expected


def test_a_call_is_repeated_when_the_service_asks_for_it(pair: ScriptedPair, client: Any) -> None:
    """After the delay of RetryInfo, which is longer than the policy's backoff, and with the same request id."""
    pair.render.errors["CreateRender"] = [Unavailable("warming", reason="WARMING", retry_after_s=0.5) for _ in range(2)]
    job = client.create_render(prompt="a", persona_id="ember")
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(pair.render.times_s))
    assert len(pair.render.times_s) == 3
    assert {request.request_id for request in pair.render.requests("CreateRender")} == {job.message.request_id}
    assert len(pair.render.jobs) == 1


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("draining", reason="DRAINING", retry_after_s=30),  # longer than the call may take
        Unavailable("down"),
        Internal("a bug"),
        NotFound("no persona", reason="PERSONA_NOT_FOUND"),
    ],
)
def test_an_error_that_a_retry_cannot_fix_is_raised_at_once(
    pair: ScriptedPair, client: Any, error: ServiceError
) -> None:
    """It is the service's error, not that of a deadline."""
    pair.render.errors["CreateRender"] = [error]
    with pytest.raises(errors.SonichaosError, match=error.message):
        client.create_render(prompt="a", persona_id="ember")
    assert len(pair.render.requests("CreateRender")) == 1


def test_a_call_that_may_not_be_repeated_is_made_once(pair: ScriptedPair, client: Any) -> None:
    """A second cancel could be about another version."""
    job = client.create_render(prompt="a", persona_id="ember")
    pair.render.errors["CancelJob"] = [Unavailable("busy", retry_after_s=0.01)]
    with pytest.raises(errors.UnavailableError, match="busy"):
        job.cancel()
    assert len(pair.render.requests("CancelJob")) == 1


def test_calls_are_made_at_most_max_attempts_times(pair: ScriptedPair, client: Any) -> None:
    """Then the last error is raised."""
    pair.render.errors["GetModelInfo"] = [Unavailable("busy", retry_after_s=0.01) for _ in range(9)]
    with pytest.raises(errors.UnavailableError, match="busy"):
        client.get_render_model()
    assert len(pair.render.requests("GetModelInfo")) == POLICY.max_attempts


def test_an_upload_is_sent_again_from_its_start(
    pair: ScriptedPair, client: Any, reports: list[CallReport], tmp_path: Path
) -> None:
    """With the same request id, also where it is too long for gRPC to repeat it."""
    wav = tmp_path / "a.wav"
    wav.write_bytes(b"RIFF" + bytes(3_000_000))
    pair.separation.errors["CreateSeparation"] = [Unavailable("warming", retry_after_s=0.01)]
    job = client.separate_file(wav)
    assert pair.separation.uploads == [wav.read_bytes()]
    requests = pair.separation.requests("CreateSeparation")
    assert [request.header.request_id for request in requests] == [job.message.request_id] * 2
    assert [(report.code.name, report.attempt) for report in reports] == [("UNAVAILABLE", 1), ("OK", 2)]
    assert {report.request_id for report in reports} == {job.message.request_id}
    pair.separation.errors["AnalyzeAudio"] = [Unavailable("warming", retry_after_s=0.01) for _ in range(9)]
    with pytest.raises(errors.UnavailableError):
        client.analyze_file(wav)
    assert len(pair.separation.requests("AnalyzeAudio")) == POLICY.max_attempts


def test_every_call_is_reported_at_its_end(pair: ScriptedPair, client: Any, reports: list[CallReport]) -> None:
    """Service, method, code, reason, number of the stream, and request id; nothing of what was sent."""
    job = client.create_render(prompt="a secret", persona_id="ember")
    pair.render.disconnects = [2]
    job.events()
    client.watch(job, limit=1)
    with pytest.raises(errors.NotFoundError):
        client.get_job("j-none")
    seen = [
        (one.service, one.method.rpartition("/")[2], one.code.name, one.reason, one.attempt, one.request_id)
        for one in reports
    ]
    render, separation = OwningService.RENDER, OwningService.SEPARATION
    assert seen == [
        (render, "CreateRender", "OK", "", 1, job.message.request_id),
        (render, "WatchJob", "UNAVAILABLE", "", 1, ""),
        (render, "WatchJob", "OK", "", 2, ""),
        (render, "WatchJob", "CANCELLED", "", 1, ""),
        (render, "GetJob", "NOT_FOUND", "JOB_NOT_FOUND", 1, ""),
        (separation, "GetJob", "NOT_FOUND", "JOB_NOT_FOUND", 1, ""),
    ]
    assert all(0 <= report.seconds < 60 for report in reports)
    assert "secret" not in str(reports)


def test_a_hook_that_fails_ends_no_call(pair: ScriptedPair, caplog: pytest.LogCaptureFixture) -> None:
    """Its exception is logged."""

    def broken(_: CallReport) -> None:
        raise ZeroDivisionError

    options = replace(QUICK, on_call=broken)
    with Client(pair.render_address, pair.separation_address, options=options) as client:
        assert client.get_render_model()
    assert "on_call failed for sonichaos.render.v1.RenderService/GetModelInfo" in caplog.text


def test_a_call_can_have_a_timeout_of_its_own(pair: ScriptedPair, client: Any) -> None:
    """The client of the call shares the connections, and the first one keeps its own timeout."""
    pair.render.stalled = {"GetModelInfo", "GetDriftReport"}
    hasty = client.with_timeout(0.2)
    for call in (hasty.get_render_model, lambda: hasty.get_drift_report(Stem.DRUMS)):
        with pytest.raises(errors.DeadlineExceededError, match="render_service"):
            call()
    pair.render.resumed.set()
    assert client.get_render_model()


def test_a_wait_can_have_a_timeout(pair: ScriptedPair, client: Any) -> None:
    """The job continues, and can be waited for again."""
    pair.render.pause_after = 3
    job = client.create_render(prompt="a", persona_id="ember")
    with pytest.raises(errors.DeadlineExceededError, match=r"v1 has not ended after 0\.3 s\. It continues"):
        job.wait(timeout_s=0.3)
    pair.render.resumed.set()
    assert job.wait(timeout_s=30).state is JobState.DONE
