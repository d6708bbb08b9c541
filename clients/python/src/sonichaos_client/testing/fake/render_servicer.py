"""RenderService of the fake."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from grpc import StatusCode

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from sonichaos_client.testing.fake import briefs, manifests, music, prompt_style
from sonichaos_client.testing.fake.admission import Admission
from sonichaos_client.testing.fake.boundary import Context
from sonichaos_client.testing.fake.changes import JobChanges, reasons_of
from sonichaos_client.testing.fake.checks import page_size
from sonichaos_client.testing.fake.jobs_servicer import fitting, job_message
from sonichaos_client.testing.fake.personas import MAX_CLIP_BYTES, MAX_CLIPS, MAX_TOTAL_BYTES, media_type
from sonichaos_client.testing.fake.records import JobRecord, VersionRecord, timestamp
from sonichaos_client.testing.fake.refusals import Refusal, check, invalid

GATED = tuple(
    f"/sonichaos.render.v1.RenderService/{name}"
    for name in ("CreateRender", "RerenderStem", "CreatePersona", "ReplayTake")
)
_CLIP_PART_BYTES = 256 * 1024
_MIN_COUNT = 20
_MIN_SHARE = 0.95
_STEM_NAMES = ", ".join(brief_pb2.Stem.keys()[1:])


@dataclass(frozen=True, kw_only=True)
class RenderServicer(render_pb2_grpc.RenderServiceServicer):
    """Takes, re-renders, personas and audit rows."""

    admission: Admission
    changes: JobChanges

    async def CreateRender(
        self, request: render_pb2.CreateRenderRequest, context: Context
    ) -> render_pb2.CreateRenderResponse:
        return render_pb2.CreateRenderResponse(job=job_message(self.admission.create_render(request)))

    async def RerenderStem(
        self, request: render_pb2.RerenderStemRequest, context: Context
    ) -> render_pb2.RerenderStemResponse:
        accepted = self.admission.rerender_stem(request)
        return render_pb2.RerenderStemResponse(job=job_message(accepted.job), version=accepted.version)

    async def ListPersonas(
        self, request: render_pb2.ListPersonasRequest, context: Context
    ) -> render_pb2.ListPersonasResponse:
        studio = self.admission.studio
        sealer = studio.records.sealer
        after = str(sealer.open(request.page_token, "personas")) if request.page_token else ""
        size = page_size(request.page_size)
        rest = [persona for persona in studio.personas.all() if persona.id > after]
        token = sealer.seal(rest[size - 1].id, "personas") if len(rest) > size else ""
        return render_pb2.ListPersonasResponse(personas=rest[:size], next_page_token=token)

    async def GetPersona(
        self, request: render_pb2.GetPersonaRequest, context: Context
    ) -> render_pb2.GetPersonaResponse:
        return render_pb2.GetPersonaResponse(persona=self.admission.studio.personas.get(request.persona_id))

    async def AnalyzePrompt(
        self, request: render_pb2.AnalyzePromptRequest, context: Context
    ) -> render_pb2.AnalyzePromptResponse:
        prompt = request.prompt
        check(briefs.check_prompt(prompt, "prompt"))
        response = render_pb2.AnalyzePromptResponse(
            instrumentation=prompt_style.read_instruments(prompt),
            mood=prompt_style.read_mood(prompt),
            key=music.prompt_key(prompt),
            instrumental=music.is_instrumental(prompt),
        )
        tempo = music.prompt_tempo(prompt)
        if tempo is not None:
            response.min_bpm, response.max_bpm, words = tempo
            response.tempo.CopyFrom(render_pb2.RecognizedValue(value=words, text=words, listed=True))
        return response

    async def EstimateRender(
        self, request: render_pb2.EstimateRenderRequest, context: Context
    ) -> render_pb2.EstimateRenderResponse:
        seconds = request.seconds or briefs.DEFAULT_SECONDS
        check(briefs.check_seconds(seconds, "seconds"))
        estimate = self.admission.workers.estimate(seconds, stems=request.stems)
        response = render_pb2.EstimateRenderResponse(
            versions_ahead=estimate.versions_ahead, estimated_end_time=timestamp(estimate.ends_at)
        )
        response.estimated_duration.FromTimedelta(timedelta(seconds=estimate.duration_s))
        return response

    async def DownloadPersonaClip(
        self, request: render_pb2.DownloadPersonaClipRequest, context: Context
    ) -> AsyncIterator[render_pb2.DownloadPersonaClipResponse]:
        clip = self.admission.studio.personas.clip(request.persona_id, request.clip_index)
        response = render_pb2.DownloadPersonaClipResponse(media_type=media_type(clip), size_bytes=len(clip))
        for start in range(0, len(clip), _CLIP_PART_BYTES):
            response.data = clip[start : start + _CLIP_PART_BYTES]
            yield response
            response = render_pb2.DownloadPersonaClipResponse()

    async def CreatePersona(
        self, request_iterator: AsyncIterator[render_pb2.CreatePersonaRequest], context: Context
    ) -> render_pb2.CreatePersonaResponse:
        header: render_pb2.PersonaHeader | None = None
        clips: list[bytearray] = []
        async for request in request_iterator:
            if request.HasField("header"):
                if header is not None:
                    raise invalid("header", "must be sent once, got a second one")
                header = request.header
            elif header is None:
                raise invalid("header", "must come before the first chunk")
            else:
                _append(clips, request.chunk)
        if header is None:
            raise invalid("header", "must be sent first, got an empty stream")
        studio = self.admission.studio
        persona = studio.personas.add(header, [bytes(clip) for clip in clips], studio.clock.now())
        return render_pb2.CreatePersonaResponse(persona=persona)

    async def DeletePersona(
        self, request: render_pb2.DeletePersonaRequest, context: Context
    ) -> render_pb2.DeletePersonaResponse:
        self.admission.studio.personas.remove(request.persona_id)
        return render_pb2.DeletePersonaResponse()

    async def ListAuditRows(
        self, request: render_pb2.ListAuditRowsRequest, context: Context
    ) -> render_pb2.ListAuditRowsResponse:
        studio, size = self.admission.studio, page_size(request.page_size)
        sealer, bound = studio.records.sealer, ("audit", request.job_id)
        after = int(sealer.open(request.page_token, *bound)) if request.page_token else 0
        rows = list(islice(studio.audit.rows(request.job_id, after=after), size + 1))
        shown = rows[: min(size, fitting(rows))]
        token = sealer.seal(shown[-1].sequence, *bound) if len(rows) > len(shown) else ""
        return render_pb2.ListAuditRowsResponse(rows=shown, next_page_token=token)

    async def VerifyAuditChain(
        self, request: render_pb2.VerifyAuditChainRequest, context: Context
    ) -> render_pb2.VerifyAuditChainResponse:
        if request.head_digest and not request.head_sequence:
            raise invalid("head_sequence", "must be the head's sequence, 1 or more, if head_digest is set, got 0")
        report = self.admission.studio.audit.verify(request.head_sequence, request.head_digest)
        return render_pb2.VerifyAuditChainResponse(
            intact=report.intact,
            broken_sequence=report.broken_sequence,
            detail=report.detail,
            head_sequence=report.head_sequence,
            head_digest=report.head_digest,
        )

    async def GetDriftReport(
        self, request: render_pb2.GetDriftReportRequest, context: Context
    ) -> render_pb2.GetDriftReportResponse:
        if request.stem not in brief_pb2.Stem.values():
            raise invalid("stem", f"must be one of {_STEM_NAMES}, got {request.stem}")
        stem = request.stem or brief_pb2.STEM_DRUMS
        stored, failed = [], []
        for job in self.admission.studio.records.jobs():
            for version in job.versions:
                if version.message.rerendered_stem != stem or not version.ended:
                    continue
                if version.message.state == job_pb2.JOB_STATE_DONE:
                    stored.append(_drift(job, version, within=True))
                elif "DRIFT_EXCEEDED" in reasons_of(version):
                    failed.append(_drift(job, version, within=False))
        met = len(stored) + len(failed) >= _MIN_COUNT and len(stored) >= _MIN_SHARE * (len(stored) + len(failed))
        return render_pb2.GetDriftReportResponse(
            stem=stem,
            drifts=[*stored, *failed],
            within_limits_count=len(stored),
            threshold_met=met,
            min_count=_MIN_COUNT,
            min_share=_MIN_SHARE,
        )

    async def ReplayTake(
        self, request: render_pb2.ReplayTakeRequest, context: Context
    ) -> render_pb2.ReplayTakeResponse:
        job = self.admission.studio.records.get(request.job_id)
        having = [one for one in job.versions if one.message.audit_digests and not one.deleted]
        version = job.pick(request.version, having)
        if version.deleted:
            raise _input_missing(f"the files of version {version.number}, which was deleted")
        if job.lacks_base(version):
            raise _input_missing(f"the ZIP of version {version.message.base_version}, which was deleted")
        if not version.message.audit_digests:
            raise _no_audit_row(job, version)
        if job.is_upload and version.number == 1:
            raise _input_missing("a renderer: the version is an upload")
        if version.prompt_erased:
            raise _input_missing("the prompt, which was erased")
        sha256 = version.message.files.bounce.sha256
        return render_pb2.ReplayTakeResponse(
            outcome=render_pb2.REPLAY_OUTCOME_EXACT, stored_sha256=sha256, replayed_sha256=sha256
        )

    async def ErasePrompt(
        self, request: render_pb2.ErasePromptRequest, context: Context
    ) -> render_pb2.ErasePromptResponse:
        rows, keys = self.changes.erase_prompt(request.job_id)
        return render_pb2.ErasePromptResponse(audit_rows=rows, keys_with_prompt=keys)

    async def GetModelInfo(
        self, request: render_pb2.GetModelInfoRequest, context: Context
    ) -> render_pb2.GetModelInfoResponse:
        return render_pb2.GetModelInfoResponse(
            name=briefs.RENDERER,
            licence=manifests.LICENCE,
            models=[
                render_pb2.ModelDigest(role=role, sha256=sha256) for role, sha256 in manifests.RENDERER_DIGESTS.items()
            ],
            min_seconds=briefs.SECONDS_RANGE[0],
            max_seconds=briefs.SECONDS_RANGE[1],
            fingerprint=manifests.FINGERPRINT,
        )


def _no_audit_row(job: JobRecord, version: VersionRecord) -> Refusal:
    kind = "stems" if version.message.rerendered_stem else "bounce"
    return Refusal(
        StatusCode.NOT_FOUND,
        "VERSION_NOT_FOUND",
        f"{job.job_id} v{version.number} has no audit row of the kind {kind!r}",
        metadata={"job_id": job.job_id, "version": str(version.number)},
    )


def _input_missing(what: str) -> Refusal:
    return Refusal(
        StatusCode.FAILED_PRECONDITION, "INPUT_MISSING", f"a replay needs {what}", metadata={"missing": what}
    )


def _append(clips: list[bytearray], chunk: render_pb2.ClipChunk) -> None:
    index = chunk.clip_index
    if index not in {len(clips) - 1, len(clips)} or index >= MAX_CLIPS:
        text = f"must count the clips in order, at most {MAX_CLIPS} of them, got {index} after {len(clips)} clips"
        raise invalid("chunk.clip_index", text)
    if index == len(clips):
        clips.append(bytearray())
    clips[index] += chunk.data
    if len(clips[index]) > MAX_CLIP_BYTES:
        raise _too_large(f"clip {index} must have at most {MAX_CLIP_BYTES} bytes", MAX_CLIP_BYTES)
    if sum(map(len, clips)) > MAX_TOTAL_BYTES:
        raise _too_large(f"all clips together must have at most {MAX_TOTAL_BYTES} bytes", MAX_TOTAL_BYTES)


def _too_large(limit: str, limit_bytes: int) -> Refusal:
    metadata = {"limit_bytes": str(limit_bytes)}
    return Refusal(StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE", f"{limit}, got more", metadata=metadata)


def _drift(job: JobRecord, version: VersionRecord, *, within: bool) -> render_pb2.MeasuredDrift:
    return render_pb2.MeasuredDrift(
        job_id=job.job_id,
        version=version.number,
        within_limits=within,
        measurable=True,
        median_ms=0.0,
        p95_ms=0.0 if within else 100.0,
        slope_ms_per_minute=0.0,
        slope_error_ms_per_minute=0.0,
        matched_share=1.0,
        judged_against="grid",
    )
