"""RerenderStem: a change of one stem becomes the next version, or is refused with the field that is wrong."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import grpc
import pytest

from jobs_service.admission_hook import AdmissionHook
from jobs_service.hook_endpoints import GrpcHook
from render_service.api.requests import read_stem_change
from render_service.composer.score import Part, Score
from render_service.music.tempo_map import TempoMap
from render_service.plan import Plan, plan_from_json
from render_service.renderers.renderer import RendererInfo
from render_service.renderers.tempo_limits import TempoLimits
from render_service.rerender import Rerender
from render_service.separation.client import SeparationClient
from servicekit.access.caller import acting_as, local_caller
from servicekit.delivery.names import StemName
from servicekit.errors import DataLoss, FailedPrecondition, InvalidFields, NotFound, PermissionDenied
from servicekit.journal import Job, JobState
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2
from tests.support.admission_hooks import hook_server, refuse
from tests.support.render_parts import TENANT, RenderParts, uploaded_job

_SELECT_FILES = "SELECT files FROM versions WHERE job_id = ? AND number = 1"
WHOLE_TEMPOS = TempoLimits(metres=((4, 4),))


def with_info(parts: RenderParts, **changes: Any) -> RenderParts:
    """The same parts with a renderer that has other limits."""
    info: RendererInfo = replace(parts.renderer.info, **changes)
    return replace(parts, rerenders=replace(parts.rerenders, renderer_info=info))


def refused_field(parts: RenderParts, job_id: str, **fields: Any) -> str:
    """The field in UNSUPPORTED_BY_RENDERER."""
    with pytest.raises(FailedPrecondition) as refused:
        parts.rerender_stem(job_id, **fields)
    assert refused.value.reason == "UNSUPPORTED_BY_RENDERER"
    return refused.value.metadata["field"]


def test_the_admission_hook_sees_a_rerender(shared_parts: RenderParts, take: Job) -> None:
    """With the job, the changed brief and the seconds; a refused one adds no version."""
    with hook_server(refuse("no")) as server, grpc.insecure_channel(server.address) as channel:
        rerenders = replace(shared_parts.rerenders, hook=AdmissionHook(endpoint=GrpcHook(channel)))
        with acting_as(local_caller()), pytest.raises(PermissionDenied):
            shared_parts.rerender_stem(take.job_id, rerenders)
    (asked,) = server.asked
    assert (asked.rpc, asked.job_id) == ("/sonichaos.render.v1.RenderService/RerenderStem", take.job_id)
    assert (asked.brief.persona_id, asked.audio_seconds) == ("rumble", take.versions[0].audio_seconds)
    assert len(shared_parts.journal.job(TENANT, take.job_id).versions) == len(take.versions)


def test_the_next_version_keeps_the_grid_and_names_its_inputs(shared_parts: RenderParts, take: Job) -> None:
    """Persona and seed change; tempo map, key, chords and length do not. Inputs are named by digest."""
    accepted = shared_parts.rerender_stem(take.job_id, strength=0.5)
    version = shared_parts.journal.job(TENANT, take.job_id).version(accepted.version)
    assert version is not None
    before, plan = plan_from_json(take.versions[0].plan), plan_from_json(version.plan)
    assert (plan.persona_id, plan.seed, plan.prompt) == ("rumble", 9, before.prompt)
    assert (plan.tempo_map, plan.key, plan.chords, plan.seconds) == (
        before.tempo_map,
        before.key,
        before.chords,
        before.seconds,
    )
    assert (version.state, version.base_version, version.rerendered_stem) == (JobState.QUEUED, 1, StemName.VOCALS)
    assert (version.brief["personaId"], version.brief["seedSource"]) == ("rumble", "caller")
    rerender = Rerender.read(version.plan["rerender"])
    files = take.versions[0].files
    assert rerender.strength == 0.5
    assert rerender.latents is not None
    assert (rerender.latents.sha256, rerender.base.zip.sha256) == (files["latents"]["sha256"], files["zip"]["sha256"])
    assert [entry.sha256 for entry in rerender.base.entries] == [entry["sha256"] for entry in files["zipEntries"]]


def test_from_noise_needs_no_latents(shared_parts: RenderParts, take: Job) -> None:
    """Also where the renderer cannot start from any."""
    parts = with_info(shared_parts, supports_init_latents=False)
    assert refused_field(parts, take.job_id, strength=0.9) == "from_noise"
    accepted = parts.rerender_stem(take.job_id, from_noise=True)
    rerender = Rerender.read(accepted.job.versions[-1].plan["rerender"])
    assert rerender.from_noise
    assert rerender.strength == 1.0


def test_a_tempo_map_that_the_renderer_cannot_follow_is_refused(shared_parts: RenderParts, take: Job) -> None:
    """The take's 112.5 bpm were rendered by a renderer without limits; another one would follow them in part."""
    assert refused_field(with_info(shared_parts, tempo_limits=WHOLE_TEMPOS), take.job_id) == "brief.tempo_map"


def test_a_length_that_the_renderer_does_not_make_is_refused(shared_parts: RenderParts, take: Job) -> None:
    """The base version's length is that of the new mix."""
    assert refused_field(with_info(shared_parts, min_seconds=10.0), take.job_id) == "brief.seconds"


def test_a_stored_persona_of_another_encoder_is_refused(shared_parts: RenderParts, take: Job) -> None:
    """The plan has an embedding of 64 values; a change of the seed alone would use it."""
    parts = with_info(shared_parts, embedding_size=32)
    assert refused_field(parts, take.job_id, persona_id="", seed=10) == "persona_id"


def test_an_uploads_own_tempo_map_is_checked_too(
    shared_parts: RenderParts, separation: SeparationClient, take: Job
) -> None:
    """The caller gives it with the request, so the field is the request's."""
    job_id = uploaded_job(shared_parts, separation)
    fields: dict[str, Any] = {"prompt": "calm horns", "key": "A minor", "bpm": 92.5}
    assert refused_field(with_info(shared_parts, tempo_limits=WHOLE_TEMPOS), job_id, **fields) == "tempo_map"
    version = shared_parts.rerender_stem(job_id, **fields).job.versions[-1]
    assert plan_from_json(version.plan).tempo_map == TempoMap.constant(92.5)
    assert (version.brief["key"], version.brief["tempoSource"]) == ("A minor", "caller")
    rerender = Rerender.read(version.plan["rerender"])
    assert rerender.latents is None
    assert rerender.recording is not None


def test_an_upload_without_grid_names_what_is_missing(
    shared_parts: RenderParts, separation: SeparationClient, take: Job
) -> None:
    """Prompt, tempo map and key, all at once."""
    with pytest.raises(InvalidFields) as refused:
        shared_parts.rerender_stem(uploaded_job(shared_parts, separation))
    assert [violation.field for violation in refused.value.violations] == ["prompt", "tempo_map", "key"]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"persona_id": "hiss", "seed": None}, ["persona_id"]),
        ({"persona_id": "", "seed": None}, ["persona_id"]),
        ({"bpm": 120.0, "key": "A minor"}, ["tempo_map", "key"]),
        ({"from_bar": 1, "to_bar": 99}, ["from_bar"]),
        ({"strength": 1.5}, ["strength"]),
        ({"stem": brief_pb2.STEM_UNSPECIFIED}, ["stem"]),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    shared_parts: RenderParts, take: Job, fields: dict[str, Any], wrong: list[str]
) -> None:
    """Nothing new, a grid for a take, bars beyond the end, too much noise, no stem."""
    with pytest.raises(InvalidFields) as refused:
        shared_parts.rerender_stem(take.job_id, **fields)
    assert [violation.field for violation in refused.value.violations] == wrong


def test_drums_need_the_operators_switch(shared_parts: RenderParts, take: Job) -> None:
    """Off by default."""
    drums = brief_pb2.STEM_DRUMS
    with pytest.raises(FailedPrecondition) as refused:
        shared_parts.rerender_stem(take.job_id, stem=drums)
    assert (refused.value.reason, refused.value.metadata["setting"]) == ("SWITCHED_OFF", "drums_rerender")
    allowed = replace(shared_parts, rerenders=replace(shared_parts.rerenders, allow_drums=True))
    assert allowed.rerender_stem(take.job_id, stem=drums).job.versions[-1].rerendered_stem is StemName.DRUMS


def test_a_job_has_a_bounded_number_of_versions(shared_parts: RenderParts, take: Job) -> None:
    """A job is one response, and a response has at most 4 MiB."""
    full = replace(shared_parts.rerenders, max_versions=len(take.versions))
    with pytest.raises(FailedPrecondition, match="versions") as refused:
        shared_parts.rerender_stem(take.job_id, full)
    assert refused.value.reason == "WRONG_STATE"


def test_the_base_version_must_be_done_and_have_stems(shared_parts: RenderParts, take: Job) -> None:
    """A queued version and a take without stems are no base; an unknown number is not found."""
    queued = shared_parts.rerender_stem(take.job_id).version
    with pytest.raises(FailedPrecondition) as refused:
        shared_parts.rerender_stem(take.job_id, base_version=queued)
    assert refused.value.reason == "WRONG_STATE"
    with pytest.raises(FailedPrecondition):
        shared_parts.rerender_stem(shared_parts.create_render().job_id)
    with pytest.raises(NotFound):
        shared_parts.rerender_stem(take.job_id, base_version=99)


def test_a_row_that_disagrees_with_its_audit_row_is_data_loss(shared_parts: RenderParts, take: Job) -> None:
    """A digest of the base version was changed in the journal."""
    with closing(sqlite3.connect(shared_parts.folder / "journal.sqlite3")) as plain:
        (text,) = plain.execute(_SELECT_FILES, (take.job_id,)).fetchone()
        files = json.loads(text)
        files["zipEntries"][1]["sha256"] = "0" * 64
        try:
            _write_files(plain, take.job_id, json.dumps(files))
            with pytest.raises(DataLoss) as refused:
                shared_parts.rerender_stem(take.job_id)
        finally:
            _write_files(plain, take.job_id, text)
    assert refused.value.metadata["found_sha256"] == "0" * 64


def _write_files(connection: sqlite3.Connection, job_id: str, text: str) -> None:
    connection.execute("UPDATE versions SET files = ? WHERE job_id = ? AND number = 1", (text, job_id))
    connection.commit()


def plans(parts: RenderParts, take: Job, **fields: Any) -> tuple[Plan, Plan]:
    """The plan of a take, and that of its re-render."""
    accepted = parts.rerender_stem(take.job_id, **fields)
    version = parts.journal.job(TENANT, take.job_id).version(accepted.version)
    assert version is not None
    return plan_from_json(take.versions[0].plan), plan_from_json(version.plan)


def test_a_re_render_plays_the_notes_of_its_base(shared_parts: RenderParts, take: Job) -> None:
    """Another persona, prompt or seed changes the sound only."""
    before, after = plans(shared_parts, take, prompt="brass and organ")
    assert before.score is not None
    assert after.score == before.score


def test_a_new_part_changes_the_notes_of_one_stem(shared_parts: RenderParts, take: Job) -> None:
    """Composed from the new seed and persona, in the same sections; it is change enough, without either."""
    before, after = plans(shared_parts, take, stem=brief_pb2.STEM_OTHER, new_part=True)
    assert before.score is not None
    assert after.score is not None
    assert {n for n in after.score.notes if n.part.stem == "other"} != {
        n for n in before.score.notes if n.part.stem == "other"
    }
    assert [n for n in after.score.notes if n.part.stem != "other"] == [
        n for n in before.score.notes if n.part.stem != "other"
    ]
    assert (after.score.sung, after.score.sections) == (before.score.sung, before.score.sections)
    message = render_pb2.RerenderStemRequest(job_id=take.job_id, stem=brief_pb2.STEM_BASS, new_part=True)
    request, _ = shared_parts.rerenders.find_existing(TENANT, "", "")
    assert shared_parts.rerenders.rerender_stem(request, read_stem_change(message)).version


def _chords(score: Score) -> set[tuple[float, int]]:
    return {(note.start_s, note.pitch) for note in score.notes if note.part is Part.CHORDS}


def test_a_new_part_keeps_to_its_bars(parts: RenderParts) -> None:
    """What starts outside of them stays."""
    job = parts.create_render(seconds=16.0, bpm=120.0, stems=True)
    plan = plan_from_json(job.versions[0].plan)
    change = read_stem_change(
        render_pb2.RerenderStemRequest(
            job_id=job.job_id, stem=brief_pb2.STEM_OTHER, seed=5, new_part=True, from_bar=3, to_bar=4
        )
    )
    changed = parts.rerenders.with_new_part(replace(plan, seed=5), change, original=job.versions[0])
    assert plan.score is not None
    assert changed.score is not None
    before, after = _chords(plan.score), _chords(changed.score)
    assert {n for n in after if not 4.0 <= n[0] < 8.0} == {n for n in before if not 4.0 <= n[0] < 8.0}
    assert after != before


def test_a_new_part_needs_a_score(shared_parts: RenderParts, separation: SeparationClient, take: Job) -> None:
    """An upload has none, and a renderer that plays none refuses, also the caller's score of the take."""
    with pytest.raises(InvalidFields) as refused:
        shared_parts.rerender_stem(
            uploaded_job(shared_parts, separation), new_part=True, prompt="a tune", bpm=100.0, key="C major"
        )
    assert [violation.field for violation in refused.value.violations] == ["new_part"]
    without = replace(shared_parts, rerenders=replace(shared_parts.rerenders, planner=None))
    assert refused_field(without, take.job_id, new_part=True) == "new_part"


def test_a_renderer_that_plays_no_scores_plans_without_the_notes(shared_parts: RenderParts, take: Job) -> None:
    """It does not play those that another one composed, so the new stem is not judged by them.

    Where the notes are known, noise is the default start, for the latents would add the old persona's sound. Otherwise those give
    the notes.
    """
    roomy = replace(shared_parts.rerenders, queue_limit=100)
    plays, plays_none = (
        shared_parts.rerender_stem(take.job_id, admission).job.versions[-1].plan
        for admission in (roomy, replace(roomy, planner=None))
    )
    assert plan_from_json(plays).score is not None
    assert plan_from_json(plays_none).score is None
    starts = [Rerender.read(plan["rerender"]) for plan in (plays, plays_none)]
    assert [(start.from_noise, start.strength) for start in starts] == [(True, 1.0), (False, 0.9)]
    assert all(start.prefer_new_sound for start in starts)
