"""RenderService on the wire. Translates and nothing else: what a call means lies in the modules it calls."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from grpc import aio

from render_service.api import messages as wire
from render_service.api import rerender_messages as rerender_wire
from render_service.personas.library import MAX_CLIP_BYTES, MAX_CLIPS, MAX_TOTAL_BYTES, Clip, PersonaLibrary
from render_service.usecases.create_render import RenderAdmission
from render_service.usecases.drift_report import drift_report
from render_service.usecases.erase_prompt import erase_prompt
from render_service.usecases.replay import Replayer, ReplayOutcome
from render_service.usecases.rerender_stem import RerenderAdmission
from servicekit.errors import FieldViolation, InvalidFields, InvalidToken, ResourceExhausted
from servicekit.journal import ChainHead, Job, Journal
from sonichaos.jobs.v1 import job_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc

Context = aio.ServicerContext[Any, Any]
TenantOf = Callable[[Context], str]

_MAX_PAGE = 200
_OUTCOMES = {
    ReplayOutcome.EXACT: render_pb2.REPLAY_OUTCOME_EXACT,
    ReplayOutcome.CLOSE: render_pb2.REPLAY_OUTCOME_CLOSE,
    ReplayOutcome.DIFFERENT: render_pb2.REPLAY_OUTCOME_DIFFERENT,
}
GATED_METHODS = tuple(
    f"/sonichaos.render.v1.RenderService/{name}"
    for name in ("CreateRender", "RerenderStem", "CreatePersona", "ReplayTake")
)


class RenderServicer(render_pb2_grpc.RenderServiceServicer):
    """Each method hands blocking work to a thread; errors become statuses at the server's boundary."""

    def __init__(
        self,
        *,
        desk: RenderAdmission,
        rerenders: RerenderAdmission,
        personas: PersonaLibrary,
        journal: Journal,
        replayer: Replayer,
        tenant_of: TenantOf,
        as_message: Callable[[Job], job_pb2.Job],
    ) -> None:
        self._desk = desk
        self._rerenders = rerenders
        self._personas = personas
        self._journal = journal
        self._replayer = replayer
        self._tenant_of = tenant_of
        self._as_message = as_message

    async def CreateRender(
        self, request: render_pb2.CreateRenderRequest, context: Context
    ) -> render_pb2.CreateRenderResponse:
        job = await asyncio.to_thread(self._desk.accept, self._tenant_of(context), request.request_id, request.brief)
        return render_pb2.CreateRenderResponse(job=self._as_message(job))

    async def RerenderStem(
        self, request: render_pb2.RerenderStemRequest, context: Context
    ) -> render_pb2.RerenderStemResponse:
        tenant = self._tenant_of(context)

        def answer() -> render_pb2.RerenderStemResponse:
            text = rerender_wire.canonical_json(request)
            known_by, made = self._rerenders.known(tenant, request.request_id, text)
            accepted = made or self._rerenders.accept(known_by, rerender_wire.read_change(request))
            return render_pb2.RerenderStemResponse(job=self._as_message(accepted.job), version=accepted.version)

        return await asyncio.to_thread(answer)

    async def ListPersonas(
        self, request: render_pb2.ListPersonasRequest, context: Context
    ) -> render_pb2.ListPersonasResponse:
        personas = await asyncio.to_thread(self._personas.all)
        after = _read_page_token(request.page_token)
        size = _page_size(request.page_size)
        rest = [p for p in personas if p.id > after]
        token = _page_token(rest[size - 1].id) if len(rest) > size else ""
        return render_pb2.ListPersonasResponse(
            personas=[wire.persona_message(p) for p in rest[:size]], next_page_token=token
        )

    async def GetPersona(
        self, request: render_pb2.GetPersonaRequest, context: Context
    ) -> render_pb2.GetPersonaResponse:
        persona = await asyncio.to_thread(self._personas.get, request.persona_id)
        return render_pb2.GetPersonaResponse(persona=wire.persona_message(persona))

    async def CreatePersona(
        self, request_iterator: AsyncIterator[render_pb2.CreatePersonaRequest], context: Context
    ) -> render_pb2.CreatePersonaResponse:
        header, clips = await _read_clips(request_iterator)
        persona = await asyncio.to_thread(
            self._personas.add, header.persona_id, header.prefix, clips, header.clip_sha256
        )
        return render_pb2.CreatePersonaResponse(persona=wire.persona_message(persona))

    async def DeletePersona(
        self, request: render_pb2.DeletePersonaRequest, context: Context
    ) -> render_pb2.DeletePersonaResponse:
        await asyncio.to_thread(self._personas.remove, request.persona_id)
        return render_pb2.DeletePersonaResponse()

    async def ListAuditRows(
        self, request: render_pb2.ListAuditRowsRequest, context: Context
    ) -> render_pb2.ListAuditRowsResponse:
        page = await asyncio.to_thread(
            self._journal.audit_rows,
            self._tenant_of(context),
            request.job_id,
            page_size=_page_size(request.page_size),
            page_token=request.page_token,
        )
        rows = [wire.audit_row_message(row) for row in page.rows]
        return render_pb2.ListAuditRowsResponse(rows=rows, next_page_token=page.next_token)

    async def VerifyAuditChain(
        self, request: render_pb2.VerifyAuditChainRequest, context: Context
    ) -> render_pb2.VerifyAuditChainResponse:
        if request.head_digest and not request.head_sequence:
            raise InvalidFields(
                [FieldViolation("head_sequence", "wants the head's sequence, 1 or more, with its digest")]
            )
        head = ChainHead(request.head_sequence, request.head_digest) if request.head_sequence else None
        report = await asyncio.to_thread(self._journal.verify_chain, self._tenant_of(context), head)
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
        stem = rerender_wire.read_reported_stem(request.stem)
        report = await asyncio.to_thread(drift_report, self._journal, self._tenant_of(context), stem)
        return rerender_wire.report_message(report)

    async def ReplayTake(
        self, request: render_pb2.ReplayTakeRequest, context: Context
    ) -> render_pb2.ReplayTakeResponse:
        replay = await asyncio.to_thread(
            self._replayer.replay, self._tenant_of(context), request.job_id, request.version
        )
        return render_pb2.ReplayTakeResponse(
            outcome=_OUTCOMES[replay.outcome],
            difference_dbfs=replay.difference_dbfs,
            stored_sha256=replay.stored_sha256,
            replayed_sha256=replay.replayed_sha256,
            fingerprint_differences=replay.fingerprint_differences,
        )

    async def ErasePrompt(
        self, request: render_pb2.ErasePromptRequest, context: Context
    ) -> render_pb2.ErasePromptResponse:
        erased = await asyncio.to_thread(erase_prompt, self._journal, self._tenant_of(context), request.job_id)
        return render_pb2.ErasePromptResponse(audit_rows=erased.audit_rows, keys_with_prompt=erased.keys_with_prompt)

    async def GetModelInfo(
        self, request: render_pb2.GetModelInfoRequest, context: Context
    ) -> render_pb2.GetModelInfoResponse:
        info = self._desk.renderer_info
        return render_pb2.GetModelInfoResponse(
            name=info.name,
            licence=info.licence,
            models=[render_pb2.ModelDigest(role=m.role, sha256=m.sha256, parameters=m.parameters) for m in info.models],
            min_seconds=info.min_seconds,
            max_seconds=info.max_seconds,
            fingerprint=self._desk.fingerprint,
            supports_lyrics=info.supports_lyrics,
        )


async def _read_clips(
    requests: AsyncIterator[render_pb2.CreatePersonaRequest],
) -> tuple[render_pb2.PersonaHeader, list[Clip]]:
    """Header first, then clips in order, bounded in number and size."""
    header: render_pb2.PersonaHeader | None = None
    clips: list[bytearray] = []
    total = 0
    async for request in requests:
        if request.HasField("header"):
            if header is not None:
                raise InvalidFields([FieldViolation("header", "wants one header, first; a second came")])
            header = request.header
            continue
        if header is None:
            raise InvalidFields([FieldViolation("header", "wants the header before the first chunk")])
        index, data = request.chunk.clip_index, request.chunk.data
        if index not in {len(clips) - 1, len(clips)} or index >= MAX_CLIPS:
            raise InvalidFields(
                [FieldViolation("chunk.clip_index", f"wants clips in order, at most {MAX_CLIPS}, got {index}")]
            )
        if index == len(clips):
            clips.append(bytearray())
        clips[index] += data
        total += len(data)
        if len(clips[index]) > MAX_CLIP_BYTES or total > MAX_TOTAL_BYTES:
            limit = MAX_CLIP_BYTES if len(clips[index]) > MAX_CLIP_BYTES else MAX_TOTAL_BYTES
            raise ResourceExhausted(
                f"clip {index} is too large: a clip has at most {MAX_CLIP_BYTES} bytes, all together {MAX_TOTAL_BYTES}",
                reason="TOO_LARGE",
                metadata={"limit_bytes": str(limit)},
            )
    if header is None:
        raise InvalidFields([FieldViolation("header", "wants a header; the stream ended before it")])
    return header, [Clip(data=bytes(clip)) for clip in clips]


def _page_size(asked: int) -> int:
    if asked > _MAX_PAGE:
        raise InvalidFields([FieldViolation("page_size", f"wants at most {_MAX_PAGE}, got {asked}")])
    return asked or 50


def _page_token(last_id: str) -> str:
    check = hashlib.sha256(last_id.encode()).hexdigest()[:8]
    return base64.urlsafe_b64encode(f"{check}{last_id}".encode()).decode()


def _read_page_token(token: str) -> str:
    if not token:
        return ""
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError:
        text = ""
    check, last_id = text[:8], text[8:]
    if not last_id or hashlib.sha256(last_id.encode()).hexdigest()[:8] != check:
        raise InvalidToken("page_token: wants the next_page_token of the page before")
    return last_id
