"""What the admission of renders and of re-renders shares: idempotent requests, and the limits of the loaded renderer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar

from jobs_service.admission_hook import NO_HOOK, AdmissionHook
from render_service.composer.planner import Planner
from render_service.music.tempo_map import TempoMap
from render_service.personas.library import PersonaLibrary
from render_service.renderers.renderer import RendererInfo
from servicekit.access.limits import LimitPolicy
from servicekit.caller_fields import check_request_id
from servicekit.errors import FailedPrecondition, InvalidFields
from servicekit.journal import AcceptResult, Journal, Request


@dataclass(frozen=True, kw_only=True)
class Admission:
    """Turns requests into jobs. ``steps`` 0 uses the renderer's default number of denoising steps.

    ``planner`` writes the scores; None for a renderer that plays none. ``hook`` may refuse the work; ``limits`` of the caller may
    too.
    """

    rpc: ClassVar[str]

    journal: Journal
    personas: PersonaLibrary
    renderer_info: RendererInfo
    planner: Planner | None
    queue_limit: int
    steps: int = 0
    hook: AdmissionHook = NO_HOOK
    limits: LimitPolicy | None = None

    def find_existing(self, tenant: str, request_id: str, content: str) -> tuple[Request, AcceptResult | None]:
        """The request as the journal knows it, and what an earlier call with the same id created.

        ``content`` is the rest of the call in one canonical spelling. A retry is looked up before its fields are checked: its
        expiry, for example, may have passed since. Raises InvalidFields and AlreadyExists REQUEST_ID_REUSED.
        """
        violations = check_request_id(request_id)
        if violations:
            raise InvalidFields(violations)
        digest = hashlib.sha256(json.dumps([self.rpc, content]).encode()).hexdigest()
        request = Request(tenant=tenant, rpc=self.rpc, request_id=request_id or None, digest=digest)
        return request, self.journal.find_existing(request)

    @property
    def render_steps(self) -> int:
        """Denoising steps of a new plan."""
        return self.steps or self.renderer_info.default_steps

    def check_tempo_map(self, tempo_map: TempoMap, *, field: str) -> None:
        """Raise FailedPrecondition UNSUPPORTED_BY_RENDERER, naming ``field``, where the renderer cannot follow it."""
        limits = self.renderer_info.tempo_limits
        problem = limits.problem(tempo_map) if limits else None
        if problem:
            raise self.unsupported(field, f"cannot follow this tempo map: {problem}")

    def unsupported(self, field: str, problem: str) -> FailedPrecondition:
        """The error for a field that the renderer cannot honour. ``problem`` completes "the renderer 'name' ...."."""
        return FailedPrecondition(
            f"the renderer {self.renderer_info.name!r} {problem}",
            reason="UNSUPPORTED_BY_RENDERER",
            metadata={"field": field, "renderer": self.renderer_info.name},
        )
