"""CreateRender: a brief becomes a durable job, or is refused with the field that is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from jobs_service.admission_hook import AdmissionHook
from jobs_service.hook_endpoints import GrpcHook
from render_service.composer.habits import Habits
from render_service.composer.style import Instrumentation
from render_service.music.key import Key, Mode
from render_service.music.tempo_map import TempoMap
from render_service.plan import plan_from_json
from render_service.renderers.renderer import Renderer
from render_service.renderers.tempo_limits import TempoLimits
from render_service.usecases.create_render import RenderAdmission
from servicekit.access.caller import acting_as, local_caller
from servicekit.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidFields,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
)
from servicekit.journal import JobFilter, JobState, Version
from tests.support.admission_hooks import hook_server, refuse
from tests.support.journal_rows import claimed
from tests.support.render_parts import TENANT, RenderParts, render_parts


def test_a_brief_becomes_a_queued_job_with_its_whole_plan(parts: RenderParts) -> None:
    """Plan and resolved brief are in the journal when the call returns."""
    created = parts.create_render(key="Eb major", bpm=96.0, labels={"album": "one"}, stems=True)
    job = parts.journal.job(TENANT, created.job_id)
    (version,) = job.versions
    plan = plan_from_json(version.plan)
    persona = parts.renders.personas.get(TENANT, "hiss")
    assert (version.state, version.stems_wanted) == (JobState.QUEUED, True)
    assert (plan.seed, plan.seconds, plan.key, plan.tempo_map.points[0].bpm) == (7, 2.0, Key.parse("Eb major"), 96.0)
    assert (plan.persona_embedding, plan.persona_prefix) == (persona.embedding, "hiss")
    assert (plan.steps, plan.guidance) == (2, 1.5)
    assert (version.brief["key"], version.brief["keySource"], version.brief["labels"]) == (
        "Eb major",
        "caller",
        {"album": "one"},
    )


def test_the_plan_has_a_score_that_follows_the_prompt(parts: RenderParts) -> None:
    """The instruments that the prompt names, over the plan's chords, with an ending; the same brief gives the same score."""
    brief = {"prompt": "sad piano and strings", "seconds": 30.0, "key": None, "bpm": None}
    plans = [plan_from_json(_version(parts, **brief, seed=seed).plan) for seed in (3, 3, 4)]
    assert plans[0] == plans[1]
    assert plans[0].score != plans[2].score
    for plan in plans:
        assert plan.score is not None
        assert plan.score.instrumentation == (Instrumentation.PIANO, Instrumentation.STRINGS)
        assert plan.key.mode is Mode.MINOR
        assert plan.score.ending_s is not None
        assert plan.chords[-1].start_s == pytest.approx(plan.score.ending_s, abs=1e-4)
        assert plan.chords[-1].root == plan.key.tonic


def test_a_loop_has_no_ending(parts: RenderParts) -> None:
    """Its last bar leads into the first."""
    plan = plan_from_json(_version(parts, seconds=12.0, loop=True).plan)
    assert plan.score is not None
    assert plan.score.ending_s is None


def test_the_persona_swings_where_the_caller_gives_no_tempo(parts: RenderParts) -> None:
    """The habits' swing is in the plan's tempo map and in the resolved brief; a caller's tempo map stays as it is."""
    swinging = replace(parts.renders, planner=Swinging(parts.renderer))
    version = _version(parts, swinging, bpm=None, prompt="a tune at 100 bpm")
    assert plan_from_json(version.plan).tempo_map == TempoMap.constant(100.0, swing=0.62)
    assert version.brief["tempoMap"]["swingRatio"] == 0.62
    assert plan_from_json(_version(parts, swinging, bpm=100.0).plan).tempo_map == TempoMap.constant(100.0)


def test_a_renderer_without_a_planner_gets_no_score(parts: RenderParts) -> None:
    """Its plan is otherwise complete."""
    plan = plan_from_json(_version(parts, replace(parts.renders, planner=None)).plan)
    assert plan.score is None
    assert plan.chords


class Swinging:
    """The renderer's planner for a persona that swings."""

    def __init__(self, renderer: Renderer) -> None:
        assert renderer.planner is not None
        self._planner = renderer.planner
        self.read_style = self._planner.read_style
        self.write_score = self._planner.write_score

    def habits(self, persona_embedding: Sequence[float]) -> Habits:
        """The planner's habits with another swing."""
        return replace(self._planner.habits(persona_embedding), swing=0.62)


def _version(parts: RenderParts, renders: RenderAdmission | None = None, **brief: Any) -> Version:
    (version,) = parts.journal.job(TENANT, parts.create_render(renders, **brief).job_id).versions
    return version


def test_steps_of_the_settings_override_those_of_the_renderer(parts: RenderParts) -> None:
    """0 leaves them to the renderer."""
    assert replace(parts.renders, steps=5).render_steps == 5
    assert parts.renders.render_steps == parts.renderer.info.default_steps


def test_a_request_id_finds_the_job_that_it_created(parts: RenderParts) -> None:
    """The same content gives the same job; other content under the same id is refused."""
    request, existing = parts.renders.find_existing(TENANT, "once", "a brief")
    assert existing is None
    job = parts.renders.create_render(request, parts.read_brief())
    assert parts.renders.create_render(request, parts.read_brief()).job_id == job.job_id
    _, existing = parts.renders.find_existing(TENANT, "once", "a brief")
    assert existing is not None
    assert existing.job.job_id == job.job_id
    with pytest.raises(AlreadyExists):
        parts.renders.find_existing(TENANT, "once", "another brief")
    assert parts.rerenders.find_existing(TENANT, "once", "another brief")[1] is None  # another RPC


@pytest.mark.parametrize("request_id", ["two words", "ends\n", "\u00e9", "x" * 129])
def test_a_request_id_is_matched_as_a_whole(parts: RenderParts, request_id: str) -> None:
    """Spaces, line ends, other than ASCII and more than 128 characters are refused."""
    with pytest.raises(InvalidFields) as refused:
        parts.renders.find_existing(TENANT, request_id, "")
    assert [violation.field for violation in refused.value.violations] == ["request_id"]


def test_the_admission_hook_sees_the_resolved_brief(parts: RenderParts) -> None:
    """It has every value decided. Refused work is not accepted; a brief that is refused anyway is not shown."""
    with hook_server(refuse("no")) as server, grpc.insecure_channel(server.address) as channel:
        renders = replace(parts.renders, hook=AdmissionHook(endpoint=GrpcHook(channel)))
        with acting_as(local_caller()):
            with pytest.raises(PermissionDenied, match="refused by the operator: no"):
                parts.create_render(renders, key=None, seed=None)
            with pytest.raises(NotFound):
                parts.create_render(renders, persona_id="nobody")
    (asked,) = server.asked
    assert (asked.rpc, asked.tenant) == ("/sonichaos.render.v1.RenderService/CreateRender", "local")
    assert (asked.brief.key_source, asked.brief.seed_source, asked.brief.persona_id) == ("drawn", "drawn", "hiss")
    assert parts.journal.jobs(TENANT, JobFilter()).jobs == ()


def test_an_unknown_persona_is_refused(parts: RenderParts) -> None:
    """Before anything is stored."""
    with pytest.raises(NotFound) as refused:
        parts.create_render(persona_id="nobody")
    assert refused.value.reason == "PERSONA_NOT_FOUND"


def test_a_length_that_the_renderer_does_not_make_is_a_wrong_field(parts: RenderParts) -> None:
    """The brief's own limits are wider than those of a renderer may be."""
    renders = replace(parts.renders, renderer_info=replace(parts.renderer.info, min_seconds=10.0))
    with pytest.raises(InvalidFields, match=r"must be 10 to 180 .*, got 2"):
        parts.create_render(renders)
    with pytest.raises(InvalidFields, match=r"must be 2 to 180 .*, got 1\.5"):
        parts.create_render(bpm=160, loop=True)


@pytest.mark.parametrize(
    ("seconds", "problem"),
    [
        (1.5, r"^seconds: must be 2 to 180, got 1\.5"),
        (181.0, "^seconds: must be 2 to 180, got 181"),
        (math.nan, "^seconds: must be 2 to 180, got nan"),
        (9.0, "^seconds: must be 10 to 40 for the renderer '.*', got 9"),
        (0.0, None),
        (40.0, None),
    ],
)
def test_an_estimate_takes_the_lengths_that_a_brief_may_have(
    parts: RenderParts, seconds: float, problem: str | None
) -> None:
    """Those of the brief and of the renderer; 0 is 30 s. Nothing is created."""
    info = replace(parts.renderer.info, min_seconds=10.0, max_seconds=40.0)
    renders = replace(parts.renders, renderer_info=info)
    if problem is None:
        assert renders.estimate_render(TENANT, seconds, stems=False).versions_ahead == 0
    else:
        with pytest.raises(InvalidFields, match=problem):
            renders.estimate_render(TENANT, seconds, stems=False)
    assert parts.journal.jobs(TENANT, JobFilter()).jobs == ()


def test_an_estimate_without_a_length_is_of_30_seconds(parts: RenderParts) -> None:
    """At the speed of the takes that were done."""
    parts.create_render()
    claim = claimed(parts.journal)
    parts.journal.finish(claim)
    found = {seconds: parts.renders.estimate_render(TENANT, seconds, stems=False) for seconds in (0.0, 15.0, 30.0)}
    durations_s = [estimate.duration_s for estimate in found.values()]
    assert durations_s[0] == durations_s[2] == pytest.approx(2 * (durations_s[1] or 0.0))
    assert durations_s[0] is not None


@pytest.mark.parametrize(
    ("brief", "field"),
    [
        ({"lyrics": "la la"}, "brief.lyrics"),
        ({"bpm": 92.5}, "brief.tempo_map"),
        ({"bpm": None, "prompt": "piano at 92.5 bpm"}, "brief.tempo_map"),
    ],
)
def test_a_field_that_the_renderer_cannot_honour_is_refused(
    parts: RenderParts, brief: dict[str, Any], field: str
) -> None:
    """Whether the caller gives the tempo or the prompt names it."""
    limits = TempoLimits(metres=((4, 4),))
    renders = replace(parts.renders, renderer_info=replace(parts.renderer.info, tempo_limits=limits))
    with pytest.raises(FailedPrecondition) as refused:
        parts.create_render(renders, **brief)
    assert (refused.value.reason, refused.value.metadata["field"]) == ("UNSUPPORTED_BY_RENDERER", field)


def test_a_full_queue_refuses(tmp_path: Path, tiny_renderer: Renderer) -> None:
    """With a delay after which to retry."""
    with render_parts(tmp_path, tiny_renderer, queue_limit=1) as parts:
        parts.create_render()
        with pytest.raises(ResourceExhausted) as refused:
            parts.create_render()
    assert refused.value.reason == "QUEUE_FULL"
    assert refused.value.retry_after_s
