"""Every RPC under mutated real messages: each call ends with a result, or with a refusal that has a reason.

No crash, hang or INTERNAL.
"""

from __future__ import annotations

import io
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
import soundfile
import structlog
import xxhash
from google.protobuf import descriptor_pool, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from numpy.typing import NDArray

from render_service.renderers.load import load_renderer
from separation_service.engine import load_separator
from servicekit.journal import OwningService
from servicekit.rpc.server import MAX_MESSAGE_BYTES
from sonichaos.handoff.v1 import handoff_pb2, handoff_pb2_grpc
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2, jobs_service_pb2_grpc
from sonichaos.operations.v1 import operations_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from sonichaos.webhooks.v1 import webhooks_pb2
from tests.support.mutation import READER_SHARE, fuzzed, mutate, mutated_bytes, shuffled
from tests.support.render_parts import render_parts, run_to_end, separation_in_thread
from tests.support.render_server import render_in_thread
from tests.support.takes import pcm_of
from tests.support.tiny_checkpoint import tiny_checkpoint
from tests.support.tiny_separator import NAME, tiny_separator

CALL_LIMIT_S = 60.0
MANY_VERSIONS = 40
MILLION = 1_000_000
REFUSALS = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DATA_LOSS,
}
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Services:
    """Both services over one folder, and what their calls are about."""

    render: grpc.Channel
    separation: grpc.Channel
    done_job: str
    upload_job: str
    manifest_json: str
    version: job_pb2.Version
    cursor: str
    samples: NDArray[np.float32]
    queue_job: Callable[[], str]
    finish_job: Callable[[], str]
    rerendered_job: str
    spare_job: str = ""
    calls: int = 0

    def queued_job(self) -> str:
        """A job that waits: a new one if the last has been deleted."""
        try:
            self._jobs(self.render).GetJob(jobs_service_pb2.GetJobRequest(job_id=self.spare_job))
        except grpc.RpcError:
            self.spare_job = self.queue_job()
        return self.spare_job

    def ended_job(self) -> str:
        """A cancelled job."""
        job_id = self.queued_job()
        self._jobs(self.render).CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
        return job_id

    def ended_rerender(self) -> str:
        """A job with a second version, which was cancelled."""
        job_id, jobs = self.rerendered_job, self._jobs(self.render)
        if len(jobs.GetJob(jobs_service_pb2.GetJobRequest(job_id=job_id)).job.versions) == 1:
            render_pb2_grpc.RenderServiceStub(self.render).RerenderStem(*_rerender(self))
            jobs.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job_id))
        return job_id

    def sometimes_lent(self) -> str:
        """For one of ten calls a loan of the finished take's samples: with it a valid call separates them."""
        self.calls += 1
        if self.calls % 10:
            return "none"
        requests = _tensor(self.done_job, self.samples)
        return str(handoff_pb2_grpc.HandoffServiceStub(self.separation).SendTensor(iter(requests)).lease_id)

    def rarely_done_job(self) -> str:
        """The finished job for one of a hundred calls: those that then compute for long."""
        self.calls += 1
        return self.queued_job() if self.calls % 100 else self.done_job

    def end(self, channel: grpc.Channel, answer: bytes) -> None:
        """End what a call has created, so that the queue has room for the next; replace one with many versions."""
        job = render_pb2.CreateRenderResponse.FromString(answer).job
        jobs = self._jobs(channel)
        jobs.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job.job_id, version=job.versions[-1].number))
        for _ in jobs.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job.job_id)):
            pass
        if job.job_id == self.rerendered_job and len(job.versions) > MANY_VERSIONS:
            self.rerendered_job = self.finish_job()
        elif job.job_id not in {self.rerendered_job, self.done_job, self.upload_job, self.spare_job}:
            jobs.DeleteJob(jobs_service_pb2.DeleteJobRequest(job_id=job.job_id))

    @staticmethod
    def _jobs(channel: grpc.Channel) -> jobs_service_pb2_grpc.JobsServiceStub:
        return jobs_service_pb2_grpc.JobsServiceStub(channel)


@cache
def wav(seconds: float = 0.3) -> bytes:
    """A short recording."""
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * 44100), 2))
    sink = io.BytesIO()
    soundfile.write(sink, noise, 44100, format="WAV", subtype="PCM_16")
    return sink.getvalue()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """Small real models; a finished take with stems, one in the queue, and an upload."""
    folder = tmp_path_factory.mktemp("fuzz")
    # A line for each call takes longer than the call.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    renderer = load_renderer(str(tiny_checkpoint(folder / "renderer")), device="cpu", threads=1)
    models = tiny_separator(folder / "separator", gain=30.0)
    separator = load_separator(NAME, repo=models, device="cpu", threads=1)
    separator.warm()
    with (
        render_parts(folder, renderer) as parts,
        separation_in_thread(folder, separator) as client,
        render_in_thread(parts, client) as address,
        grpc.insecure_channel(address) as render,
        grpc.insecure_channel(client.address) as separation,
    ):

        def finish_job() -> str:
            return run_to_end(parts, client, parts.create_render(stems=True).job_id).job_id

        done_job = finish_job()
        jobs = jobs_service_pb2_grpc.JobsServiceStub(render)
        job = jobs.GetJob(jobs_service_pb2.GetJobRequest(job_id=done_job)).job
        upload = separation_pb2_grpc.SeparationServiceStub(separation).CreateSeparation(
            iter([separation_pb2.CreateSeparationRequest(header=separation_pb2.SeparationHeader()), *chunks(wav())])
        )
        manifest = parts.store.read(f"jobs/{done_job}/v1.json", max_bytes=1 << 20).decode()
        bounce = parts.store.read(f"jobs/{done_job}/bounce.wav", max_bytes=1 << 24)
        cursor = parts.journal.cursor("local", parts.journal.feed_head())
        yield Services(
            render,
            separation,
            done_job,
            upload.job.job_id,
            manifest,
            job.versions[0],
            cursor,
            samples=pcm_of(bounce).astype(np.float32) / (1 << 23),
            queue_job=lambda: parts.create_render().job_id,
            finish_job=finish_job,
            rerendered_job=finish_job(),
        )
        assert parts.journal.job("local", done_job).owner is OwningService.RENDER
    structlog.reset_defaults()


def chunks(data: bytes) -> list[separation_pb2.CreateSeparationRequest]:
    """The bytes in messages."""
    return [separation_pb2.CreateSeparationRequest(data=data[at : at + 30_000]) for at in range(0, len(data), 30_000)]


Make = Callable[[Services], list[Message]]

JOBS, RENDER = "sonichaos.jobs.v1.JobsService", "sonichaos.render.v1.RenderService"
OPERATIONS, WEBHOOKS = "sonichaos.operations.v1.OperationsService", "sonichaos.webhooks.v1.WebhooksService"
SEPARATION, HANDOFF = "sonichaos.separation.v1.SeparationService", "sonichaos.handoff.v1.HandoffService"


def _brief(service: Services) -> brief_pb2.Brief:
    brief = brief_pb2.Brief(prompt="upbeat synths", persona_id="hiss", seconds=2.0, seed=7, labels={"album": "one"})
    brief.tempo_map.points.add(start_seconds=0.0, bpm=120.0, beats_per_bar=4, beat_unit=4)
    brief.tempo_map.points.add(start_seconds=1.0, bpm=90.0, beats_per_bar=3, beat_unit=4)
    brief.licence.tier = "studio"
    brief.score.chords = "| C | G7/B |"
    _ = service
    return brief


def _clip_stream(service: Services) -> list[Message]:
    header = render_pb2.PersonaHeader(persona_id="fuzzed", prefix="a band")
    data = wav(1.1)
    _ = service
    return [
        render_pb2.CreatePersonaRequest(header=header),
        render_pb2.CreatePersonaRequest(chunk=render_pb2.ClipChunk(clip_index=0, data=data[:90_000])),
        render_pb2.CreatePersonaRequest(chunk=render_pb2.ClipChunk(clip_index=0, data=data[90_000:])),
    ]


def _tensor(job_id: str, samples: NDArray[np.float32]) -> list[Message]:
    data = samples.tobytes()
    header = handoff_pb2.TensorHeader(
        lease_id=secrets.token_hex(16),
        channels=samples.shape[0],
        frames=samples.shape[1],
        sample_rate_hz=44100,
        sample_type=handoff_pb2.SAMPLE_TYPE_FLOAT32,
        xxh3_128=xxhash.xxh3_128_hexdigest(data),
        job_id=job_id,
    )
    header.lease_expire_time.GetCurrentTime()
    header.lease_expire_time.seconds += 30
    parts = [data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)]
    return [handoff_pb2.SendTensorRequest(header=header), *(handoff_pb2.SendTensorRequest(data=part) for part in parts)]


def _tensor_stream(service: Services) -> list[Message]:
    return _tensor(service.done_job, np.zeros((2, 100), np.float32))


def _replace(service: Services) -> list[Message]:
    request = separation_pb2.ReplaceStemRequest(
        lease_id=service.sometimes_lent(),
        job_id=service.done_job,
        version=2,
        stem=brief_pb2.STEM_VOCALS,
        manifest_json=service.manifest_json,
        base=separation_pb2.BaseVersion(
            version=1, zip=service.version.files.zip, zip_entries=service.version.files.zip_entries
        ),
        grid=separation_pb2.Grid(seconds=2.0, beat_seconds=[0.0, 0.5, 1.0], downbeat_seconds=[0.0]),
    )
    return [request]


def _separate(service: Services) -> list[Message]:
    return [
        separation_pb2.SeparateTensorRequest(
            lease_id=service.sometimes_lent(),
            job_id=service.done_job,
            version=1,
            stem_mode=brief_pb2.STEM_MODE_EXACT,
            manifest_json=service.manifest_json,
            bounce=service.version.files.bounce,
        )
    ]


def _rerender(service: Services) -> list[Message]:
    request = render_pb2.RerenderStemRequest(
        job_id=service.rerendered_job, stem=brief_pb2.STEM_VOCALS, persona_id="rumble", seed=9, from_bar=1, to_bar=1
    )
    return [request]


J, R, S, OP, W = jobs_service_pb2, render_pb2, separation_pb2, operations_pb2, webhooks_pb2
URL = "https://receiver.example:8443/hook?a=b"
NO_WEBHOOK, NO_DELIVERY = (f"{prefix}-01m8h0dkf88yd6p4gkdpczcc3e" for prefix in ("wh", "wd"))
CALLS: dict[str, tuple[str, Make]] = {
    "GetJob": (JOBS, lambda s: [J.GetJobRequest(job_id=s.done_job)]),
    "ListJobs": (JOBS, lambda _: [J.ListJobsRequest(page_size=1, labels={"a": "b"}, persona_id="hiss", prompt_contains="up")]),
    "WatchJob": (JOBS, lambda s: [J.WatchJobRequest(job_id=s.done_job, version=1)]),
    "WatchJobs": (JOBS, lambda s: [J.WatchJobsRequest(cursor=s.cursor)]),
    "CancelJob": (JOBS, lambda s: [J.CancelJobRequest(job_id=s.done_job, version=1)]),
    "DeleteJob": (JOBS, lambda s: [J.DeleteJobRequest(job_id=s.ended_job())]),
    "DeleteVersion": (JOBS, lambda s: [J.DeleteVersionRequest(job_id=s.ended_rerender(), version=2)]),
    "EraseJob": (JOBS, lambda s: [J.EraseJobRequest(job_id=s.ended_job())]),
    "EraseTenant": (OPERATIONS, lambda _: [OP.EraseTenantRequest(tenant="nobody", confirm_tenant="nobody")]),
    "Drain": (OPERATIONS, lambda _: [OP.DrainRequest(timeout=duration_pb2.Duration(seconds=1))]),
    "AddStems": (JOBS, lambda s: [J.AddStemsRequest(job_id=s.done_job, version=1)]),
    "RetryVersion": (JOBS, lambda s: [J.RetryVersionRequest(job_id=s.done_job, version=1)]),
    "CreateSignedUrl": (JOBS, lambda s: [J.CreateSignedUrlRequest(job_id=s.done_job, version=1)]),
    "GetWaveforms": (JOBS, lambda s: [J.GetWaveformsRequest(job_id=s.done_job, version=1, points=100)]),
    "GetUsage": (JOBS, lambda _: [J.GetUsageRequest()]),
    "CreateRender": (RENDER, lambda s: [R.CreateRenderRequest(request_id="", brief=_brief(s))]),
    "RerenderStem": (RENDER, _rerender),
    "ListPersonas": (RENDER, lambda _: [R.ListPersonasRequest(page_size=1)]),
    "GetPersona": (RENDER, lambda _: [R.GetPersonaRequest(persona_id="hiss")]),
    "AnalyzePrompt": (RENDER, lambda _: [R.AnalyzePromptRequest(prompt="dark piano and strings, slow, no vocals")]),
    "EstimateRender": (RENDER, lambda _: [R.EstimateRenderRequest(seconds=8.0, stems=True)]),
    "DownloadPersonaClip": (RENDER, lambda _: [R.DownloadPersonaClipRequest(persona_id="hiss", clip_index=0)]),
    "CreatePersona": (RENDER, _clip_stream),
    "DeletePersona": (RENDER, lambda _: [R.DeletePersonaRequest(persona_id="none")]),
    "ListAuditRows": (RENDER, lambda s: [R.ListAuditRowsRequest(job_id=s.done_job, page_size=1)]),
    "VerifyAuditChain": (RENDER, lambda _: [R.VerifyAuditChainRequest(head_sequence=1, head_digest="0" * 64)]),
    "GetDriftReport": (RENDER, lambda _: [R.GetDriftReportRequest(stem=brief_pb2.STEM_DRUMS)]),
    "ReplayTake": (RENDER, lambda s: [R.ReplayTakeRequest(job_id=s.rarely_done_job(), version=1)]),
    "ErasePrompt": (RENDER, lambda s: [R.ErasePromptRequest(job_id=s.ended_job())]),
    "GetModelInfo": (RENDER, lambda _: [R.GetModelInfoRequest()]),
    "SeparateTensor": (SEPARATION, _separate),
    "ReplaceStem": (SEPARATION, _replace),
    "CreateSeparation": (SEPARATION, lambda _: [S.CreateSeparationRequest(header=S.SeparationHeader()), *chunks(wav())]),
    "AnalyzeAudio": (SEPARATION, lambda _: [S.AnalyzeAudioRequest(header=S.AnalysisHeader()), S.AnalyzeAudioRequest(data=wav())]),
    "CreateWebhook": (WEBHOOKS, lambda s: [W.CreateWebhookRequest(url=URL, job_id=s.done_job, kinds=[1])]),
    "ListWebhooks": (WEBHOOKS, lambda _: [W.ListWebhooksRequest(page_size=1)]),
    "DeleteWebhook": (WEBHOOKS, lambda _: [W.DeleteWebhookRequest(webhook_id=NO_WEBHOOK)]),
    "ListWebhookDeliveries": (WEBHOOKS, lambda _: [W.ListWebhookDeliveriesRequest(webhook_id=NO_WEBHOOK)]),
    "RetryWebhookDelivery": (WEBHOOKS, lambda _: [W.RetryWebhookDeliveryRequest(delivery_id=NO_DELIVERY)]),
    "SendTensor": (HANDOFF, _tensor_stream),
    "WithdrawTensor": (HANDOFF, lambda _: [handoff_pb2.WithdrawTensorRequest(lease_id="none")]),
}  # fmt: skip
CREATIONS = ("CreateRender", "RerenderStem", "CreateSeparation")
UPLOADS_TOO = ("GetJob", "WatchJob", "CancelJob", "AddStems", "CreateSignedUrl", "GetWaveforms")


def test_every_method_is_fuzzed() -> None:
    """A method that a release adds must be added here."""
    files = (jobs_service_pb2, render_pb2, separation_pb2, handoff_pb2, operations_pb2, webhooks_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    assert {method.name for service in services for method in service.methods} == CALLS.keys()


@pytest.mark.parametrize("method", CALLS)
def test_a_mutated_call_ends_with_a_result_or_a_reason(
    services: Services, method: str, record_property: Callable[[str, object], None]
) -> None:
    """By structure (fields set to extremes, messages of a stream lost, repeated, reordered) and by bytes."""
    service, make = CALLS[method]
    outcomes: Counter[str] = Counter()

    @fuzzed
    def fuzz(rng: Random) -> None:
        messages = make(services)
        if len(messages) > 1:
            messages = shuffled(messages, rng)
        if messages and rng.random() < 0.9:
            mutate(rng.choice(messages), rng)
        data = [message.SerializeToString() for message in messages]
        if data and rng.random() < 0.2:
            at = rng.randrange(len(data))
            data[at] = mutated_bytes(data[at], rng)
        to_separation = service in {SEPARATION, HANDOFF} or (method in UPLOADS_TOO and rng.random() < 0.2)
        channel = services.separation if to_separation else services.render
        outcome, answer = call(channel, service, method, data)
        outcomes[outcome] += 1
        if answer and method in CREATIONS:
            services.end(channel, answer)
        elif answer and method == "CreatePersona":
            persona_id = render_pb2.CreatePersonaResponse.FromString(answer).persona.id
            call(channel, RENDER, "DeletePersona", [R.DeletePersonaRequest(persona_id=persona_id).SerializeToString()])

    before = resources()
    fuzz()
    assert resources() <= before + 40  # a pool's threads and a connection or two, however many calls there were
    for outcome, count in outcomes.items():
        record_property(outcome, count)
    assert "QUEUE_FULL" not in outcomes  # a queue that the test itself fills would hide what comes after that check


def resources() -> int:
    """Descriptors and threads of both services, which run in this process."""
    return psutil.Process().num_fds() + threading.active_count()


def call(channel: grpc.Channel, service: str, method: str, data: list[bytes]) -> tuple[str, bytes]:
    """Make one call with serialized messages: "OK" and its answer, or the reason of its refusal by one of `REFUSALS`."""
    described = descriptor_pool.Default().FindMethodByName(f"{service}.{method}")
    path = f"/{service}/{method}"
    arguments = {"timeout": CALL_LIMIT_S}
    try:
        if described.server_streaming:
            stream = channel.unary_stream(path)(data[0] if data else b"", **arguments)
            # Watches of running jobs never end. Their first answer, a refusal or the metadata, is what mutations can change.
            stream.initial_metadata()
            if method in {"WatchJob", "WatchJobs"} and not stream.done():
                stream.cancel()
                return "OK", b""
            return "OK", b"".join(stream)
        if described.client_streaming:
            return "OK", channel.stream_unary(path)(iter(data), **arguments)
        return "OK", channel.unary_unary(path)(data[0] if data else b"", **arguments)
    except grpc.RpcError as error:
        return refusal(error, error.code(), longest=max(map(len, data), default=0)), b""


def refusal(error: Any, code: grpc.StatusCode, *, longest: int) -> str:
    """A refusal has a code that callers can act on, a reason, and less than 4 KiB.

    A message over the limit of all messages is refused by gRPC itself, before any code of the services.
    """
    assert code in REFUSALS, f"{code.name}: {error.details()}"
    status = rpc_status.from_call(error)
    if status is None and code is grpc.StatusCode.RESOURCE_EXHAUSTED and longest > MAX_MESSAGE_BYTES:
        return "over 4 MiB"
    assert status is not None, error
    assert status.ByteSize() < 4096
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.reason not in {"", "INTERNAL"}
    return str(info.reason)


@pytest.mark.soak
def test_a_million_mutations() -> None:
    """All fuzz tests with as many examples as make a million together."""
    readers, sockets = 8, 2
    methods = len(CALLS) + sockets - 1 + (readers + 1) * READER_SHARE  # the handoff socket counts as a reader
    environment = {**os.environ, "FUZZ_MUTATIONS": str(-(-MILLION // methods))}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not soak", "tests/fuzz"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
