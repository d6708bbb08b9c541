"""Where a brief becomes a job: checked, resolved, planned, and durable before the caller hears of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from render_service.api import messages as wire
from render_service.brief import DEFAULT_SECONDS, Brief, ResolvedBrief, resolve
from render_service.personas.library import PersonaLibrary
from render_service.plan import make_plan, plan_json
from render_service.renderers.renderer import RendererInfo
from servicekit.clock import Clock
from servicekit.errors import FailedPrecondition, FieldViolation, InvalidFields
from servicekit.journal import Job, Journal, NewJob, OwningService, Request
from sonichaos.jobs.v1 import brief_pb2

RPC = "CreateRender"
_REQUEST_ID = re.compile(r"^[\x21-\x7e]{1,128}$")


@dataclass(frozen=True, kw_only=True)
class RenderAdmission:
    """Accepts briefs. ``steps`` 0 takes the renderer's own number."""

    journal: Journal
    personas: PersonaLibrary
    renderer_info: RendererInfo
    fingerprint: Mapping[str, str]
    clock: Clock
    queue_limit: int
    steps: int = 0

    def accept(self, tenant: str, request_id: str, message: brief_pb2.Brief) -> Job:
        """The job's row; for a retry of a known request the row that it made.

        Raises InvalidFields, NotFound PERSONA_NOT_FOUND, FailedPrecondition UNSUPPORTED_BY_RENDERER, AlreadyExists and
        ResourceExhausted.
        """
        request = Request(
            tenant=tenant,
            rpc=RPC,
            request_id=checked_request_id(request_id) or None,
            digest=request_digest(RPC, wire.canonical_json(message)),
        )
        known = self.journal.find_existing(request)
        if known is not None:
            return known.job
        brief = wire.read_brief(message, now=self.clock.now(), default_seconds=DEFAULT_SECONDS)
        self._refuse_unsupported(brief)
        persona = self.personas.get(brief.persona_id)
        resolved = resolve(brief)
        self._refuse_tempo(resolved)
        info = self.renderer_info
        plan = make_plan(resolved, persona, steps=self.steps or info.default_steps, guidance=info.default_guidance)
        new = NewJob(
            owner=OwningService.RENDER,
            request=request,
            brief=wire.resolved_brief_json(resolved),
            plan=plan_json(plan),
            stems_wanted=brief.stems,
            stem_mode=brief.stem_mode,
            expire_time=brief.expires_at,
            labels=brief.labels,
            persona_id=brief.persona_id,
            audio_seconds=brief.seconds,
        )
        return self.journal.accept(new, limit=self.queue_limit).job

    def _refuse_unsupported(self, brief: Brief) -> None:
        info = self.renderer_info
        if brief.lyrics and not info.supports_lyrics:
            raise FailedPrecondition(
                f"the renderer {info.name!r} cannot sing words; leave lyrics empty or ask an operator for one that can",
                reason="UNSUPPORTED_BY_RENDERER",
                metadata={"field": "brief.lyrics", "renderer": info.name},
            )
        if not info.min_seconds <= brief.seconds <= info.max_seconds:
            wanted = f"{info.min_seconds:g} to {info.max_seconds:g} seconds"
            raise InvalidFields(
                [FieldViolation("brief.seconds", f"the renderer {info.name!r} makes {wanted}, got {brief.seconds:g}")]
            )

    def _refuse_tempo(self, resolved: ResolvedBrief) -> None:
        """The tempo map as resolved: a prompt can name a tempo too."""
        limits = self.renderer_info.tempo_limits
        problem = limits.problem(resolved.tempo_map) if limits else None
        if problem:
            name = self.renderer_info.name
            raise FailedPrecondition(
                f"the renderer {name!r} cannot follow this tempo map: {problem}",
                reason="UNSUPPORTED_BY_RENDERER",
                metadata={"field": "brief.tempo_map", "renderer": name},
            )


def checked_request_id(request_id: str) -> str:
    """Give a request id back; empty is none. Raises InvalidFields."""
    if request_id and not _REQUEST_ID.match(request_id):
        raise InvalidFields(
            [FieldViolation("request_id", "wants at most 128 printable ASCII characters without spaces")]
        )
    return request_id


def request_digest(rpc: str, text: str) -> str:
    """What a retry is compared by: the call and its content in one spelling."""
    return hashlib.sha256(json.dumps([rpc, text]).encode()).hexdigest()
