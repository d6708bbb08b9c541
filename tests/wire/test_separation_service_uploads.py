"""CreateSeparation over a real server: a good upload becomes a job and a ZIP, a bad one is refused and leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import soundfile
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from separation_service.engine import Separator, load_separator
from separation_service.uploads.pending import PendingUploads
from servicekit.ids import new_job_id
from sonichaos.jobs.v1 import brief_pb2, job_pb2, jobs_service_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.separation_pipeline import music
from tests.support.separation_server import RATE_HZ, LiveServer, check_zip, reason_of, serving

Request = separation_pb2.CreateSeparationRequest


@pytest.fixture(scope="module")
def starter() -> Separator:
    """The weights in the package."""
    return load_separator("starter", repo=None, device="cpu", threads=1)


@pytest.fixture
async def live(tmp_path: Path, starter: Separator) -> AsyncIterator[LiveServer]:
    """A service of its own for each test."""
    async with serving(tmp_path, starter) as live:
        yield live


def wav(samples: Any, *, subtype: str = "PCM_16", rate_hz: int = RATE_HZ) -> bytes:
    """A WAV by libsndfile, samples ``(T, C)``."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, subtype=subtype, format="WAV")
    return buffer.getvalue()


def stream(data: bytes, **header: Any) -> Iterator[Request]:
    """A header, then the bytes."""
    yield Request(header=separation_pb2.SeparationHeader(**header))
    for start in range(0, len(data), 1 << 20):
        yield Request(data=data[start : start + (1 << 20)])


async def refused(live: LiveServer, messages: Iterator[Request]) -> tuple[grpc.StatusCode, str]:
    """Code and reason of the error, after checking that no job and no file was made."""
    with pytest.raises(aio.AioRpcError) as caught:
        await live.separation.CreateSeparation(messages)
    listed = await live.jobs.ListJobs(jobs_service_pb2.ListJobsRequest())
    assert not listed.jobs
    assert not [key for key in live.store.keys("") if key.startswith("jobs/")]
    assert not list((live.folder / "spool").iterdir())
    return reason_of(caught.value)


async def ended(live: LiveServer, job: job_pb2.Job) -> job_pb2.Version:
    """The version after it has ended."""
    async for _ in live.jobs.WatchJob(jobs_service_pb2.WatchJobRequest(job_id=job.job_id)):
        pass
    return (await live.jobs.GetJob(jobs_service_pb2.GetJobRequest(job_id=job.job_id))).job.versions[0]


GOOD = wav(music(0.4).T << 8, subtype="PCM_24")


@pytest.mark.parametrize("mode", ["EXACT", "RAW"])
async def test_an_upload_becomes_a_zip(live: LiveServer, mode: str) -> None:
    """Its 24-bit bounce is stored, and the ZIP has four stems that sum to it in exact mode."""
    header = {
        "stem_mode": brief_pb2.StemMode.Value(f"STEM_MODE_{mode}"),
        "file_name": "mix.wav",
        "sha256": hashlib.sha256(GOOD).hexdigest(),
        "labels": {"reel": "7"},
        "licence": brief_pb2.Licence(tier="sync"),
    }
    job = (await live.separation.CreateSeparation(stream(GOOD, **header))).job
    version = await ended(live, job)
    assert version.state == job_pb2.JOB_STATE_DONE, version.error
    data = live.store.read(version.files.zip.key, max_bytes=1 << 30)
    manifest = check_zip(data, f"sonichaos-{job.job_id}", exact=mode == "EXACT")
    assert manifest["stemMode"] == mode.lower()
    assert (manifest["labels"], manifest["licence"]["tier"], manifest["prompt"]) == ({"reel": "7"}, "sync", None)
    assert sorted(live.store.keys()) == [f"jobs/{job.job_id}/{name}" for name in ("bounce.wav", "v1.json", "v1.zip")]
    rows = live.journal.audit_rows("local", job.job_id).rows
    assert [row.kind for row in rows] == ["bounce", "stems"]
    assert version.files.zip.sha256 in rows[1].body_json


def with_nan() -> bytes:
    """Float samples, one of them NaN."""
    samples = np.zeros((1000, 2), dtype=np.float32)
    samples[77, 1] = np.nan
    return wav(samples, subtype="FLOAT")


BAD = {
    "truncated": GOOD[:-1000],
    "48 kHz": wav(np.zeros((1000, 2)), rate_hz=48_000),
    "empty": b"",
    "no samples": wav(np.zeros((0, 2))),
    "NaN": with_nan(),
    "not a WAV": b"ID3" + bytes(1000),
    "beyond full scale": wav(np.full((1000, 2), 1.5, dtype=np.float32), subtype="FLOAT"),
    "five channels": wav(np.zeros((1000, 5))),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_audio_is_refused_and_leaves_nothing(live: LiveServer, case: str) -> None:
    """As INVALID_AUDIO, before any job exists."""
    assert await refused(live, stream(BAD[case])) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_AUDIO")


async def test_a_damaged_upload_is_refused(live: LiveServer) -> None:
    """Its bytes do not have the caller's digest."""
    assert (await refused(live, stream(GOOD, sha256="0" * 64)))[1] == "INVALID_AUDIO"


async def test_a_large_upload_is_refused_early(live: LiveServer) -> None:
    """As TOO_LARGE, as soon as the limit is exceeded."""
    found = await refused(live, stream(bytes((1 << 20) + 1)))
    assert found == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE")


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [Request(data=b"RIFF")],
        [Request(header=separation_pb2.SeparationHeader()), Request(header=separation_pb2.SeparationHeader())],
        [Request(header=separation_pb2.SeparationHeader()), Request(data=bytes((1 << 20) + 1))],
        [Request(header=separation_pb2.SeparationHeader(stem_mode=9))],
        [Request(header=separation_pb2.SeparationHeader(sha256="XYZ"))],
        [Request(header=separation_pb2.SeparationHeader(request_id="a b"))],
        [Request(header=separation_pb2.SeparationHeader(file_name="x" * 256))],
        [Request(header=separation_pb2.SeparationHeader(labels={"": "v"}))],
        [Request(header=separation_pb2.SeparationHeader(store_key="jobs/other/bounce.wav"))],
        [Request(header=separation_pb2.SeparationHeader(store_key="uploads/../jobs/x"))],
        [Request(header=separation_pb2.SeparationHeader(store_key="uploads/a.wav")), Request(data=b"x")],
    ],
)
async def test_malformed_streams_are_refused(live: LiveServer, messages: list[Request]) -> None:
    """A header that is missing, repeated or wrong, and messages over 1 MiB, are INVALID_FIELD."""
    assert await refused(live, iter(messages)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


async def test_a_file_in_the_store_is_separated(live: LiveServer) -> None:
    """A WAV under uploads/ needs no bytes; one that is not there is FILE_NOT_FOUND."""
    assert (await refused(live, stream(b"", store_key="uploads/gone.wav")))[1] == "FILE_NOT_FOUND"
    live.store.put_bytes("uploads/mix.wav", GOOD, content_type="audio/wav")
    job = (await live.separation.CreateSeparation(stream(b"", store_key="uploads/mix.wav"))).job
    assert (await ended(live, job)).state == job_pb2.JOB_STATE_DONE


async def test_a_retry_finds_its_job(live: LiveServer) -> None:
    """The same request id with the same upload gives the same job and one bounce; with another upload it is refused."""
    with live.device_lock.held():
        first = (await live.separation.CreateSeparation(stream(GOOD, request_id="r-1"))).job
        again = (await live.separation.CreateSeparation(stream(GOOD, request_id="r-1"))).job
        assert again.job_id == first.job_id
        with pytest.raises(aio.AioRpcError) as caught:
            await live.separation.CreateSeparation(stream(wav(music(0.2).T << 8), request_id="r-1"))
        assert reason_of(caught.value) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
        assert len([key for key in live.store.keys("") if key.endswith("bounce.wav")]) == 1
        await live.jobs.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=first.job_id))
    assert (await ended(live, first)).state == job_pb2.JOB_STATE_CANCELLED
    assert not [key for key in live.store.keys("") if key.endswith(".zip")]


async def test_an_expiry_is_the_jobs(live: LiveServer) -> None:
    """One in the past is a field violation, one in the future is stored with the job."""
    assert (await refused(live, stream(GOOD, expire_time=Timestamp(seconds=1))))[1] == "INVALID_FIELD"
    late = Timestamp(seconds=int(time.time()) + 3600)
    with live.device_lock.held():
        job = (await live.separation.CreateSeparation(stream(GOOD, expire_time=late))).job
        await live.jobs.CancelJob(jobs_service_pb2.CancelJobRequest(job_id=job.job_id))
    assert job.versions[0].brief.expire_time == late


def test_a_crash_before_acceptance_leaves_no_file(tmp_path: Path, live: LiveServer) -> None:
    """A process that dies between bounce and job leaves a record, by which the next start removes the bounce."""
    job_id = new_job_id(datetime.now(tz=UTC))
    process = os.fork()
    if process == 0:
        with PendingUploads(tmp_path / "pending", live.journal, live.store).recorded(job_id):
            live.store.put_bytes(f"jobs/{job_id}/bounce.wav", b"RIFF", content_type="audio/wav")
            os._exit(9)
    os.waitpid(process, 0)
    live.store.put_bytes("jobs/j-other/bounce.wav", b"RIFF", content_type="audio/wav")
    assert PendingUploads(tmp_path / "pending", live.journal, live.store).remove_orphans() == 1
    assert list(live.store.keys()) == ["jobs/j-other/bounce.wav"]
    assert list((tmp_path / "pending").iterdir()) == []


async def test_a_changed_bounce_is_data_loss(live: LiveServer) -> None:
    """When the stored bounce no longer matches its digest, the job fails with DATA_LOSS."""
    with live.device_lock.held():
        blocker = (await live.separation.CreateSeparation(stream(GOOD))).job
        job = (await live.separation.CreateSeparation(stream(GOOD, file_name="second"))).job
        live.store.put_bytes(f"jobs/{job.job_id}/bounce.wav", GOOD, content_type="audio/wav")
    assert (await ended(live, blocker)).state == job_pb2.JOB_STATE_DONE
    version = await ended(live, job)
    assert version.state == job_pb2.JOB_STATE_FAILED
    assert version.error.code == grpc.StatusCode.DATA_LOSS.value[0]


def recording(fmt: str, *, rate_hz: int) -> bytes:
    """0.4 s of music by libsndfile, 24 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, music(0.4).T << 8, rate_hz, subtype="PCM_24", format=fmt)
    return buffer.getvalue()


@pytest.mark.parametrize("fmt", ["FLAC", "AIFF", "W64", "RF64"])
async def test_other_lossless_files_make_the_same_bounce(live: LiveServer, fmt: str) -> None:
    """The same samples in another file give the same integers, and the job is named after its file."""
    first = (await live.separation.CreateSeparation(stream(GOOD, file_name="mix.wav"))).job
    job = (await live.separation.CreateSeparation(stream(recording(fmt, rate_hz=RATE_HZ), file_name=f"m.{fmt}"))).job
    assert job.brief.file_name == f"m.{fmt}"
    bounces = [live.store.read(f"jobs/{one.job_id}/bounce.wav", max_bytes=1 << 20) for one in (first, job)]
    samples = [soundfile.read(io.BytesIO(bounce), dtype="int32")[0] for bounce in bounces]
    assert (samples[0] == samples[1]).all()


async def test_another_rate_is_converted_only_on_request(live: LiveServer) -> None:
    """Without `resample` the refusal says how to ask; with it the manifest names the conversion."""
    data = recording("FLAC", rate_hz=48000)
    with pytest.raises(aio.AioRpcError, match=r"48000 Hz; set `resample` \(--resample\)"):
        await live.separation.CreateSeparation(stream(data))
    job = (await live.separation.CreateSeparation(stream(data, resample=True, request_id="r"))).job
    version = await ended(live, job)
    manifest = json.loads(live.store.read(version.files.manifest.key, max_bytes=1 << 20))
    assert manifest["frames"] == -(-round(0.4 * RATE_HZ) * 147 // 160)
    assert [line for line in manifest["processing"] if line.startswith("rate 48000 Hz to 44100 Hz, once")]
    with pytest.raises(aio.AioRpcError) as caught:
        await live.separation.CreateSeparation(stream(data, request_id="r"))
    assert reason_of(caught.value) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
