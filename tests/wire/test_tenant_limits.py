"""Limits of tenants and priorities on running servers: each refusal names its limit, and other tenants go on."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status

from jobs_service.upload_meter import STEP_BYTES
from render_service.personas.library import Clip
from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import Renderer
from separation_service.engine import Separator, load_separator
from servicekit.access.call_limits import CallLimits
from servicekit.access.caller import GRANTABLE_SCOPES
from servicekit.access.limits import LIMIT_NAMES, LimitPolicy, TenantLimits
from servicekit.journal import JobState, Journal, OwningService
from sonichaos.jobs.v1 import brief_pb2, jobs_service_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2
from tests.support.callers import as_tenant
from tests.support.identity_server import bearer, guarded
from tests.support.jobs_server import serving as jobs_serving
from tests.support.journal_rows import claimed, new_job, open_journal, request
from tests.support.render_parts import RenderParts, render_parts, separation_in_thread
from tests.support.render_server import render_in_thread
from tests.support.separation_server import serving as separation_serving
from tests.support.tenants import upload, wav
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator

ACME: dict[str, Any] = {"metadata": as_tenant("acme", GRANTABLE_SCOPES)}
OTHER: dict[str, Any] = {"metadata": as_tenant("other", GRANTABLE_SCOPES)}
Analysis = separation_pb2.AnalyzeAudioRequest
Separation = separation_pb2.CreateSeparationRequest


def limited(**limits: float) -> CallLimits:
    """A server's counter, with these limits for every tenant but ``local``."""
    return CallLimits(LimitPolicy(TenantLimits().with_overrides(limits)))


def refusal(error: BaseException | None) -> tuple[str, dict[str, str], float | None]:
    """The reason, the metadata and the retry delay in seconds of a refused call."""
    status = rpc_status.from_call(error)
    assert status is not None, error
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    delay_s = None
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(retry):
            delay_s = retry.retry_delay.ToTimedelta().total_seconds()
    assert isinstance(error, grpc.RpcError)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return info.reason, dict(info.metadata), delay_s


async def refused(call: Any) -> tuple[str, dict[str, str], float | None]:
    """How an asynchronous call is refused."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return refusal(caught.value)


@pytest.fixture(scope="module")
def tiny_renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """Untrained nets of a few thousand parameters."""
    return load_renderer(str(tiny_checkpoint(tmp_path_factory.mktemp("tiny"))), device="cpu", threads=1)


@pytest.fixture(scope="module")
def separator(tmp_path_factory: pytest.TempPathFactory) -> Separator:
    """An untrained separator."""
    folder = tiny_separator(tmp_path_factory.mktemp("tiny") / "separator", gain=30.0)
    return load_separator(NAME, repo=folder, device="cpu", threads=1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with open_journal(tmp_path) as opened:
        yield opened


def failed_take(journal: Journal, tenant: str = "acme") -> str:
    """A take of 8 s that failed after its bounce; its job id."""
    job_id = journal.accept(new_job(request(tenant=tenant), stems=False), limit=99).job.job_id
    claim = claimed(journal)
    journal.fail(claim, {"code": 13})
    return job_id


def limited_parts(parts: RenderParts, calls: CallLimits) -> RenderParts:
    """The parts, whose use cases know the limits."""
    renders, rerenders = (replace(one, limits=calls.policy) for one in (parts.renders, parts.rerenders))
    return replace(parts, renders=renders, rerenders=rerenders)


@pytest.fixture
def limited_render(tmp_path: Path, tiny_renderer: Renderer, separator: Separator) -> Iterator[tuple[RenderParts, Any]]:
    """RenderService, where two versions of a tenant may wait, four seconds of audio are a day's, and 300 kB a day's uploads."""
    calls = limited(waiting_jobs=2, audio_seconds_per_day=4, upload_bytes_per_day=300_000)
    with (
        render_parts(tmp_path, tiny_renderer) as parts,
        separation_in_thread(tmp_path, separator) as client,
        render_in_thread(limited_parts(parts, calls), client, call_limits=calls) as address,
        grpc.insecure_channel(address) as channel,
    ):
        yield parts, render_pb2_grpc.RenderServiceStub(channel)


def brief(seconds: float = 2.0) -> brief_pb2.Brief:
    """A short take."""
    return brief_pb2.Brief(prompt="upbeat synths", persona_id="hiss", seconds=seconds, seed=7, bpm=120.0)


def test_renders_are_limited(limited_render: tuple[RenderParts, Any]) -> None:
    """By versions that wait and by audio a day; another tenant and the operator are not held up."""
    parts, stub = limited_render
    for tenant in ("acme", "other"):
        parts.renders.personas.add(tenant, "hiss", "hiss", [Clip(data=wav(1.5, seed=1))])

    def create(seconds: float = 2.0, **call: Any) -> str:
        asked = render_pb2.CreateRenderRequest(brief=brief(seconds))
        return str(stub.CreateRender(asked, **call).job.job_id)

    create(**ACME)
    create(**ACME)
    with pytest.raises(grpc.RpcError) as caught:
        create(**ACME)
    reason, metadata, retry_s = refusal(caught.value)
    assert (reason, metadata) == ("TENANT_LIMIT", {"limit": "waiting_jobs", "allowed": "2", "used": "3"})
    assert retry_s is not None
    create(**OTHER)
    for _ in range(4):
        create(seconds=4.0)
    parts.journal.finish(claimed(parts.journal))
    with pytest.raises(grpc.RpcError) as caught:
        create(**ACME)
    reason, metadata, retry_s = refusal(caught.value)
    assert (reason, metadata) == ("TENANT_LIMIT", {"limit": "audio_seconds_per_day", "allowed": "4", "used": "6"})
    assert retry_s is not None
    assert 0 < retry_s <= 24 * 3600
    with pytest.raises(grpc.RpcError) as caught:
        create(seconds=5.0, **OTHER)
    assert refusal(caught.value)[2] is None, "more than a whole day's"


def test_clips_of_a_persona_count_as_uploads(limited_render: tuple[RenderParts, Any]) -> None:
    """Also those of a call that is refused."""
    parts, stub = limited_render

    def create(persona_id: str, seconds: float) -> str:
        data = wav(seconds, seed=1)
        header = render_pb2.PersonaHeader(persona_id=persona_id, prefix="soft")
        chunks = [
            render_pb2.ClipChunk(clip_index=0, data=data[at : at + 100_000]) for at in range(0, len(data), 100_000)
        ]
        messages = [
            render_pb2.CreatePersonaRequest(header=header),
            *(render_pb2.CreatePersonaRequest(chunk=chunk) for chunk in chunks),
        ]
        return str(stub.CreatePersona(iter(messages), **ACME).persona.id)

    assert create("moss", 1.5) == "moss"
    used = parts.journal.usage("acme").upload_bytes
    assert used == len(wav(1.5, seed=1))
    with pytest.raises(grpc.RpcError) as caught:
        create("fern", 1.5)
    reason, metadata, retry_s = refusal(caught.value)
    assert (reason, metadata["limit"], metadata["allowed"]) == ("TENANT_LIMIT", "upload_bytes_per_day", "300000")
    assert retry_s is not None
    assert parts.journal.usage("acme").upload_bytes == int(metadata["used"]) > 300_000


async def test_uploads_are_limited_and_counted(tmp_path: Path, separator: Separator) -> None:
    """While they arrive, whatever becomes of them; a separation counts its audio and waits like any version."""
    size = len(wav(0.3, seed=5))
    calls = limited(waiting_jobs=1, upload_bytes_per_day=3 * size + 10)
    async with separation_serving(tmp_path, separator, call_limits=calls) as live:
        with live.device_lock.held():
            await live.separation.CreateSeparation(iter(upload()), **ACME)
            await _until_running(live.journal)
            await live.separation.CreateSeparation(iter(upload()), **ACME)
            reason, metadata, _ = await refused(live.separation.CreateSeparation(iter(upload()), **ACME))
            assert (reason, metadata["limit"]) == ("TENANT_LIMIT", "waiting_jobs")
            used = live.journal.usage("acme")
            assert (used.upload_bytes, used.waiting_jobs, used.running_jobs) == (3 * size, 1, 1)
            assert used.audio_seconds == pytest.approx(0.6)
            messages = [Analysis(header=separation_pb2.AnalysisHeader()), Analysis(data=wav(0.3, seed=5))]
            reason, metadata, _ = await refused(live.separation.AnalyzeAudio(iter(messages), **ACME))
            assert (reason, metadata["limit"]) == ("TENANT_LIMIT", "upload_bytes_per_day")
            assert live.journal.usage("acme").upload_bytes == 4 * size
            await live.separation.CreateSeparation(iter(upload()), **OTHER)


async def test_an_upload_beyond_a_limit_is_refused_by_its_header(tmp_path: Path, separator: Separator) -> None:
    """Before its samples are read: a small FLAC can be hours of silence. Here they are damaged, which nobody notices."""
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros((44100 * 9, 2)), 44100, format="FLAC", subtype="PCM_16")
    data = silence.getvalue()[:-100] + bytes(100)
    messages = [Separation(header=separation_pb2.SeparationHeader()), Separation(data=data)]
    async with separation_serving(tmp_path, separator, call_limits=limited(audio_seconds_per_day=8)) as live:
        reason, metadata, _ = await refused(live.separation.CreateSeparation(iter(messages), **ACME))
        assert (reason, metadata["limit"], metadata["used"]) == ("TENANT_LIMIT", "audio_seconds_per_day", "9")
        assert live.journal.usage("acme").audio_seconds == 0
        with pytest.raises(aio.AioRpcError, match=r"cannot be decoded|is damaged|is truncated"):
            await live.separation.CreateSeparation(iter(messages))


async def _until_running(journal: Journal) -> None:
    """Wait until the worker has claimed what waits."""
    while journal.count_queued(OwningService.SEPARATION):  # noqa: ASYNC110  the worker is a thread
        await asyncio.sleep(0.01)


async def test_a_long_upload_is_counted_before_it_ends(tmp_path: Path, separator: Separator) -> None:
    """Streams that run for hours side by side share the day's bytes."""
    calls = limited(upload_bytes_per_day=1 << 30)
    async with separation_serving(tmp_path, separator, call_limits=calls, upload_max_bytes=1 << 30) as live:
        call = live.separation.AnalyzeAudio(**ACME)
        await call.write(Analysis(header=separation_pb2.AnalysisHeader()))
        for _ in range((STEP_BYTES >> 20) + 1):
            await call.write(Analysis(data=bytes(1 << 20)))
        while live.journal.usage("acme").upload_bytes < STEP_BYTES:  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.01)
        call.cancel()


async def test_stems_and_retries_are_limited(tmp_path: Path, journal: Journal) -> None:
    """Each counts its audio again, and waits with its priority."""
    async with jobs_serving(tmp_path, journal, call_limits=limited(audio_seconds_per_day=20)) as wire:
        job_id = failed_take(journal)
        asked = jobs_service_pb2.RetryVersionRequest(job_id=job_id, priority=-7)
        queued = (await wire.stub.RetryVersion(asked, **ACME)).job.versions[0]
        assert (queued.priority, journal.usage("acme").audio_seconds) == (-7, 16)
        claim = claimed(journal)
        wire.keep(claim, stems=False)
        journal.finish(claim)
        stems = jobs_service_pb2.AddStemsRequest(job_id=job_id, priority=9)
        reason, metadata, _ = await refused(wire.stub.AddStems(stems, **ACME))
        assert (reason, metadata["limit"], metadata["used"]) == ("TENANT_LIMIT", "audio_seconds_per_day", "24")
        assert journal.job("acme", job_id).versions[0].state is JobState.DONE
        too_high = jobs_service_pb2.AddStemsRequest(job_id=job_id, priority=101)
        with pytest.raises(aio.AioRpcError, match="priority: must be from -100 to 100, got 101"):
            await wire.stub.AddStems(too_high, **ACME)


async def test_requests_a_second_are_limited(tmp_path: Path, journal: Journal) -> None:
    """Per tenant; health checks and the operator's calls are not counted."""
    asked = jobs_service_pb2.ListJobsRequest()
    async with jobs_serving(tmp_path, journal, call_limits=limited(requests_per_second=0.001)) as wire:
        await wire.stub.ListJobs(asked, **ACME)
        reason, metadata, retry_s = await refused(wire.stub.ListJobs(asked, **ACME))
        assert (reason, metadata) == (
            "TENANT_LIMIT",
            {"limit": "requests_per_second", "allowed": "0.001", "used": metadata["used"]},
        )
        assert retry_s is not None
        assert retry_s > 900
        await wire.stub.ListJobs(asked, **OTHER)
        for _ in range(5):
            await wire.stub.ListJobs(asked)


async def test_open_streams_are_limited(tmp_path: Path, journal: Journal) -> None:
    """A watch that ends makes room for the next."""
    asked = jobs_service_pb2.WatchJobsRequest()
    async with jobs_serving(tmp_path, journal, call_limits=limited(open_streams=1)) as wire:
        first = wire.stub.WatchJobs(asked, **ACME)
        await first.initial_metadata()
        reason, metadata, _ = await refused(wire.stub.WatchJobs(asked, **ACME).read())
        assert (reason, metadata) == ("TENANT_LIMIT", {"limit": "open_streams", "allowed": "1", "used": "2"})
        other = wire.stub.WatchJobs(asked, **OTHER)
        await other.initial_metadata()
        first.cancel()
        while wire.rpc.call_limits.open_streams("acme"):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.01)
        await wire.stub.WatchJobs(asked, **ACME).initial_metadata()


async def test_a_limit_of_a_key_replaces_that_of_the_tenant(tmp_path: Path) -> None:
    """More or less than it, for calls with that key; what is counted is the tenant's."""
    asked = jobs_service_pb2.WatchJobsRequest()
    async with guarded(tmp_path, call_limits=limited(open_streams=1, waiting_jobs=7)) as served:
        more, plain = served.key(limits={"open_streams": 2}), served.key()
        for _ in range(2):
            await served.wire.stub.WatchJobs(asked, metadata=bearer(more)).initial_metadata()
        for key, allowed in ((more, "2"), (plain, "1")):
            reason, metadata, _ = await refused(served.wire.stub.WatchJobs(asked, metadata=bearer(key)).read())
            assert (reason, metadata) == ("TENANT_LIMIT", {"limit": "open_streams", "allowed": allowed, "used": "3"})
        found = await served.wire.stub.GetUsage(jobs_service_pb2.GetUsageRequest(), metadata=bearer(more))
        shown = {limit.limit: (limit.allowed, limit.used) for limit in found.limits}
        assert (shown["waiting_jobs"], shown["open_streams"]) == ((7, 1), (2, 2))


async def test_a_tenant_sees_its_limits_and_its_use(tmp_path: Path, journal: Journal) -> None:
    """Its own only."""
    calls = limited(waiting_jobs=5, open_streams=3, requests_per_second=2)  # slow to refill
    async with jobs_serving(tmp_path, journal, call_limits=calls) as wire:
        failed_take(journal)
        for tenant in ("acme", "acme", "other"):
            journal.accept(new_job(request(tenant=tenant)), limit=99)
        assert [claimed(journal).job.tenant for _ in range(2)] == ["other", "acme"]
        journal.add_upload("acme", 77)
        watch = wire.stub.WatchJobs(jobs_service_pb2.WatchJobsRequest(), **ACME)
        await watch.initial_metadata()
        found = await wire.stub.GetUsage(jobs_service_pb2.GetUsageRequest(), **ACME)
        assert found.tenant == "acme"
        assert [limit.limit for limit in found.limits] == list(LIMIT_NAMES)
        shown = {limit.limit: (limit.allowed, limit.used) for limit in found.limits}
        assert 0 < shown.pop("requests_per_second")[1] <= 2
        assert shown == {
            "waiting_jobs": (5, 1),
            "running_jobs": (0, 1),
            "audio_seconds_per_day": (0, 24),
            "upload_bytes_per_day": (0, 77),
            "open_streams": (3, 1),
        }
        own = await wire.stub.GetUsage(jobs_service_pb2.GetUsageRequest())
        assert own.tenant == "local"
        assert not any(limit.allowed for limit in own.limits)


def test_a_repeated_request_may_have_another_priority(limited_render: tuple[RenderParts, Any]) -> None:
    """It returns the job that the first call made, with that call's priority."""
    _, stub = limited_render
    first, again = (
        stub.CreateRender(render_pb2.CreateRenderRequest(request_id="r1", brief=brief(), priority=priority)).job
        for priority in (50, -50)
    )
    assert (again.job_id, again.versions[0].priority) == (first.job_id, 50)
    with pytest.raises(grpc.RpcError, match="priority: must be from -100 to 100, got -101"):
        stub.CreateRender(render_pb2.CreateRenderRequest(brief=brief(), priority=-101))


async def test_a_repeated_upload_may_have_another_priority(tmp_path: Path, separator: Separator) -> None:
    """As a repeated render."""
    async with separation_serving(tmp_path, separator) as live:
        with live.device_lock.held():
            first, again = [
                (await live.separation.CreateSeparation(iter(upload(request_id="u1", priority=priority)))).job
                for priority in (50, -50)
            ]
    assert (again.job_id, again.versions[0].priority) == (first.job_id, 50)
