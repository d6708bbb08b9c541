"""Bad input is refused by name and leaves nothing: no job, no file, and the services keep serving."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from sonichaos.jobs.v1.jobs_service_pb2 import ListJobsRequest
from sonichaos.jobs.v1.jobs_service_pb2_grpc import JobsServiceStub
from sonichaos.render.v1.render_pb2 import ListPersonasRequest
from sonichaos.render.v1.render_pb2_grpc import RenderServiceStub
from sonichaos_client import Brief, Client, TempoMap, TempoPoint
from sonichaos_client.errors import FailedPreconditionError, InvalidRequestError, NotFoundError, SonichaosError
from tests.flow.conftest import FreshPair
from tests.support.pair import RENDER, SEPARATION, LivePair
from tests.support.service_processes import ServiceForker
from tests.support.takes import brief, take

Refused = dict[str, tuple[Callable[[str], Brief], type[SonichaosError], str, str]]


def _points(*points: tuple[float, float]) -> TempoMap:
    return TempoMap(points=[TempoPoint(start_seconds=second, bpm=bpm) for second, bpm in points])


def _with_map(persona: str, tempo_map: TempoMap) -> Brief:
    wanted = brief(persona)
    wanted.tempo_map.CopyFrom(tempo_map)
    return wanted


BRIEFS: Refused = {
    "empty prompt": (lambda p: brief(p, prompt="  "), InvalidRequestError, "INVALID_FIELD", "brief.prompt"),
    "huge prompt": (lambda p: brief(p, prompt="x" * 2001), InvalidRequestError, "INVALID_FIELD", "brief.prompt"),
    "control character": (lambda p: brief(p, prompt="a\x00b"), InvalidRequestError, "INVALID_FIELD", "brief.prompt"),
    "unknown persona": (lambda _: brief("nobdy"), NotFoundError, "PERSONA_NOT_FOUND", ""),
    "no persona": (lambda _: brief(""), InvalidRequestError, "INVALID_FIELD", "brief.persona_id"),
    "too short": (lambda p: brief(p, seconds=1.9), InvalidRequestError, "INVALID_FIELD", "brief.seconds"),
    "too long": (lambda p: brief(p, seconds=180.1), InvalidRequestError, "INVALID_FIELD", "brief.seconds"),
    "length NaN": (lambda p: brief(p, seconds=float("nan")), InvalidRequestError, "INVALID_FIELD", "brief.seconds"),
    "too slow": (lambda p: brief(p, bpm=29.0), InvalidRequestError, "INVALID_FIELD", "brief.bpm"),
    "too fast": (lambda p: brief(p, bpm=301.0), InvalidRequestError, "INVALID_FIELD", "brief.bpm"),
    "late first point": (
        lambda p: _with_map(p, _points((1.0, 120.0))),
        InvalidRequestError,
        "INVALID_FIELD",
        "brief.tempo_map",
    ),
    "falling seconds": (
        lambda p: _with_map(p, _points((0.0, 120.0), (2.0, 90.0), (1.0, 90.0))),
        InvalidRequestError,
        "INVALID_FIELD",
        "brief.tempo_map",
    ),
    "no points": (lambda p: _with_map(p, TempoMap()), InvalidRequestError, "INVALID_FIELD", "brief.tempo_map"),
    "malformed key": (lambda p: brief(p, key="H dur"), InvalidRequestError, "INVALID_FIELD", "brief.key"),
    "lyrics": (lambda p: brief(p, lyrics="la la"), FailedPreconditionError, "UNSUPPORTED_BY_RENDERER", ""),
}


@pytest.mark.parametrize("name", BRIEFS)
def test_a_bad_brief(live_pair: LivePair, name: str) -> None:
    """The error has a code and a reason and names the field; no job is made."""
    make, kind, reason, field = BRIEFS[name]
    before = [job.job_id for job in live_pair.client.list_jobs()]
    with pytest.raises(kind) as refused:
        live_pair.client.create_render(make(live_pair.persona))
    assert refused.value.reason == reason
    assert refused.value.retry_after_s is None
    if field:
        assert [violation.field.startswith(field) for violation in refused.value.violations] == [True]
    assert [job.job_id for job in live_pair.client.list_jobs()] == before


def wav(samples: npt.NDArray[Any], *, rate_hz: int = 44100, subtype: str = "PCM_16") -> bytes:
    """A WAV file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, subtype=subtype, format="WAV")
    return file.getvalue()


_SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, (44100, 2))
_NOT_A_NUMBER = np.where(np.arange(88200).reshape(-1, 2) == 1000, np.nan, _SOUND)
UPLOADS = {
    "truncated": (wav(_SOUND)[:-1001], "truncated"),
    "header only": (wav(_SOUND)[:20], "truncated"),
    "48 kHz": (wav(_SOUND, rate_hz=48000), "48000 Hz"),
    "no samples": (wav(_SOUND[:0]), "0 frames"),
    "NaN": (wav(_NOT_A_NUMBER, subtype="FLOAT"), "NaN"),
    "beyond full scale": (wav(_SOUND * 4, subtype="FLOAT"), "full scale"),
    "not a WAV": (b"ID3\x04" + bytes(1000), "not a WAV"),
    "three channels": (wav(_SOUND[:, [0, 1, 0]]), "channels"),
}


@pytest.mark.parametrize("name", UPLOADS)
def test_a_bad_upload(live_pair: LivePair, tmp_path: Path, name: str) -> None:
    """INVALID_AUDIO names the problem; no job is created, and neither store nor spool holds a file."""
    data, what = UPLOADS[name]
    (tmp_path / "upload.wav").write_bytes(data)
    before = {path for path in live_pair.data.rglob("*") if path.is_file() and path.parent.name != "alive"}
    jobs = [job.job_id for job in live_pair.client.list_jobs()]
    with pytest.raises(InvalidRequestError) as refused:
        live_pair.client.separate_file(tmp_path / "upload.wav")
    assert refused.value.reason == "INVALID_AUDIO"
    assert what in refused.value.metadata["detail"]
    assert [job.job_id for job in live_pair.client.list_jobs()] == jobs
    assert {path for path in live_pair.data.rglob("*") if path.is_file() and path.parent.name != "alive"} == before


def test_a_page_token_of_personas_is_accepted_only_unchanged(live_pair: LivePair) -> None:
    """It leads through every persona once; an altered token, and one of another list, are refused."""
    with grpc.insecure_channel(live_pair.render_address) as channel:
        stub, jobs = RenderServiceStub(channel), JobsServiceStub(channel)
        every = [persona.id for persona in stub.ListPersonas(ListPersonasRequest()).personas]
        page = stub.ListPersonas(ListPersonasRequest(page_size=1))
        found = [persona.id for persona in page.personas]
        first_token = page.next_page_token
        while page.next_page_token:
            page = stub.ListPersonas(ListPersonasRequest(page_size=1, page_token=page.next_page_token))
            found += [persona.id for persona in page.personas]
        assert found == every
        assert len(every) > 1
        altered = first_token[:-2] + ("AA" if first_token[-2:] != "AA" else "BB")
        with pytest.raises(grpc.RpcError, match="page token"):
            stub.ListPersonas(ListPersonasRequest(page_token=altered))
        with pytest.raises(grpc.RpcError, match="page token"):
            jobs.ListJobs(ListJobsRequest(page_token=first_token))


def test_the_services_serve_on(live_pair: LivePair) -> None:
    """After all bad requests a take still renders."""
    assert take(live_pair.client, brief(live_pair.persona, seed=41)).events[-1].error is None


@pytest.fixture
def start_refused(forker: ServiceForker, tmp_path: Path) -> Callable[..., str]:
    """Starts a service that refuses to, with exit status 2; gives its output."""
    log = tmp_path / "refused.log"

    def start(service: str, **settings: str) -> str:
        log.unlink(missing_ok=True)
        status = forker.run(service, settings, log)
        said = log.read_text(encoding="utf-8")
        assert status == 2, said
        assert "Traceback" not in said
        return said

    return start


def test_a_missing_model_is_said_and_nothing_else_is_loaded(start_refused: Callable[..., str], tmp_path: Path) -> None:
    """A missing renderer or separator ends the start with status 2, naming the path and the remedy."""
    data = str(tmp_path / "data")
    said = start_refused(RENDER, SONICHAOS_DATA=data, SONICHAOS_RENDERER="/nonexistent")
    assert "/nonexistent" in said
    said = start_refused(SEPARATION, SONICHAOS_DATA=data, SONICHAOS_SEPARATOR="htdemucs_ft")
    assert "sonichaos fetch-weights htdemucs_ft" in said


def test_wrong_settings_are_refused_with_a_hint(start_refused: Callable[..., str], tmp_path: Path) -> None:
    """A misspelt variable, a wrong value and an address beyond this machine without --insecure are refused, each by name."""
    data = str(tmp_path / "data")
    said = start_refused(RENDER, SONICHAOS_DATA=data, SONICHAOS_QUEUE_LIMT="3", SONICHAOS_DEVICE="tpu")
    assert "SONICHAOS_QUEUE_LIMT: no such setting; did you mean SONICHAOS_QUEUE_LIMIT?" in said
    assert "SONICHAOS_DEVICE" in said
    said = start_refused(SEPARATION, SONICHAOS_DATA=data, SONICHAOS_SEPARATION_LISTEN="0.0.0.0:0")
    assert "insecure" in said.lower()
    said = start_refused(
        RENDER,
        SONICHAOS_DATA=data,
        SONICHAOS_METRICS_HOST="0.0.0.0",  # noqa: S104  refused
        SONICHAOS_RENDER_METRICS_PORT="50079",
    )
    assert "0.0.0.0:50079" in said


def test_one_data_folder_has_one_of_each(fresh_pair: FreshPair, start_refused: Callable[..., str]) -> None:
    """A second service on the same folder is refused and the first one keeps serving."""
    pair = fresh_pair()
    said = start_refused(RENDER, **{**pair.environment(RENDER), "SONICHAOS_RENDER_LISTEN": "127.0.0.1:0"})
    assert "another render_service uses" in said
    with Client(pair.address(RENDER), pair.address(SEPARATION)) as client:
        assert client.get_render_model().name == "tiny"
