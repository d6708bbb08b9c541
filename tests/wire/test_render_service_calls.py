"""Calls of RenderService that a page makes before and beside a take, over a real server on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from render_service.composer.habits import Habits
from render_service.composer.planner import Planner, ScoreRequest
from render_service.composer.score import Score
from render_service.composer.style import StyleReading
from render_service.renderers.load import load_renderer
from render_service.renderers.renderer import Renderer
from render_service.separation.chunks import ChunkLender
from render_service.separation.client import SeparationClient
from sonichaos.jobs.v1 import brief_pb2
from sonichaos.render.v1 import render_pb2, render_pb2_grpc
from tests.support.journal_rows import claimed
from tests.support.render_parts import RenderParts, render_parts
from tests.support.render_server import render_in_thread
from tests.support.tiny_checkpoint import tiny_checkpoint

NOWHERE = "127.0.0.1:1"
"""In place of separation_service, which none of these calls needs."""
PART_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    """The smallest real renderer."""
    return load_renderer(str(tiny_checkpoint(tmp_path_factory.mktemp("tiny"))), device="cpu", threads=1)


@pytest.fixture
def parts(renderer: Renderer, tmp_path: Path) -> Iterator[RenderParts]:
    """The service's parts."""
    with render_parts(tmp_path, renderer) as made:
        yield made


@pytest.fixture
def render(parts: RenderParts) -> Iterator[Any]:
    """A stub of the running service."""
    with serving(parts) as stub:
        yield stub


@contextmanager
def serving(parts: RenderParts) -> Iterator[Any]:
    """Run the service and give its stub."""
    with grpc.insecure_channel(NOWHERE) as none:
        separation = SeparationClient(address=NOWHERE, channel=none, lender=ChunkLender(none, address=NOWHERE))
        with render_in_thread(parts, separation) as address, grpc.insecure_channel(address) as channel:
            yield render_pb2_grpc.RenderServiceStub(channel)


def reason_of(error: grpc.RpcError) -> str:
    """The reason of a refusal."""
    status, info = rpc_status.from_call(error), error_details_pb2.ErrorInfo()
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    return str(info.reason)


def test_a_clip_comes_in_parts(render: Any) -> None:
    """Of at most 256 KiB; the first names the media type and the size, and together they have the persona's digest."""
    persona = render.GetPersona(render_pb2.GetPersonaRequest(persona_id="hiss")).persona
    found = list(render.DownloadPersonaClip(render_pb2.DownloadPersonaClipRequest(persona_id="hiss")))
    data = b"".join(part.data for part in found)
    assert [len(part.data) for part in found] == [PART_BYTES] * (len(data) // PART_BYTES) + [len(data) % PART_BYTES]
    assert [(part.media_type, part.size_bytes) for part in found] == [("audio/wav", len(data))] + [("", 0)] * (
        len(found) - 1
    )
    assert [hashlib.sha256(data).hexdigest()] == list(persona.clip_sha256)


def test_an_altered_clip_is_refused_before_its_first_byte(render: Any, parts: RenderParts) -> None:
    """Its end was altered, and its start is not sent either."""
    (key,) = [key for key in parts.store.keys("personas/hiss") if key.endswith("clip-000")]
    data = parts.store.read(key, max_bytes=1 << 20)
    parts.store.put_bytes(key, data[:-1] + bytes([data[-1] ^ 1]), content_type="audio/wav")
    received = []
    with pytest.raises(grpc.RpcError) as caught:
        received.extend(render.DownloadPersonaClip(render_pb2.DownloadPersonaClipRequest(persona_id="hiss")))
    assert (received, reason_of(caught.value)) == ([], "DIGEST_MISMATCH")


def test_an_estimate_is_that_of_the_take_once_it_is_accepted(render: Any, parts: RenderParts) -> None:
    """Without a measured speed only what is ahead; then the same as the accepted take, which the clock alone moves on."""
    request = render_pb2.EstimateRenderRequest(seconds=2.0)
    parts.create_render()
    found = render.EstimateRender(request)
    assert (found.versions_ahead, found.HasField("estimated_end_time"), found.HasField("estimated_duration")) == (
        1,
        False,
        False,
    )
    parts.journal.finish(claimed(parts.journal))
    parts.create_render()
    parts.create_render()
    before, found = datetime.now(UTC), render.EstimateRender(request)
    (version,) = render.CreateRender(
        render_pb2.CreateRenderRequest(brief=brief_pb2.Brief(prompt="synths", persona_id="hiss", seconds=2.0))
    ).job.versions
    passed = datetime.now(UTC) - before
    assert (found.versions_ahead, version.queue_position) == (2, 2)
    moved = version.estimated_end_time.ToDatetime() - found.estimated_end_time.ToDatetime()
    assert timedelta() <= moved <= passed
    work_s = found.estimated_duration.ToTimedelta().total_seconds()
    assert found.estimated_end_time.ToDatetime(UTC) >= before + timedelta(seconds=3 * work_s)


def test_a_wrong_length_is_named(render: Any) -> None:
    """As in a brief."""
    with pytest.raises(grpc.RpcError) as caught:
        render.EstimateRender(render_pb2.EstimateRenderRequest(seconds=500.0))
    assert reason_of(caught.value) == "INVALID_FIELD"
    assert "seconds: must be 2 to 180, got 500" in caught.value.details()


@pytest.mark.parametrize("allowed", [False, True])
def test_the_model_info_says_whether_drums_are_rerendered(parts: RenderParts, allowed: bool) -> None:  # noqa: FBT001
    """The operator's switch."""
    switched = replace(parts, rerenders=replace(parts.rerenders, allow_drums=allowed))
    with serving(switched) as render:
        info = render.GetModelInfo(render_pb2.GetModelInfoRequest())
        assert info.drums_rerender_enabled is allowed


def test_a_prompt_is_analyzed_as_takes_are_made_from_it(render: Any) -> None:
    """Listed words and a clause that is matched by its meaning, tempo, key, and no voice."""
    prompt = "Church Organ over an ensemble of fiddlers, Brooding and Slow, in F# minor, no vocals"
    found = render.AnalyzePrompt(render_pb2.AnalyzePromptRequest(prompt=prompt))
    assert [(one.value, one.text, one.listed) for one in found.instrumentation] == [
        ("organ", "Church Organ", True),
        ("strings", "an ensemble of fiddlers", False),
    ]
    assert (found.mood.value, found.mood.text, found.mood.listed) == ("dark", "Brooding", True)
    assert (found.tempo.value, found.tempo.text, found.min_bpm, found.max_bpm) == ("Slow", "Slow", 62.0, 84.0)
    assert (found.key, found.instrumental) == ("F# minor", True)
    brief = brief_pb2.Brief(prompt=prompt, persona_id="hiss", seconds=2.0)
    resolved = render.CreateRender(render_pb2.CreateRenderRequest(brief=brief)).job.brief
    assert (resolved.key, resolved.key_source, resolved.tempo_source, resolved.instrumental) == (
        found.key,
        "prompt",
        "prompt",
        True,
    )
    assert found.min_bpm <= resolved.tempo_map.points[0].bpm <= found.max_bpm


def test_a_prompt_that_says_nothing_has_an_empty_analysis(render: Any) -> None:
    """Nothing is set."""
    assert render.AnalyzePrompt(render_pb2.AnalyzePromptRequest(prompt="a song")) == render_pb2.AnalyzePromptResponse()


def test_a_renderer_without_a_style_reader_analyzes_what_it_reads(parts: RenderParts) -> None:
    """Tempo, key and voice; such a renderer plays no scores."""
    with serving(replace(parts, renders=replace(parts.renders, planner=None))) as render:
        found = render.AnalyzePrompt(render_pb2.AnalyzePromptRequest(prompt="dark piano at 120 bpm in A minor"))
    assert (list(found.instrumentation), found.HasField("mood")) == ([], False)
    assert (found.tempo.text, found.min_bpm, found.max_bpm, found.key) == ("120 bpm", 120.0, 120.0, "A minor")


class WaitingPlanner:
    """A planner that reads a prompt only once it may."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.reading, self.may_read = threading.Event(), threading.Event()

    def habits(self, persona_embedding: Sequence[float]) -> Habits:
        """See Planner."""
        return self._planner.habits(persona_embedding)

    def read_style(self, prompt: str) -> StyleReading:
        """See Planner."""
        self.reading.set()
        self.may_read.wait(60)
        return self._planner.read_style(prompt)

    def write_score(self, request: ScoreRequest) -> Score:
        """See Planner."""
        return self._planner.write_score(request)


def test_analyses_delay_no_other_calls(parts: RenderParts) -> None:
    """While as many as may run and wait do, reads are answered; one more is refused with a retry time."""
    assert parts.renders.planner is not None
    planner = WaitingPlanner(parts.renders.planner)
    request = render_pb2.AnalyzePromptRequest(prompt="dark piano")
    with serving(replace(parts, renders=replace(parts.renders, planner=planner))) as render:
        running = [render.AnalyzePrompt.future(request) for _ in range(65)]
        assert planner.reading.wait(60)
        assert render.GetPersona(render_pb2.GetPersonaRequest(persona_id="hiss")).persona.id == "hiss"
        assert render.EstimateRender(render_pb2.EstimateRenderRequest()).versions_ahead == 0
        with pytest.raises(grpc.RpcError) as caught:
            render.AnalyzePrompt(request)
        assert reason_of(caught.value) == "QUEUE_FULL"
        planner.may_read.set()
        assert {one.result().mood.value for one in running} == {"dark"}
