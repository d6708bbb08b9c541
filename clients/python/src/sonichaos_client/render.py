"""Operations of RenderService: takes, personas, audit, model info."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2 as pb
from sonichaos_client import rpcs
from sonichaos_client.enums import OwningService, Stem, StemName
from sonichaos_client.errors import FieldViolation, InvalidRequestError
from sonichaos_client.fields import BriefFields, RerenderFields, message_of, new_request_id
from sonichaos_client.job_reference import JobLike, id_of, number_of
from sonichaos_client.options import CallOptions
from sonichaos_client.sansio import Item, Operation, StreamOperation, call_unary

_RENDER = OwningService.RENDER
_PAGE_SIZE = 100
PERSONA_VARIABLE = "SONICHAOS_PERSONA"


def brief_of(brief: brief_pb2.Brief | None, fields: BriefFields) -> brief_pb2.Brief:
    """The brief itself, or one made of keyword arguments. Raises TypeError for both or neither."""
    if brief is not None and fields:
        raise TypeError("pass either a Brief or its fields as keyword arguments, not both")
    if brief is None and not fields:
        raise TypeError("pass a Brief, or its fields as keyword arguments: prompt=..., persona_id=...")
    return brief or message_of(brief_pb2.Brief, fields, allowed=BriefFields)


def stem_number(stem: Stem | StemName) -> brief_pb2.Stem.ValueType:
    """The protobuf enum of a stem or of its name. Raises InvalidRequestError for another name."""
    if isinstance(stem, Stem):
        return brief_pb2.Stem.ValueType(stem)
    names = {one.name.lower(): one for one in Stem if one}
    if stem not in names:
        description = f"must be {', '.join(names)}, got {stem!r}."
        raise InvalidRequestError(f"stem {description}", violations=[FieldViolation("stem", description)])
    return brief_pb2.Stem.ValueType(names[stem])


def create_render(
    brief: brief_pb2.Brief, request_id: str, priority: int, options: CallOptions
) -> Operation[job_pb2.Job]:
    """Create a take."""
    request = pb.CreateRenderRequest(request_id=request_id or new_request_id(), brief=brief, priority=priority)
    return (yield from call_unary(_RENDER, rpcs.CREATE_RENDER, request, options)).job


def rerender_stem(
    job: JobLike, stem: Stem | StemName, request_id: str, fields: RerenderFields, options: CallOptions
) -> Operation[pb.RerenderStemResponse]:
    """Render one stem again, as the job's next version. A handle's version is the base unless the fields name another."""
    request = message_of(pb.RerenderStemRequest, fields, allowed=RerenderFields)
    request.job_id, request.request_id = id_of(job), request_id or new_request_id()
    request.stem = stem_number(stem)
    request.base_version = number_of(job, request.base_version)
    return (yield from call_unary(_RENDER, rpcs.RERENDER_STEM, request, options))


def analyze_prompt(prompt: str, options: CallOptions) -> Operation[pb.AnalyzePromptResponse]:
    """What the services read from a prompt."""
    request = pb.AnalyzePromptRequest(prompt=prompt)
    return (yield from call_unary(_RENDER, rpcs.ANALYZE_PROMPT, request, options))


def estimate_render(seconds: float, options: CallOptions, *, stems: bool) -> Operation[pb.EstimateRenderResponse]:
    """When a take would be done if it were requested now."""
    request = pb.EstimateRenderRequest(seconds=seconds, stems=stems)
    return (yield from call_unary(_RENDER, rpcs.ESTIMATE_RENDER, request, options))


def chosen_persona(personas: Sequence[pb.Persona]) -> str:
    """The persona of a render that names none: that of the environment, else the first built-in one, else the first; or ""."""
    ids = [persona.id for persona in personas if persona.built_in] or [persona.id for persona in personas]
    return os.environ.get(PERSONA_VARIABLE) or next(iter(ids), "")


def list_personas(options: CallOptions) -> StreamOperation[pb.Persona]:
    """All personas, by id."""
    token = ""
    while True:
        request = pb.ListPersonasRequest(page_size=_PAGE_SIZE, page_token=token)
        page = yield from call_unary(_RENDER, rpcs.LIST_PERSONAS, request, options)
        for persona in page.personas:
            yield Item(persona)
        token = page.next_page_token
        if not token:
            return


def get_persona(persona_id: str, options: CallOptions) -> Operation[pb.Persona]:
    """One persona."""
    request = pb.GetPersonaRequest(persona_id=persona_id)
    return (yield from call_unary(_RENDER, rpcs.GET_PERSONA, request, options)).persona


def delete_persona(persona_id: str, options: CallOptions) -> Operation[None]:
    """Delete a persona that is not built in."""
    request = pb.DeletePersonaRequest(persona_id=persona_id)
    yield from call_unary(_RENDER, rpcs.DELETE_PERSONA, request, options)


def list_audit_rows(job_id: str, options: CallOptions) -> StreamOperation[pb.AuditRow]:
    """Audit rows of one job, or of all jobs if the id is empty, oldest first."""
    token = ""
    while True:
        request = pb.ListAuditRowsRequest(job_id=job_id, page_size=_PAGE_SIZE, page_token=token)
        page = yield from call_unary(_RENDER, rpcs.LIST_AUDIT_ROWS, request, options)
        for row in page.rows:
            yield Item(row)
        token = page.next_page_token
        if not token:
            return


def verify_audit_chain(
    head_sequence: int, head_digest: str, options: CallOptions
) -> Operation[pb.VerifyAuditChainResponse]:
    """Verify the audit chain, and that it contains an exported head if one is given."""
    request = pb.VerifyAuditChainRequest(head_sequence=head_sequence, head_digest=head_digest)
    return (yield from call_unary(_RENDER, rpcs.VERIFY_AUDIT_CHAIN, request, options, options.long_timeout_s))


def replay(job: JobLike, version: int, options: CallOptions) -> Operation[pb.ReplayTakeResponse]:
    """Render a take again from its audit row and compare."""
    request = pb.ReplayTakeRequest(job_id=id_of(job), version=number_of(job, version))
    return (yield from call_unary(_RENDER, rpcs.REPLAY_TAKE, request, options, options.long_timeout_s))


def erase_prompt(job: JobLike, options: CallOptions) -> Operation[pb.ErasePromptResponse]:
    """Erase a job's prompts from the journal."""
    request = pb.ErasePromptRequest(job_id=id_of(job))
    return (yield from call_unary(_RENDER, rpcs.ERASE_PROMPT, request, options))


def get_drift_report(stem: Stem | StemName, options: CallOptions) -> Operation[pb.GetDriftReportResponse]:
    """How far re-renders of a stem lay from their grids."""
    request = pb.GetDriftReportRequest(stem=stem_number(stem))
    return (yield from call_unary(_RENDER, rpcs.GET_DRIFT_REPORT, request, options, options.long_timeout_s))


def get_model(options: CallOptions) -> Operation[pb.GetModelInfoResponse]:
    """The loaded renderer."""
    return (yield from call_unary(_RENDER, rpcs.GET_RENDER_MODEL, pb.GetModelInfoRequest(), options))
