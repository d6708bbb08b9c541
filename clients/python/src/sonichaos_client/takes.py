"""Operations of render_service: takes, personas, audit, models."""

from __future__ import annotations

from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.render.v1 import render_pb2 as pb
from sonichaos.separation.v1 import separation_pb2
from sonichaos_client import rpcs
from sonichaos_client.options import CallOptions
from sonichaos_client.rpcs import Target
from sonichaos_client.steps import Emit, Flow, Stream, ask


def create(brief: brief_pb2.Brief, request_id: str, options: CallOptions) -> Flow[job_pb2.Job]:
    """Ask for a take."""
    request = pb.CreateRenderRequest(request_id=request_id, brief=brief)
    return (yield from ask(Target.RENDER, rpcs.CREATE_RENDER, request, options.deadline_s)).job


def rerender(request: pb.RerenderStemRequest, options: CallOptions) -> Flow[pb.RerenderStemResponse]:
    """Ask for one stem again."""
    return (yield from ask(Target.RENDER, rpcs.RERENDER_STEM, request, options.deadline_s))


def personas(options: CallOptions) -> Stream[pb.Persona]:
    """All personas, by id."""
    token, begun = "", False
    while token or not begun:
        request = pb.ListPersonasRequest(page_size=100, page_token=token)
        page = yield from ask(Target.RENDER, rpcs.LIST_PERSONAS, request, options.deadline_s)
        begun, token = True, page.next_page_token
        for persona in page.personas:
            yield Emit(persona)


def persona(persona_id: str, options: CallOptions) -> Flow[pb.Persona]:
    """One persona."""
    request = pb.GetPersonaRequest(persona_id=persona_id)
    return (yield from ask(Target.RENDER, rpcs.GET_PERSONA, request, options.deadline_s)).persona


def delete_persona(persona_id: str, options: CallOptions) -> Flow[None]:
    """Remove an added persona."""
    request = pb.DeletePersonaRequest(persona_id=persona_id)
    yield from ask(Target.RENDER, rpcs.DELETE_PERSONA, request, options.deadline_s)


def audit(job_id: str, options: CallOptions) -> Stream[pb.AuditRow]:
    """Audit rows, oldest first, of one job or, with an empty id, of all."""
    token, begun = "", False
    while token or not begun:
        request = pb.ListAuditRowsRequest(job_id=job_id, page_size=100, page_token=token)
        page = yield from ask(Target.RENDER, rpcs.LIST_AUDIT_ROWS, request, options.deadline_s)
        begun, token = True, page.next_page_token
        for row in page.rows:
            yield Emit(row)


def verify_chain(head_sequence: int, head_digest: str, options: CallOptions) -> Flow[pb.VerifyAuditChainResponse]:
    """Check the audit chain, against an exported head where one is given."""
    request = pb.VerifyAuditChainRequest(head_sequence=head_sequence, head_digest=head_digest)
    return (yield from ask(Target.RENDER, rpcs.VERIFY_AUDIT_CHAIN, request, options.replay_deadline_s))


def replay(job_id: str, version: int, options: CallOptions) -> Flow[pb.ReplayTakeResponse]:
    """Render a take again and compare."""
    request = pb.ReplayTakeRequest(job_id=job_id, version=version)
    return (yield from ask(Target.RENDER, rpcs.REPLAY_TAKE, request, options.replay_deadline_s))


def drift_report(stem: brief_pb2.Stem.ValueType, options: CallOptions) -> Flow[pb.GetDriftReportResponse]:
    """How far re-renders of a stem (unspecified: drums) were from the grid so far."""
    request = pb.GetDriftReportRequest(stem=stem)
    return (yield from ask(Target.RENDER, rpcs.GET_DRIFT_REPORT, request, options.replay_deadline_s))


def render_model(options: CallOptions) -> Flow[pb.GetModelInfoResponse]:
    """What renders."""
    return (yield from ask(Target.RENDER, rpcs.GET_RENDER_MODEL, pb.GetModelInfoRequest(), options.deadline_s))


def separation_model(options: CallOptions) -> Flow[separation_pb2.GetModelInfoResponse]:
    """What separates."""
    request = separation_pb2.GetModelInfoRequest()
    return (yield from ask(Target.SEPARATION, rpcs.GET_SEPARATION_MODEL, request, options.deadline_s))
