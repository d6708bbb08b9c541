"""Calls of RenderService that a page makes before and beside a take, over a real server on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

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
