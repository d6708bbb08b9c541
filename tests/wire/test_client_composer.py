"""What a page asks before a take, by both clients against scripted services on loopback."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servicekit.errors import NotFound, Unavailable
from sonichaos.render.v1 import render_pb2
from sonichaos_client import CallOptions, RetryPolicy, errors
from tests.support.client_kinds import KINDS
from tests.support.scripted_service import BOUNCE
from tests.support.scripted_services import ScriptedPair, scripted_pair

SHA256 = hashlib.sha256(BOUNCE).hexdigest()
QUICK = CallOptions(
    timeout_s=10,
    retry=RetryPolicy(initial_backoff_s=0.01, max_backoff_s=0.02, max_elapsed_s=0.5),
    rng=random.Random(1),  # noqa: S311  draws need no secrecy
)


@pytest.fixture
def pair() -> Iterator[ScriptedPair]:
    """Two scripted services, with a persona of two clips that have the same bytes."""
    with scripted_pair() as running:
        running.render.personas["ember"] = render_pb2.Persona(id="ember", clip_sha256=[SHA256, SHA256])
        yield running


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, pair: ScriptedPair) -> Iterator[Any]:
    """Each kind of client."""
    made = request.param.of(pair, QUICK)
    yield made
    made.stop()


def test_a_clip_is_downloaded_and_stored(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """Its bytes with their media type and digest; with a path also a file, by one call if the persona is known."""
    clip = client.download_persona_clip("ember", 1)
    assert (clip.persona_id, clip.index, clip.media_type, clip.sha256) == ("ember", 1, "audio/wav", SHA256)
    assert (clip.data, clip.path) == (BOUNCE, None)
    stored = client.download_persona_clip(pair.render.personas["ember"], path=tmp_path / "new" / "ember.wav")
    assert stored.path.read_bytes() == BOUNCE
    assert [request.clip_index for request in pair.render.requests("DownloadPersonaClip")] == [1, 0]
    assert len(pair.render.requests("GetPersona")) == 1


def test_a_clip_comes_again_from_its_start_after_a_connection_loss(pair: ScriptedPair, client: Any) -> None:
    """Nothing is there twice. It is given up after as many attempts as other calls."""
    pair.render.disconnects = [2, 3]
    assert client.download_persona_clip("ember").data == BOUNCE
    assert len(pair.render.requests("DownloadPersonaClip")) == 3
    pair.render.errors["DownloadPersonaClip"] = [Unavailable("warming", retry_after_s=0.01) for _ in range(9)]
    with pytest.raises(errors.UnavailableError):
        client.download_persona_clip("ember")
    assert len(pair.render.requests("DownloadPersonaClip")) == 3 + QUICK.retry.max_attempts


def test_a_clip_that_is_not_the_personas_is_refused(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """Other bytes than its digest says, or a clip that it does not list; no file is written."""
    persona = render_pb2.Persona(id="ember", clip_sha256=["0" * 64])
    for expected in ("0" * 64, "none"):
        with pytest.raises(errors.DigestMismatchError, match=f"expected bytes with SHA-256 {expected}, got {SHA256}"):
            client.download_persona_clip(persona, path=tmp_path / "clip.wav")
        del persona.clip_sha256[:]
    assert list(tmp_path.iterdir()) == []


def test_a_clip_replaces_no_file(pair: ScriptedPair, client: Any, tmp_path: Path) -> None:
    """Unless that is allowed; it is found out before anything is downloaded."""
    path = tmp_path / "clip.wav"
    path.write_text("mine")
    with pytest.raises(errors.LocalFileExistsError):
        client.download_persona_clip("ember", path=path)
    assert pair.render.calls == []
    client.download_persona_clip("ember", path=path, overwrite=True)
    assert path.read_bytes() == BOUNCE


def test_an_unknown_clip_is_not_found(pair: ScriptedPair, client: Any) -> None:
    """With what the service says; the call is made once."""
    pair.render.errors["DownloadPersonaClip"] = [NotFound("clip_index must be below 2", reason="FILE_NOT_FOUND")]
    with pytest.raises(errors.NotFoundError, match="must be below 2"):
        client.download_persona_clip("ember", 7)
    assert len(pair.render.requests("DownloadPersonaClip")) == 1


def test_an_estimate_is_asked_for_a_length_with_or_without_stems(pair: ScriptedPair, client: Any) -> None:
    """Without a length the service takes its default."""
    found = client.estimate_render(seconds=12.0, stems=True)
    assert (found.versions_ahead, found.estimated_end_time.seconds, found.estimated_duration.seconds) == (
        2,
        1_700_000_060,
        20,
    )
    client.estimate_render()
    assert [(one.seconds, one.stems) for one in pair.render.requests("EstimateRender")] == [(12.0, True), (0.0, False)]


def test_a_prompt_is_analyzed(pair: ScriptedPair, client: Any) -> None:
    """What is not recognised is not set."""
    found = client.analyze_prompt("dark, slow, in A minor")
    assert (found.mood.value, found.HasField("tempo"), found.max_bpm, found.key) == ("dark", False, 84.0, "A minor")
    assert [request.prompt for request in pair.render.requests("AnalyzePrompt")] == ["dark, slow, in A minor"]
