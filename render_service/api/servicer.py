"""The servicer of RenderService: translates each call and hands it to a use case."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from grpc import aio

from jobs_service.response_size import fitting_page
from jobs_service.upload_meter import UploadMeters
from render_service.api.messages import (
    audit_row_message,
    drift_report_message,
    estimate_message,
    model_info_message,
    persona_message,
    prompt_analysis_message,
    replay_message,
)
from render_service.api.persona_upload import PersonaUploads
from render_service.api.requests import (
    canonical_json,
    canonical_rerender_json,
    read_analyzed_prompt,
    read_brief,
    read_reported_stem,
    read_stem_change,
)
from render_service.music.prompt_words import read_prompt
from render_service.personas.clip_files import PART_BYTES
from render_service.personas.library import PersonaLibrary
from render_service.usecases.create_render import RenderAdmission
from render_service.usecases.drift_report import drift_report
from render_service.usecases.erase_prompt import erase_prompt
from render_service.usecases.replay import Replay, Replayer
from render_service.usecases.rerender_stem import RerenderAdmission
from servicekit.access.caller import current_tenant
from servicekit.caller_fields import read_page_size
from servicekit.clock import Clock
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal import ChainHead, Job, Journal
from servicekit.rpc.pools import CallPools
from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc

Context = aio.ServicerContext[Any, Any]

_PERSONAS = "personas"
"""What a page token of ListPersonas is sealed for, beside the tenant."""
GATED_METHODS = tuple(
    f"/sonichaos.render.v1.RenderService/{name}"
    for name in ("CreateRender", "RerenderStem", "CreatePersona", "ReplayTake")
)


class RenderServicer(render_pb2_grpc.RenderServiceServicer):
    """Methods run blocking work in the pool of their class; the server turns the errors that they raise into statuses."""

    def __init__(
        self,
        *,
        pools: CallPools,
        renders: RenderAdmission,
        rerenders: RerenderAdmission,
        personas: PersonaLibrary,
        journal: Journal,
        replayer: Replayer,
        fingerprint: Mapping[str, str],
        clock: Clock,
        meters: UploadMeters,
        as_message: Callable[[Job], job_pb2.Job],
    ) -> None:
        self._pools = pools
        self._work_pool = renders.hook.pool(pools, without=pools.writes)
        self._persona_uploads = PersonaUploads()
        self._renders = renders
        self._rerenders = rerenders
        self._personas = personas
        self._journal = journal
        self._replayer = replayer
        self._fingerprint = fingerprint
        self._clock = clock
        self._meters = meters
        self._as_message = as_message

    async def CreateRender(
        self, request: render_pb2.CreateRenderRequest, context: Context
    ) -> render_pb2.CreateRenderResponse:
        tenant = current_tenant()

        def answer() -> render_pb2.CreateRenderResponse:
            content = canonical_json(request.brief)
            journal_request, existing = self._renders.find_existing(tenant, request.request_id, content)
            if existing is not None:
                return render_pb2.CreateRenderResponse(job=self._as_message(existing.job))
            brief = read_brief(request.brief, now=self._clock.now(), priority=request.priority)
            job = self._renders.create_render(journal_request, brief, priority=request.priority)
            return render_pb2.CreateRenderResponse(job=self._as_message(job))

        return await self._work_pool.run(answer)

    async def RerenderStem(
        self, request: render_pb2.RerenderStemRequest, context: Context
    ) -> render_pb2.RerenderStemResponse:
        tenant = current_tenant()

        def answer() -> render_pb2.RerenderStemResponse:
            content = canonical_rerender_json(request)
            journal_request, existing = self._rerenders.find_existing(tenant, request.request_id, content)
            accepted = existing or self._rerenders.rerender_stem(
                journal_request, read_stem_change(request), priority=request.priority
            )
            return render_pb2.RerenderStemResponse(job=self._as_message(accepted.job), version=accepted.version)

        return await self._work_pool.run(answer)

    async def ListPersonas(
        self, request: render_pb2.ListPersonasRequest, context: Context
    ) -> render_pb2.ListPersonasResponse:
        tenant = current_tenant()
        personas = await self._pools.reads.run(self._personas.all, tenant)
        bound = (_PERSONAS, tenant)
        after = self._journal.sealer.open(request.page_token, *bound) if request.page_token else ""
        size = read_page_size(request.page_size)
        rest = [p for p in personas if p.id > after]
        token = self._journal.sealer.seal(rest[size - 1].id, *bound) if len(rest) > size else ""
        return render_pb2.ListPersonasResponse(
            personas=[persona_message(p) for p in rest[:size]], next_page_token=token
        )

    async def GetPersona(
        self, request: render_pb2.GetPersonaRequest, context: Context
    ) -> render_pb2.GetPersonaResponse:
        persona = await self._pools.reads.run(self._personas.get, current_tenant(), request.persona_id)
        return render_pb2.GetPersonaResponse(persona=persona_message(persona))

    async def AnalyzePrompt(
        self, request: render_pb2.AnalyzePromptRequest, context: Context
    ) -> render_pb2.AnalyzePromptResponse:
        prompt, planner = read_analyzed_prompt(request.prompt), self._renders.planner

        def answer() -> render_pb2.AnalyzePromptResponse:
            style = None if planner is None else planner.read_style(prompt)
            return prompt_analysis_message(read_prompt(prompt), style)

        return await self._pools.prompts.run(answer)

    async def EstimateRender(
        self, request: render_pb2.EstimateRenderRequest, context: Context
    ) -> render_pb2.EstimateRenderResponse:
        estimate = await self._pools.reads.run(
            self._renders.estimate_render, current_tenant(), request.seconds, stems=request.stems
        )
        return estimate_message(estimate)

    async def DownloadPersonaClip(
        self, request: render_pb2.DownloadPersonaClipRequest, context: Context
    ) -> AsyncIterator[render_pb2.DownloadPersonaClipResponse]:
        pool = self._pools.clips
        clip = await pool.run(self._personas.clip, current_tenant(), request.persona_id, request.clip_index)
        response = render_pb2.DownloadPersonaClipResponse(media_type=clip.media_type, size_bytes=clip.size_bytes)
        for offset in range(0, clip.size_bytes, PART_BYTES):
            response.data = await pool.run(clip.part, offset)
            yield response
            response = render_pb2.DownloadPersonaClipResponse()

    async def CreatePersona(
        self, request_iterator: AsyncIterator[render_pb2.CreatePersonaRequest], context: Context
    ) -> render_pb2.CreatePersonaResponse:
        async with self._meters.open() as meter:
            counted = meter.counted(request_iterator, lambda request: len(request.chunk.data))
            with self._persona_uploads.receive(counted) as upload:
                header, clips = await upload.read()
                named = (current_tenant(), header.persona_id)
                persona = await self._pools.personas.run(
                    self._personas.add, *named, header.prefix, clips, header.clip_sha256
                )
        return render_pb2.CreatePersonaResponse(persona=persona_message(persona))

    async def DeletePersona(
        self, request: render_pb2.DeletePersonaRequest, context: Context
    ) -> render_pb2.DeletePersonaResponse:
        await self._pools.deletes.run(self._personas.remove, current_tenant(), request.persona_id)
        return render_pb2.DeletePersonaResponse()

    async def ListAuditRows(
        self, request: render_pb2.ListAuditRowsRequest, context: Context
    ) -> render_pb2.ListAuditRowsResponse:
        tenant = current_tenant()
        asked = read_page_size(request.page_size)

        def page_of(size: int) -> render_pb2.ListAuditRowsResponse:
            page = self._journal.audit_rows(tenant, request.job_id, page_size=size, page_token=request.page_token)
            rows = [audit_row_message(row) for row in page.rows]
            return render_pb2.ListAuditRowsResponse(rows=rows, next_page_token=page.next_token)

        def answer() -> render_pb2.ListAuditRowsResponse:
            return fitting_page(page_of, asked, rows_of=lambda page: page.rows)

        return await self._pools.reads.run(answer)

    async def VerifyAuditChain(
        self, request: render_pb2.VerifyAuditChainRequest, context: Context
    ) -> render_pb2.VerifyAuditChainResponse:
        if request.head_digest and not request.head_sequence:
            raise InvalidFields(
                [
                    FieldViolation(
                        "head_sequence", "must be the head's sequence, 1 or more, if head_digest is set, got 0"
                    )
                ]
            )
        head = ChainHead(request.head_sequence, request.head_digest) if request.head_sequence else None
        report = await self._pools.reports.run(self._journal.verify_chain, current_tenant(), head)
        return render_pb2.VerifyAuditChainResponse(
            intact=report.intact,
            broken_sequence=report.broken_sequence,
            detail=report.detail,
            head_sequence=report.head.sequence,
            head_digest=report.head.digest,
        )

    async def GetDriftReport(
        self, request: render_pb2.GetDriftReportRequest, context: Context
    ) -> render_pb2.GetDriftReportResponse:
        stem = read_reported_stem(request.stem)
        report = await self._pools.reports.run(drift_report, self._journal, current_tenant(), stem)
        return drift_report_message(report)

    async def ReplayTake(
        self, request: render_pb2.ReplayTakeRequest, context: Context
    ) -> render_pb2.ReplayTakeResponse:
        tenant = current_tenant()

        def answer(cancelled: threading.Event) -> Replay:
            return self._replayer.replay(tenant, request.job_id, request.version, stopped=cancelled.is_set)

        replay = await self._pools.replays.run_stoppable(answer)
        return replay_message(replay)

    async def ErasePrompt(
        self, request: render_pb2.ErasePromptRequest, context: Context
    ) -> render_pb2.ErasePromptResponse:
        erased = await self._pools.deletes.run(erase_prompt, self._journal, current_tenant(), request.job_id)
        return render_pb2.ErasePromptResponse(
            audit_rows=erased.audit_rows, keys_with_prompt=erased.keys_with_prompt, purge_pending=erased.purge_pending
        )

    async def GetModelInfo(
        self, request: render_pb2.GetModelInfoRequest, context: Context
    ) -> render_pb2.GetModelInfoResponse:
        return model_info_message(
            self._renders.renderer_info,
            self._fingerprint,
            supports_score=self._renders.planner is not None,
            allow_drums=self._rerenders.allow_drums,
        )
