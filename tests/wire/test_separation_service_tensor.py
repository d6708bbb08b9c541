"""SeparateTensor over a real server: a bounce lent through the Unix socket becomes a ZIP in the store."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc import aio
from numpy.typing import NDArray

from separation_service.engine import Separator, load_separator
from separation_service.scratch import DEFAULT_MEMORY_BYTES, PcmBuffer
from separation_service.timing.eta import Load
from servicekit.audio.pcm24 import from_pcm24
from servicekit.journal import Stage
from servicekit.store.object_store import ObjectWriter, unavailable
from sonichaos.jobs.v1 import brief_pb2, job_pb2
from sonichaos.separation.v1 import separation_pb2
from tests.support.pair import eventually
from tests.support.separation_pipeline import JOB_ID, music
from tests.support.separation_server import RATE_HZ, LiveServer, check_zip, reason_of, serving, take_of
from tests.unit.separation.test_scratch import open_files

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def starter() -> Separator:
    """The weights in the package, warm."""
    separator = load_separator("starter", repo=None, device="cpu", threads=1)
    separator.warm()
    return separator


@pytest.fixture
async def live(tmp_path: Path, starter: Separator) -> AsyncIterator[LiveServer]:
    """A service of its own for each test."""
    async with serving(tmp_path, starter) as live:
        yield live


async def reason_of_call(live: LiveServer, request: separation_pb2.SeparateTensorRequest) -> grpc.StatusCode | str:
    """The reason with which a call fails."""
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in live.separation.SeparateTensor(request):
            pass
    return reason_of(caught.value)[1]


async def test_a_lent_bounce_becomes_a_zip(live: LiveServer) -> None:
    """Progress of every stage, then the result; the ZIP has the bounce's bytes and stems that sum to it; the loan is returned."""
    pcm = music(1.0)
    request = take_of(pcm, live.store)
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id = loan.lease_id
        messages = [message async for message in live.separation.SeparateTensor(request)]
    updates = [message.progress for message in messages[:-1]]
    result = messages[-1].result
    order = [
        stage
        for index, stage in enumerate(update.stage for update in updates)
        if index == 0 or updates[index - 1].stage != stage
    ]
    assert order == [job_pb2.STAGE_RECEIVE, job_pb2.STAGE_SEPARATE, job_pb2.STAGE_PACKAGE, job_pb2.STAGE_STORE]
    separating = [update for update in updates if update.stage == job_pb2.STAGE_SEPARATE]
    assert [update.steps_done for update in separating] == list(range(separating[-1].steps_total + 1)), (
        "a step was not published"
    )
    assert all(update.HasField("estimated_time_left") for update in separating[1:])
    data = live.store.read(result.zip.key, max_bytes=1 << 30)
    assert hashlib.sha256(data).hexdigest() == result.zip.sha256
    manifest = check_zip(data, f"sonichaos-{JOB_ID}", exact=True)
    assert manifest["stems"]["separator"] == {"name": "starter", "weightsSha256": result.weights_sha256}
    entry = result.zip_entries[0]
    bounce = data[entry.offset_bytes : entry.offset_bytes + entry.size_bytes]
    assert bounce == live.store.read(request.bounce.key, max_bytes=1 << 30)
    text = result.manifest_json.encode()
    assert (result.manifest.size_bytes, result.manifest.sha256) == (len(text), hashlib.sha256(text).hexdigest())
    assert live.store.stat(result.manifest.key) is None  # the owner stores it when it commits the result
    assert [timing.stage for timing in result.timings] == order
    assert live.borrowings.active_loans == 0
    # The call counts until its handler has returned, which may be after its last message.
    await asyncio.to_thread(eventually, lambda: not live.calls.active, "the call has ended")


async def test_the_lease_of_a_refused_call_ends_with_it(live: LiveServer) -> None:
    """A malformed call frees the loan that it names, before its lender withdraws it."""
    pcm = music(0.5)
    request = take_of(pcm, live.store)
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id, request.manifest_json = loan.lease_id, "{"
        assert await reason_of_call(live, request) == "INVALID_FIELD"
        await asyncio.to_thread(eventually, lambda: not live.borrowings.active_loans, "the loan is free")


async def zip_digest(live: LiveServer, pcm: NDArray[np.int32], *, timeout_s: float | None = None) -> str:
    """Lend and separate; returns the ZIP's SHA-256."""
    request = take_of(pcm, live.store)
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id = loan.lease_id
        messages = [m async for m in live.separation.SeparateTensor(request, timeout=timeout_s)]
    return str(messages[-1].result.zip.sha256)


async def test_the_same_bounce_gives_the_same_bytes(tmp_path: Path, live: LiveServer, starter: Separator) -> None:
    """Separated again, beside other calls, or by a service without memory for samples, a take gives the same ZIP."""
    pcm = music(0.9)
    digests = {await zip_digest(live, pcm)} | set(await asyncio.gather(zip_digest(live, pcm), zip_digest(live, pcm)))
    (tmp_path / "other").mkdir(mode=0o700)
    async with serving(tmp_path / "other", starter, memory_bytes=0) as spooling:
        digests.add(await zip_digest(spooling, pcm))
        assert not open_files(spooling.folder / "spool")
    assert len(digests) == 1


async def test_a_deadline_that_cannot_be_met_is_refused(live: LiveServer) -> None:
    """Where the last separation was too slow for a call's deadline, the call is refused at once."""
    pcm = music(0.3)
    for stage in (Stage.SEPARATE, Stage.PACKAGE, Stage.STORE):
        live.estimator.record(stage, Load(audio_s=0.3, steps=1), work_s=100.0)
    with pytest.raises(aio.AioRpcError) as caught:
        await zip_digest(live, pcm, timeout_s=PATIENCE_S)
    assert reason_of(caught.value) == (grpc.StatusCode.FAILED_PRECONDITION, "EXPIRY_TOO_SOON")
    await zip_digest(live, pcm)
    assert await zip_digest(live, pcm, timeout_s=PATIENCE_S)


async def test_closing_the_call_stops_the_work(live: LiveServer) -> None:
    """A call that is cancelled during its separation frees the device and leaves neither a ZIP nor a changed manifest."""
    pcm = music(12.0)
    request = take_of(pcm, live.store)
    before = set(live.store.keys())
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id = loan.lease_id
        call = live.separation.SeparateTensor(request)
        async for message in call:
            if message.progress.stage == job_pb2.STAGE_SEPARATE and message.progress.steps_done:
                done = message.progress
                break
        call.cancel()
    assert done.steps_done < done.steps_total
    assert await asyncio.to_thread(live.calls.drain, PATIENCE_S)
    with live.device_lock.held():
        assert set(live.store.keys()) == before
    assert live.borrowings.active_loans == 0
    assert live.scratch.free_bytes == DEFAULT_MEMORY_BYTES


async def test_a_waiting_call_reports_step_0_and_can_be_cancelled(live: LiveServer) -> None:
    """While another holds the device; the cancel ends the wait."""
    pcm = music(0.5)
    request = take_of(pcm, live.store)
    with live.device_lock.held(), live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id = loan.lease_id
        call = live.separation.SeparateTensor(request)
        async for message in call:
            if message.progress.stage == job_pb2.STAGE_SEPARATE:
                break
        assert message.progress.steps_done == 0
        call.cancel()
        assert await asyncio.to_thread(live.calls.drain, PATIENCE_S)


async def test_calls_over_the_limit_are_refused(tmp_path: Path, starter: Separator) -> None:
    """At once, with a retry delay."""
    async with serving(tmp_path, starter, calls_limit=1) as live:
        pcm = music(0.5)
        request = take_of(pcm, live.store)
        with live.device_lock.held(), live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
            request.lease_id = loan.lease_id
            first = live.separation.SeparateTensor(request)
            await first.read()
            assert await reason_of_call(live, request) == "QUEUE_FULL"
            first.cancel()


async def test_loans_that_do_not_match_their_take_are_refused(live: LiveServer) -> None:
    """An expired lease, a manifest of another version, another length, and samples of another bounce."""
    pcm = music(0.5)
    good = take_of(pcm, live.store)
    good.lease_id = "0" * 32
    assert await reason_of_call(live, good) == "LEASE_LOST"
    for change, reason in (
        ({"version": 2}, "INVALID_TENSOR"),
        ({"manifest_json": "{}"}, "INVALID_FIELD"),
        ({"stem_mode": 0}, "INVALID_FIELD"),
    ):
        request = separation_pb2.SeparateTensorRequest()
        request.CopyFrom(good)
        for field, value in change.items():
            setattr(request, field, value)
        assert await reason_of_call(live, request) == reason, change
    for lent, reason in ((pcm[:, :-1], "INVALID_TENSOR"), (pcm + 1, "DIGEST_MISMATCH")):
        with live.lender.lend(from_pcm24(lent), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
            good.lease_id = loan.lease_id
            assert await reason_of_call(live, good) == reason
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        good.lease_id, good.bounce.sha256 = loan.lease_id, "é" * 64
        assert await reason_of_call(live, good) == "DIGEST_MISMATCH"
    assert live.borrowings.active_loans == 0


async def test_a_refused_call_touches_no_file(tmp_path: Path, starter: Separator) -> None:
    """Calls that name a finished job and are malformed, have no loan, or have another take's samples leave its files alone."""
    pcm = music(0.5)
    async with serving(tmp_path, starter) as live:
        separate = take_of(pcm, live.store)
        for name in ("v1.zip", "v1.json", "v1.mid", "v2.wav", "v2.zip", "v2.json"):
            live.store.put_bytes(f"jobs/{JOB_ID}/{name}", name.encode(), content_type="application/octet-stream")
        before = {key: live.store.read(key, max_bytes=1 << 30) for key in live.store.keys("jobs")}
        names = ("bounce.wav", "drums.wav", "bass.wav", "vocals.wav", "other.wav", "manifest.json")
        replace = separation_pb2.ReplaceStemRequest(
            lease_id="x",
            job_id=JOB_ID,
            version=2,
            stem=brief_pb2.STEM_VOCALS,
            manifest_json=separate.manifest_json,
            mix=separate.bounce,
            base=separation_pb2.BaseVersion(
                version=1,
                zip=job_pb2.StoredFile(key=f"jobs/{JOB_ID}/v1.zip"),
                zip_entries=[job_pb2.ZipEntry(name=name) for name in names],
            ),
            grid=separation_pb2.Grid(
                seconds=0.5, beat_seconds=[0.0], downbeat_seconds=[0.0], subdivision_seconds=[0.0]
            ),
        )
        for manifest in ("{}", separate.manifest_json):
            separate.lease_id, separate.manifest_json, replace.manifest_json = "x", manifest, manifest
            for call in (live.separation.SeparateTensor(separate), live.separation.ReplaceStem(replace)):
                with pytest.raises(aio.AioRpcError) as caught:
                    _ = [message async for message in call]
                assert reason_of(caught.value)[1] in {"INVALID_FIELD", "LEASE_LOST", "INVALID_TENSOR"}
        with live.lender.lend(from_pcm24(pcm + 1), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
            separate.lease_id = loan.lease_id
            assert await reason_of_call(live, separate) == "DIGEST_MISMATCH"
        store = live.store
    # The server has ended, and with it whatever a refused call had left to undo.
    assert {key: store.read(key, max_bytes=1 << 30) for key in store.keys("jobs")} == before


async def test_a_store_that_fails_leaves_no_part_of_the_zip(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store fails before the ZIP is complete, nothing of it stays, and the error is STORE_UNAVAILABLE."""
    pcm = music(0.3)
    request = take_of(pcm, live.store)
    before = set(live.store.keys())

    whole = live.store.writer

    @contextmanager
    def down(key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        with whole(key, content_type=content_type, fallback=fallback) as writer:
            yield writer
            raise unavailable("put", f"the end of {key}", retry_after_s=1.0)

    monkeypatch.setattr(live.store, "writer", down)
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id = loan.lease_id
        assert await reason_of_call(live, request) == "STORE_UNAVAILABLE"
    assert set(live.store.keys()) == before


async def test_a_slow_cancelled_call_removes_no_file_of_the_next_one(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its caller died while the ZIP was being stored and called again: the first removes its own ZIP, the second's stays."""
    pcm = music(0.3)
    request = take_of(pcm, live.store)
    storing, go_on = threading.Event(), threading.Event()
    whole = live.store.writer

    @contextmanager
    def slow(key: str, *, content_type: str, fallback: str = "") -> Iterator[ObjectWriter]:
        with whole(key, content_type=content_type, fallback=fallback) as writer:
            yield writer
            if not storing.is_set():
                storing.set()
                go_on.wait(PATIENCE_S)

    monkeypatch.setattr(live.store, "writer", slow)
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id, request.attempt = loan.lease_id, 1
        first = live.separation.SeparateTensor(request)
        async for message in first:
            if message.progress.stage == job_pb2.STAGE_STORE:
                break
        await asyncio.to_thread(storing.wait, PATIENCE_S)
        first.cancel()
    with live.lender.lend(from_pcm24(pcm), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
        request.lease_id, request.attempt = loan.lease_id, 2
        messages = [message async for message in live.separation.SeparateTensor(request)]
    go_on.set()
    kept = messages[-1].result.zip.key
    assert await asyncio.to_thread(live.calls.drain, PATIENCE_S)

    def zips() -> list[str]:
        return [key for key in live.store.keys("jobs") if key.endswith(".zip")]

    await asyncio.to_thread(eventually, lambda: zips() == [kept], "only the second call's ZIP is left")


async def test_a_failed_call_keeps_no_samples(live: LiveServer) -> None:
    """Its error refers to the frames of its work; nothing of them is left for the garbage collector, which may come late."""
    pcm = music(0.3)
    request = take_of(pcm, live.store)
    gc.collect()
    gc.disable()
    try:
        with live.lender.lend(from_pcm24(pcm // 2), sample_rate_hz=RATE_HZ, job_id=JOB_ID) as loan:
            request.lease_id = loan.lease_id
            assert await reason_of_call(live, request) == "DIGEST_MISMATCH"
        assert await asyncio.to_thread(live.calls.drain, PATIENCE_S)

        def buffers() -> list[object]:
            # Not isinstance, which asks every object of the process for its class.
            return [found for found in gc.get_objects() if type(found) is PcmBuffer]

        await asyncio.to_thread(eventually, lambda: not buffers(), "the samples are freed")
    finally:
        gc.enable()


async def test_draining_refuses_new_work(live: LiveServer) -> None:
    """A call is refused as DRAINING."""
    await live.server.drain()
    assert await reason_of_call(live, take_of(music(0.1), live.store)) == "DRAINING"


async def test_model_info_describes_the_separator(live: LiveServer) -> None:
    """Name, digest, licence and sources."""
    info = await live.separation.GetModelInfo(separation_pb2.GetModelInfoRequest())
    assert (info.name, info.models, info.licence) == ("starter", 1, "Apache-2.0")
    assert set(info.sources) == {"drums", "bass", "vocals", "other"}
    assert len(info.weights_sha256) == 64
