"""Both services as a client sees them, with scripted behaviour: gRPC and HTTP servers on loopback.

The client under test is real. The services are built from the generated servicers and the services' own table of errors.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.errors import InvalidAudio, Unavailable
from sonichaos.jobs.v1 import brief_pb2, erasure_pb2, job_pb2, jobs_service_pb2_grpc
from sonichaos.jobs.v1 import jobs_service_pb2 as jobs_pb
from sonichaos.operations.v1 import operations_pb2, operations_pb2_grpc
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos.separation.v1 import separation_pb2, separation_pb2_grpc
from tests.support.certificates import Certificate
from tests.support.scripted_file_server import ScriptedFileServer
from tests.support.scripted_service import BOUNCE, ZIP, ScriptedService, abort_with, stored

CLIP_PART_BYTES = 4096
"""Of a reference clip, which has the bytes of `BOUNCE`."""


def _is_cancelled(context: grpc.ServicerContext) -> bool:
    """Whether the caller cancels; waits up to 2 s, because the end of a cancelled upload may arrive before the cancel."""
    for _ in range(200):
        if not context.is_active():
            return True
        time.sleep(0.01)
    return False


class Jobs(jobs_service_pb2_grpc.JobsServiceServicer):
    """JobsService over scripted jobs."""

    def __init__(self, scripted: ScriptedService) -> None:
        self.scripted = scripted

    def GetJob(self, request: jobs_pb.GetJobRequest, context: grpc.ServicerContext) -> jobs_pb.GetJobResponse:
        self.scripted.receive("GetJob", request, context)
        return jobs_pb.GetJobResponse(job=self.scripted.find(request.job_id, context))

    def ListJobs(self, request: jobs_pb.ListJobsRequest, context: grpc.ServicerContext) -> jobs_pb.ListJobsResponse:
        self.scripted.receive("ListJobs", request, context)
        newest_first = sorted(self.scripted.jobs.values(), key=lambda job: -job.create_time.seconds)
        begin = int(request.page_token or 0)
        end = begin + self.scripted.page_size
        token = str(end) if end < len(newest_first) else ""
        return jobs_pb.ListJobsResponse(jobs=newest_first[begin:end], next_page_token=token)

    def WatchJob(
        self, request: jobs_pb.WatchJobRequest, context: grpc.ServicerContext
    ) -> Iterator[jobs_pb.WatchJobResponse]:
        self.scripted.receive("WatchJob", request, context)
        self.scripted.find(request.job_id, context)
        following = [event for event in self.scripted.events[request.job_id] if event.sequence > request.after_sequence]
        for _ in range(self.scripted.heartbeats):
            yield jobs_pb.WatchJobResponse(heartbeat_time=Timestamp(seconds=1))
        yield from (jobs_pb.WatchJobResponse(event=event) for event in self._until_disconnect(following, context))
        self.scripted.finish(request.job_id)

    def WatchJobs(
        self, request: jobs_pb.WatchJobsRequest, context: grpc.ServicerContext
    ) -> Iterator[jobs_pb.WatchJobsResponse]:
        self.scripted.receive("WatchJobs", request, context)
        events = [event for one in self.scripted.events.values() for event in one]
        begin = int(request.cursor.removeprefix("c") or 0)
        yield from (jobs_pb.WatchJobsResponse(event=event) for event in self._until_disconnect(events[begin:], context))
        while context.is_active():
            self.scripted.resumed.wait(0.05)

    def _until_disconnect(
        self, events: list[job_pb2.JobEvent], context: grpc.ServicerContext
    ) -> Iterator[job_pb2.JobEvent]:
        limit = self.scripted.disconnects.pop(0) if self.scripted.disconnects else len(events)
        for index, event in enumerate(events):
            if index == limit:
                context.abort(self.scripted.disconnect_code, "Socket closed")
            if self.scripted.pause_after == event.sequence:
                self.scripted.resumed.wait(30)
            yield event

    def CancelJob(self, request: jobs_pb.CancelJobRequest, context: grpc.ServicerContext) -> jobs_pb.CancelJobResponse:
        self.scripted.receive("CancelJob", request, context)
        return jobs_pb.CancelJobResponse(job=self.scripted.find(request.job_id, context))

    def DeleteJob(self, request: jobs_pb.DeleteJobRequest, context: grpc.ServicerContext) -> jobs_pb.DeleteJobResponse:
        self.scripted.receive("DeleteJob", request, context)
        self.scripted.find(request.job_id, context)
        del self.scripted.jobs[request.job_id]
        return jobs_pb.DeleteJobResponse()

    def DeleteVersion(
        self, request: jobs_pb.DeleteVersionRequest, context: grpc.ServicerContext
    ) -> jobs_pb.DeleteVersionResponse:
        self.scripted.receive("DeleteVersion", request, context)
        job = self.scripted.find(request.job_id, context)
        job.versions[request.version - 1].delete_time.FromSeconds(1)
        return jobs_pb.DeleteVersionResponse(job=job)

    def EraseJob(self, request: jobs_pb.EraseJobRequest, context: grpc.ServicerContext) -> jobs_pb.EraseJobResponse:
        self.scripted.receive("EraseJob", request, context)
        self.scripted.find(request.job_id, context)
        return jobs_pb.EraseJobResponse(report=_report())

    def AddStems(self, request: jobs_pb.AddStemsRequest, context: grpc.ServicerContext) -> jobs_pb.AddStemsResponse:
        self.scripted.receive("AddStems", request, context)
        job = self.scripted.find(request.job_id, context)
        job.versions[0].stems_wanted = True
        return jobs_pb.AddStemsResponse(job=job)

    def RetryVersion(
        self, request: jobs_pb.RetryVersionRequest, context: grpc.ServicerContext
    ) -> jobs_pb.RetryVersionResponse:
        self.scripted.receive("RetryVersion", request, context)
        return jobs_pb.RetryVersionResponse(job=self.scripted.find(request.job_id, context))

    def GetUsage(self, request: jobs_pb.GetUsageRequest, context: grpc.ServicerContext) -> jobs_pb.GetUsageResponse:
        self.scripted.receive("GetUsage", request, context)
        limits = [
            jobs_pb.LimitUsage(limit="waiting_jobs", allowed=100, used=2),
            jobs_pb.LimitUsage(limit="upload_bytes_per_day", used=1234567),
        ]
        return jobs_pb.GetUsageResponse(tenant="acme", limits=limits, day_end_time=Timestamp(seconds=86400))

    def GetWaveforms(
        self, request: jobs_pb.GetWaveformsRequest, context: grpc.ServicerContext
    ) -> jobs_pb.GetWaveformsResponse:
        self.scripted.receive("GetWaveforms", request, context)
        self.scripted.find(request.job_id, context)
        waveform = jobs_pb.Waveform(name="bounce.wav", frames=2, minima=[-3, 0], maxima=[0, 4])
        return jobs_pb.GetWaveformsResponse(version=request.version or 1, waveforms=[waveform])

    def CreateSignedUrl(
        self, request: jobs_pb.CreateSignedUrlRequest, context: grpc.ServicerContext
    ) -> jobs_pb.CreateSignedUrlResponse:
        self.scripted.receive("CreateSignedUrl", request, context)
        job = self.scripted.find(request.job_id, context)
        has_zip = job.versions[0].files.HasField("zip")
        is_zip = request.kind == jobs_pb.FILE_KIND_ZIP or (not request.kind and has_zip)
        name, data = ("v1.zip", ZIP) if is_zip else ("bounce.wav", BOUNCE)
        key = f"jobs/{request.job_id}/{name}"
        return jobs_pb.CreateSignedUrlResponse(url=self.scripted.files.sign(key, data), file=stored(key, data))


def _report() -> erasure_pb2.ErasureReport:
    return erasure_pb2.ErasureReport(
        erased=[erasure_pb2.ErasedData(kind=erasure_pb2.DATA_KIND_JOB_FILES, count=3)],
        remaining=[
            erasure_pb2.RemainingData(kind=erasure_pb2.DATA_KIND_AUDIT_ROWS, count=2, reason="chained"),
            erasure_pb2.RemainingData(kind=erasure_pb2.DATA_KIND_BACKUPS, reason="made before"),
        ],
    )


class Operations(operations_pb2_grpc.OperationsServiceServicer):
    """OperationsService: a tenant is erased by the second call; render_service has ended at the second Drain, then runs again."""

    def __init__(self, scripted: ScriptedService) -> None:
        self.scripted = scripted

    def EraseTenant(
        self, request: operations_pb2.EraseTenantRequest, context: grpc.ServicerContext
    ) -> operations_pb2.EraseTenantResponse:
        self.scripted.receive("EraseTenant", request, context)
        finished = len(self.scripted.requests("EraseTenant")) > 1
        return operations_pb2.EraseTenantResponse(finished=finished, report=_report())

    def Drain(
        self, request: operations_pb2.DrainRequest, context: grpc.ServicerContext
    ) -> operations_pb2.DrainResponse:
        self.scripted.receive("Drain", request, context)
        if self.scripted.owner == job_pb2.OWNING_SERVICE_RENDER:
            self.scripted.errors["Drain"] = [Unavailable("draining")]
        return operations_pb2.DrainResponse(
            timeout=request.timeout if request.HasField("timeout") else Duration(seconds=30)
        )


class Renders(render_pb2_grpc.RenderServiceServicer):
    """RenderService over scripted jobs."""

    def __init__(self, scripted: ScriptedService) -> None:
        self.scripted = scripted

    def CreateRender(
        self, request: render_pb2.CreateRenderRequest, context: grpc.ServicerContext
    ) -> render_pb2.CreateRenderResponse:
        self.scripted.receive("CreateRender", request, context)
        job_id = f"j-{len(self.scripted.jobs):026d}"
        job = self.scripted.accept(
            job_id, stems=request.brief.stems, prompt=request.brief.prompt, request_id=request.request_id
        )
        job.brief.tempo_map.points.add(bpm=request.brief.bpm or 92.5, beats_per_bar=4, beat_unit=4)
        job.brief.tempo_source = "caller" if request.brief.bpm else "prompt"
        job.brief.key, job.brief.key_source = request.brief.key or "A minor", "caller" if request.brief.key else "drawn"
        has_seed = request.brief.HasField("seed")
        job.brief.seed, job.brief.seed_source = (request.brief.seed, "caller") if has_seed else (4242, "drawn")
        return render_pb2.CreateRenderResponse(job=job)

    def AnalyzePrompt(
        self, request: render_pb2.AnalyzePromptRequest, context: grpc.ServicerContext
    ) -> render_pb2.AnalyzePromptResponse:
        self.scripted.receive("AnalyzePrompt", request, context)
        mood = render_pb2.RecognizedValue(value="dark", text="dark", listed=True)
        return render_pb2.AnalyzePromptResponse(mood=mood, min_bpm=62.0, max_bpm=84.0, key="A minor")

    def EstimateRender(
        self, request: render_pb2.EstimateRenderRequest, context: grpc.ServicerContext
    ) -> render_pb2.EstimateRenderResponse:
        self.scripted.receive("EstimateRender", request, context)
        return render_pb2.EstimateRenderResponse(
            versions_ahead=2,
            estimated_end_time=Timestamp(seconds=1_700_000_060),
            estimated_duration=Duration(seconds=20),
        )

    def RerenderStem(
        self, request: render_pb2.RerenderStemRequest, context: grpc.ServicerContext
    ) -> render_pb2.RerenderStemResponse:
        self.scripted.receive("RerenderStem", request, context)
        return render_pb2.RerenderStemResponse(job=self.scripted.find(request.job_id, context), version=1)

    def ListPersonas(
        self, request: render_pb2.ListPersonasRequest, context: grpc.ServicerContext
    ) -> render_pb2.ListPersonasResponse:
        self.scripted.receive("ListPersonas", request, context)
        personas = [self.scripted.personas[name] for name in sorted(self.scripted.personas)]
        begin = int(request.page_token or 0)
        end = begin + self.scripted.page_size
        token = str(end) if end < len(personas) else ""
        return render_pb2.ListPersonasResponse(personas=personas[begin:end], next_page_token=token)

    def CreatePersona(
        self, request_iterator: Iterator[render_pb2.CreatePersonaRequest], context: grpc.ServicerContext
    ) -> render_pb2.CreatePersonaResponse:
        first = next(request_iterator)
        self.scripted.receive("CreatePersona", first, context)
        clips: dict[int, bytes] = {}
        for part in request_iterator:
            clips[part.chunk.clip_index] = clips.get(part.chunk.clip_index, b"") + part.chunk.data
        if self.scripted.awaits_cancel and _is_cancelled(context):
            return render_pb2.CreatePersonaResponse()
        self.scripted.uploads += list(clips.values())
        digests = [hashlib.sha256(clip).hexdigest() for clip in clips.values()]
        persona = render_pb2.Persona(id=first.header.persona_id, prefix=first.header.prefix, clip_sha256=digests)
        self.scripted.personas[persona.id] = persona
        return render_pb2.CreatePersonaResponse(persona=persona)

    def GetPersona(
        self, request: render_pb2.GetPersonaRequest, context: grpc.ServicerContext
    ) -> render_pb2.GetPersonaResponse:
        self.scripted.receive("GetPersona", request, context)
        return render_pb2.GetPersonaResponse(persona=self.scripted.personas[request.persona_id])

    def DownloadPersonaClip(
        self, request: render_pb2.DownloadPersonaClipRequest, context: grpc.ServicerContext
    ) -> Iterator[render_pb2.DownloadPersonaClipResponse]:
        self.scripted.receive("DownloadPersonaClip", request, context)
        parts = [BOUNCE[start : start + CLIP_PART_BYTES] for start in range(0, len(BOUNCE), CLIP_PART_BYTES)]
        limit = self.scripted.disconnects.pop(0) if self.scripted.disconnects else len(parts)
        for number, part in enumerate(parts[:limit]):
            yield render_pb2.DownloadPersonaClipResponse(data=part, media_type="" if number else "audio/wav")
        if limit < len(parts):
            context.abort(self.scripted.disconnect_code, "Socket closed")

    def ListAuditRows(
        self, request: render_pb2.ListAuditRowsRequest, context: grpc.ServicerContext
    ) -> render_pb2.ListAuditRowsResponse:
        self.scripted.receive("ListAuditRows", request, context)
        return render_pb2.ListAuditRowsResponse(rows=self.scripted.rows)

    def VerifyAuditChain(
        self, request: render_pb2.VerifyAuditChainRequest, context: grpc.ServicerContext
    ) -> render_pb2.VerifyAuditChainResponse:
        self.scripted.receive("VerifyAuditChain", request, context)
        return self.scripted.chain

    def ErasePrompt(
        self, request: render_pb2.ErasePromptRequest, context: grpc.ServicerContext
    ) -> render_pb2.ErasePromptResponse:
        self.scripted.receive("ErasePrompt", request, context)
        self.scripted.find(request.job_id, context)
        return render_pb2.ErasePromptResponse(audit_rows=2, keys_with_prompt=[f"jobs/{request.job_id}/v1.json"])

    def GetDriftReport(
        self, request: render_pb2.GetDriftReportRequest, context: grpc.ServicerContext
    ) -> render_pb2.GetDriftReportResponse:
        self.scripted.receive("GetDriftReport", request, context)
        drift = render_pb2.MeasuredDrift(
            job_id="j-1", version=2, within_limits=True, measurable=True, median_ms=1.5, p95_ms=8.0, matched_share=0.9
        )
        rest = render_pb2.MeasuredDrift(job_id="j-2", version=3, uncounted=True)
        return render_pb2.GetDriftReportResponse(
            stem=request.stem, drifts=[drift, rest], within_limits_count=1, min_count=20, min_share=0.95
        )

    def ReplayTake(
        self, request: render_pb2.ReplayTakeRequest, context: grpc.ServicerContext
    ) -> render_pb2.ReplayTakeResponse:
        self.scripted.receive("ReplayTake", request, context)
        return self.scripted.replayed

    def GetModelInfo(
        self, request: render_pb2.GetModelInfoRequest, context: grpc.ServicerContext
    ) -> render_pb2.GetModelInfoResponse:
        self.scripted.receive("GetModelInfo", request, context)
        return render_pb2.GetModelInfoResponse(name="starter", min_seconds=2, max_seconds=180)


class Separations(separation_pb2_grpc.SeparationServiceServicer):
    """SeparationService over scripted jobs."""

    def __init__(self, scripted: ScriptedService) -> None:
        self.scripted = scripted

    def CreateSeparation(
        self, request_iterator: Iterator[separation_pb2.CreateSeparationRequest], context: grpc.ServicerContext
    ) -> separation_pb2.CreateSeparationResponse:
        first = next(request_iterator)
        self.scripted.receive("CreateSeparation", first, context)
        chunks = [part.data for part in request_iterator]
        if any(len(chunk) > 1024 * 1024 for chunk in chunks):
            abort_with(InvalidAudio("a chunk is larger than 1 MiB"), context)
        data = b"".join(chunks)
        if hashlib.sha256(data).hexdigest() != first.header.sha256:
            abort_with(InvalidAudio("the upload does not match its digest"), context)
        self.scripted.uploads.append(data)
        job = self.scripted.accept(f"j-s{len(self.scripted.jobs):025d}", stems=True, request_id=first.header.request_id)
        return separation_pb2.CreateSeparationResponse(job=job)

    def AnalyzeAudio(
        self, request_iterator: Iterator[separation_pb2.AnalyzeAudioRequest], context: grpc.ServicerContext
    ) -> separation_pb2.AnalyzeAudioResponse:
        first = next(request_iterator)
        self.scripted.receive("AnalyzeAudio", first, context)
        self.scripted.uploads.append(b"".join(part.data for part in request_iterator))
        point = brief_pb2.TempoPoint(bpm=92.0, beats_per_bar=4, beat_unit=4)
        return separation_pb2.AnalyzeAudioResponse(
            tempo_map=brief_pb2.TempoMap(points=[point], first_downbeat_seconds=0.25, swing_ratio=0.5),
            tempo_confidence=0.8,
            other_bpm=184.0,
            key="A minor",
        )

    def GetModelInfo(
        self, request: separation_pb2.GetModelInfoRequest, context: grpc.ServicerContext
    ) -> separation_pb2.GetModelInfoResponse:
        self.scripted.receive("GetModelInfo", request, context)
        return separation_pb2.GetModelInfoResponse(
            name="starter", models=1, sources=["drums", "bass", "other", "vocals"]
        )


@dataclass(frozen=True)
class ScriptedPair:
    """Both services, running, and the file server of their signed URLs."""

    render: ScriptedService
    separation: ScriptedService
    render_address: str
    separation_address: str
    files: ScriptedFileServer

    @property
    def environment(self) -> dict[str, str]:
        """The addresses as environment variables of the command."""
        return {
            "SONICHAOS_RENDER_ADDRESS": self.render_address,
            "SONICHAOS_SEPARATION_ADDRESS": self.separation_address,
        }


@contextmanager
def serving(
    *servicers: tuple[Any, Any], address: str = "127.0.0.1:0", tls: grpc.ServerCredentials | None = None
) -> Iterator[str]:
    """Run a gRPC server with some servicers; yields its address."""
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=[("grpc.so_reuseport", 0)])
    for add, servicer in servicers:
        add(servicer, server)
    port = server.add_insecure_port(address) if tls is None else server.add_secure_port(address, tls)
    server.start()
    try:
        yield address if address.startswith("unix:") else f"{'' if tls is None else 'https://'}127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def server_tls(certificate: Certificate, client_ca: bytes | None = None) -> grpc.ServerCredentials:
    """TLS with a server certificate; with ``client_ca`` clients must have a certificate of that authority."""
    pair = (certificate.key_pem, certificate.certificate_pem)
    return grpc.ssl_server_credentials([pair], client_ca, require_client_auth=client_ca is not None)


@contextmanager
def scripted_pair(certificate: Certificate | None = None, client_ca: bytes | None = None) -> Iterator[ScriptedPair]:
    """Run both services with an empty script; with a certificate, they and the signed URLs use TLS (`server_tls`)."""
    tls = None if certificate is None else server_tls(certificate, client_ca)
    with ScriptedFileServer(certificate) as files:
        render = ScriptedService(job_pb2.OWNING_SERVICE_RENDER, files)
        separation = ScriptedService(job_pb2.OWNING_SERVICE_SEPARATION, files)
        add_jobs = jobs_service_pb2_grpc.add_JobsServiceServicer_to_server
        add_operations = operations_pb2_grpc.add_OperationsServiceServicer_to_server
        try:
            with (
                serving(
                    (add_jobs, Jobs(render)),
                    (add_operations, Operations(render)),
                    (render_pb2_grpc.add_RenderServiceServicer_to_server, Renders(render)),
                    tls=tls,
                ) as render_address,
                serving(
                    (add_jobs, Jobs(separation)),
                    (add_operations, Operations(separation)),
                    (separation_pb2_grpc.add_SeparationServiceServicer_to_server, Separations(separation)),
                    tls=tls,
                ) as separation_address,
            ):
                yield ScriptedPair(render, separation, render_address, separation_address, files)
                render.resumed.set()
                separation.resumed.set()
        finally:
            render.resumed.set()
            separation.resumed.set()
