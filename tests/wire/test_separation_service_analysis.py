"""AnalyzeAudio over a real server, and invalid requests of AnalyzeAudio and ReplaceStem."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from grpc import aio

from separation_service.engine import Separator, load_separator
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.separation_pipeline import JOB_ID
from tests.support.separation_server import LiveServer, reason_of, serving


@pytest.fixture(scope="module")
def starter() -> Separator:
    """The weights in the package; no test here separates."""
    return load_separator("starter", repo=None, device="cpu", threads=1)


@pytest.fixture
async def live(tmp_path: Path, starter: Separator) -> AsyncIterator[LiveServer]:
    """A service of its own for each test."""
    async with serving(tmp_path, starter, upload_max_bytes=1 << 23) as live:
        yield live


def requests_for(data: bytes, **header: Any) -> Iterator[separation_pb2.AnalyzeAudioRequest]:
    """The header, then the bytes in chunks."""
    yield separation_pb2.AnalyzeAudioRequest(header=separation_pb2.AnalysisHeader(**header))
    for start in range(0, len(data), 1 << 20):
        yield separation_pb2.AnalyzeAudioRequest(data=data[start : start + (1 << 20)])


def clicks(bpm: float, seconds: float) -> bytes:
    """A WAV with a short noise on each beat."""
    sound = np.zeros(round(seconds * 44100))
    noise = np.random.default_rng(0).standard_normal(1500) * np.linspace(0.6, 0.0, 1500)
    for start in range(0, sound.size - 1500, round(60.0 / bpm * 44100)):
        sound[start : start + 1500] = noise
    sink = io.BytesIO()
    soundfile.write(sink, np.stack([sound, sound]).T, 44100, format="WAV", subtype="PCM_16")
    return sink.getvalue()


async def test_a_recording_is_analysed_and_not_stored(live: LiveServer) -> None:
    """Its tempo is found, in the octave of the caller's range; neither a job nor a file is made."""
    wav = clicks(100.0, 12.0)
    found = await live.separation.AnalyzeAudio(requests_for(wav, min_bpm=80.0, max_bpm=130.0))
    assert found.seconds == pytest.approx(12.0)
    assert found.tempo_map.points[0].bpm == pytest.approx(100.0, rel=0.01)
    half = await live.separation.AnalyzeAudio(requests_for(wav, min_bpm=40.0, max_bpm=70.0))
    assert half.tempo_map.points[0].bpm == pytest.approx(50.0, rel=0.01)
    assert list(live.store.keys()) == []


@pytest.mark.parametrize(
    ("data", "header", "reason"),
    [
        (b"no sound", {}, "INVALID_AUDIO"),
        (b"", {"min_bpm": 120.0, "max_bpm": 60.0}, "INVALID_FIELD"),
        (b"", {"beats_per_bar": 17}, "INVALID_FIELD"),
        (b"", {"store_key": "é"}, "INVALID_FIELD"),
        (b"", {"store_key": "../../etc/passwd"}, "INVALID_FIELD"),
        (b"", {"store_key": f"jobs/{JOB_ID}/bounce.wav"}, "INVALID_FIELD"),
        (b"", {"store_key": "uploads/../jobs/x"}, "INVALID_FIELD"),
        (b"", {"min_bpm": float("nan"), "max_bpm": 90.0}, "INVALID_FIELD"),
    ],
)
async def test_invalid_recordings_and_hints_are_refused(
    live: LiveServer, data: bytes, header: dict[str, float], reason: str
) -> None:
    """Each with its own reason."""
    with pytest.raises(aio.AioRpcError) as refused:
        await live.separation.AnalyzeAudio(requests_for(data, **header))
    assert reason_of(refused.value)[1] == reason


async def test_incomplete_replacements_are_refused(live: LiveServer) -> None:
    """No stem, a file of the base missing, a decreasing grid: each is a field violation, before the loan is looked up."""
    good = separation_pb2.ReplaceStemRequest(
        job_id=JOB_ID,
        version=2,
        stem=brief_pb2.STEM_BASS,
        base=separation_pb2.BaseVersion(
            version=1,
            zip_entries=[
                job_pb2.ZipEntry(name=name)
                for name in ("bounce.wav", "drums.wav", "bass.wav", "vocals.wav", "other.wav", "manifest.json")
            ],
        ),
    )
    no_stem, no_files, falling = (separation_pb2.ReplaceStemRequest() for _ in range(3))
    for request in (no_stem, no_files, falling):
        request.CopyFrom(good)
    no_stem.stem = brief_pb2.STEM_UNSPECIFIED
    del no_files.base.zip_entries[2]
    falling.grid.beat_seconds.extend([1.0, 0.5])
    for request in (no_stem, no_files, falling):
        with pytest.raises(aio.AioRpcError) as refused:
            _ = [message async for message in live.separation.ReplaceStem(request)]
        assert reason_of(refused.value)[1] == "INVALID_FIELD"
