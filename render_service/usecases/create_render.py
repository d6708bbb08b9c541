"""CreateRender: a brief is checked against the renderer, resolved, planned and stored as a job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jobs_service.admission_hook import ProposedWork
from render_service.brief import DEFAULT_SECONDS, Brief, ResolvedBrief, check_seconds, resolve
from render_service.composer.midi.smf import MidiError
from render_service.composer.score import ScoreError
from render_service.personas.persona import Persona
from render_service.plan import Plan, make_plan, plan_json
from render_service.usecases.admission import Admission
from servicekit.access.limits import limits_of_current_caller
from servicekit.errors import FieldViolation, InvalidFields
from servicekit.journal import Estimate, Job, NewJob, OwningService, Request

_METHOD = "/sonichaos.render.v1.RenderService/CreateRender"


@dataclass(frozen=True, kw_only=True)
class RenderAdmission(Admission):
    """Turns briefs into jobs."""

    rpc: ClassVar[str] = "CreateRender"

    def create_render(self, request: Request, brief: Brief, *, priority: int = 0) -> Job:
        """Accept a brief. The job is durable when this returns; a retry of ``request`` returns the job that it created.

        Raises InvalidFields, NotFound PERSONA_NOT_FOUND, FailedPrecondition UNSUPPORTED_BY_RENDERER, AlreadyExists,
        ResourceExhausted, and as the hook.
        """
        info = self.renderer_info
        if brief.lyrics and not info.supports_lyrics:
            raise self.unsupported("brief.lyrics", "cannot sing lyrics; leave them empty or load another renderer")
        if brief.score is not None and self.planner is None:
            raise self.unsupported("brief.score", "plays no scores; leave score unset or load another renderer")
        persona = self.personas.get(request.tenant, brief.persona_id)
        resolved, plan = self._make_plan(brief, persona)
        new = NewJob(
            owner=OwningService.RENDER,
            request=request,
            brief=resolved.json(),
            plan=plan_json(plan),
            stems_wanted=brief.stems,
            stem_mode=brief.stem_mode,
            expire_time=brief.expires_at,
            labels=brief.labels,
            persona_id=brief.persona_id,
            audio_seconds=resolved.seconds,
            priority=priority,
        )
        self.hook.check(ProposedWork.of_job(_METHOD, new))
        return self.journal.accept(new, limit=self.queue_limit, tenant_limits=limits_of_current_caller(self.limits)).job

    def estimate_render(self, tenant: str, seconds: float, *, stems: bool) -> Estimate:
        """What a take of ``seconds`` (0: 30) would have to expect if it were accepted now. Raises InvalidFields."""
        seconds = seconds or DEFAULT_SECONDS
        if violations := check_seconds(seconds, "seconds"):
            raise InvalidFields(violations)
        self._check_renderer_seconds(seconds, "seconds")
        return self.journal.estimate(tenant, OwningService.RENDER, seconds, stems_wanted=stems)

    def _check_renderer_seconds(self, seconds: float, field: str) -> None:
        """Raise InvalidFields for a length that the renderer cannot have."""
        info = self.renderer_info
        if not info.min_seconds <= seconds <= info.max_seconds:
            text = f"must be {info.min_seconds:g} to {info.max_seconds:g} for the renderer {info.name!r}"
            raise InvalidFields([FieldViolation(field, f"{text}, got {seconds:g}")])

    def _make_plan(self, brief: Brief, persona: Persona) -> tuple[ResolvedBrief, Plan]:
        """Resolve and plan. Raises InvalidFields, FailedPrecondition UNSUPPORTED_BY_RENDERER."""
        info, planner = self.renderer_info, self.planner
        try:
            resolved = resolve(
                brief,
                habits=planner.habits(persona.embedding) if planner is not None else None,
                mood=planner.read_style(brief.prompt).mood if planner is not None else None,
            )
            self._check_renderer_seconds(resolved.seconds, "brief.seconds")
            self.check_tempo_map(resolved.tempo_map, field="brief.tempo_map")  # resolved: a prompt can name a tempo too
            plan = make_plan(
                resolved, persona, planner=planner, steps=self.render_steps, guidance=info.default_guidance
            )
        except MidiError as error:
            raise InvalidFields([FieldViolation("brief.score.midi", str(error))]) from error
        except ScoreError as error:
            if brief.score is None:
                raise
            text = f"must be chords that parts can be composed over: the score {error}; give fewer chords a bar"
            raise InvalidFields([FieldViolation("brief.score.chords", text)]) from error
        return resolved, plan
