"""GetWaveforms on a real server over a real journal and store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import pytest

from jobs_service import JobDeletions
from servicekit.journal import Checkpoint, OwningService
from sonichaos.jobs.v1 import jobs_service_pb2
from tests.support.callers import as_tenant
from tests.support.jobs_server import Wire, refusal, serving
from tests.support.journal_rows import new_version, open_journal
from tests.support.stored_audio import NAMES, StoredAudio, plain_peaks, store_audio


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """A running service."""
    with open_journal(tmp_path) as journal:
        async with serving(tmp_path, journal) as running:
            yield running


def finish(wire: Wire, *, frames: int = 3001, stems: bool = True) -> tuple[str, StoredAudio]:
    """End the version that waits longest, with audio of noise."""
    claim = wire.claim()
    stored = store_audio(wire.store, claim.version.job_id, frames=frames, stems=stems, version=claim.version.number)
    wire.journal.checkpoint(claim, Checkpoint(files=stored.files.json()))
    wire.journal.finish(claim)
    return claim.version.job_id, stored


def asking(wire: Wire, job_id: str, *, metadata: Any = (), **fields: Any) -> Any:
    """A call."""
    return wire.stub.GetWaveforms(jobs_service_pb2.GetWaveformsRequest(job_id=job_id, **fields), metadata=metadata)


async def test_a_version_has_the_peaks_of_its_files(wire: Wire) -> None:
    """The bounce first, then the stems, with their digests; 1024 points unless the caller asks for another number."""
    wire.accept()
    job_id, stored = finish(wire)
    answer = await asking(wire, job_id)
    assert answer.version == 1
    assert [waveform.name for waveform in answer.waveforms] == [f"{name}.wav" for name in NAMES]
    for waveform in answer.waveforms:
        assert (list(waveform.minima), list(waveform.maxima)) == plain_peaks(stored.pcm[waveform.name], 1024)
        assert waveform.frames == 3001
    few = await asking(wire, job_id, points=7)
    assert [len(waveform.minima) for waveform in few.waveforms] == [7] * 5
    all_frames = await asking(wire, job_id, points=8192)
    assert [len(waveform.maxima) for waveform in all_frames.waveforms] == [3001] * 5
    assert (await refusal(asking(wire, job_id, points=8193)))[:2] == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELD",
    )


async def test_version_0_is_the_newest_that_has_audio(wire: Wire) -> None:
    """A later version without files is skipped; asked for by number it has no file, and a number beyond is no version."""
    job_id = wire.accept()
    nothing = {"job_id": job_id, "version": "1", "kind": "bounce"}
    assert await refusal(asking(wire, job_id)) == (grpc.StatusCode.NOT_FOUND, "FILE_NOT_FOUND", nothing)
    finish(wire)
    wire.journal.accept_version(new_version(job_id), limit=9)
    assert (await asking(wire, job_id)).version == 1
    assert (await refusal(asking(wire, job_id, version=2)))[1] == "FILE_NOT_FOUND"
    assert (await refusal(asking(wire, job_id, version=3)))[1] == "VERSION_NOT_FOUND"
    _, second = finish(wire, stems=False)
    answer = await asking(wire, job_id, points=9)
    assert (answer.version, len(answer.waveforms)) == (2, 1)
    assert list(answer.waveforms[0].maxima) == plain_peaks(second.pcm["bounce.wav"], 9)[1]
    assert len((await asking(wire, job_id, version=1)).waveforms) == 5


async def test_a_damaged_file_is_data_loss(wire: Wire, tmp_path: Path) -> None:
    """Of the ZIP too. What was computed before the damage is still there."""
    wire.accept()
    job_id, stored = finish(wire)
    before = await asking(wire, job_id, points=10)
    zipped = stored.files.zip
    assert zipped is not None
    path = tmp_path / "store" / zipped.key
    data = bytearray(path.read_bytes())
    data[stored.files.zip_entries[3].offset_bytes + 2000] ^= 1
    path.write_bytes(data)
    code, reason, metadata = await refusal(asking(wire, job_id, points=11))
    assert (code, reason, metadata["key"]) == (grpc.StatusCode.DATA_LOSS, "DIGEST_MISMATCH", zipped.key)
    assert await asking(wire, job_id, points=10) == before


async def test_other_tenants_have_no_waveforms(wire: Wire) -> None:
    """Also where the peaks are in memory; and a job of the other service is not found."""
    wire.accept()
    job_id, _ = finish(wire)
    await asking(wire, job_id)
    foreign = wire.accept(owner=OwningService.SEPARATION)
    for call in (asking(wire, job_id, metadata=as_tenant("other")), asking(wire, foreign)):
        assert (await refusal(call))[:2] == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def test_a_draining_service_still_has_waveforms(wire: Wire) -> None:
    """They make no work."""
    wire.accept()
    job_id, _ = finish(wire)
    await wire.rpc.drain()
    assert len((await asking(wire, job_id)).waveforms) == 5


async def test_files_that_are_deleted_meanwhile_are_no_data_loss(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job is deleted between the look into the journal and the first read."""
    wire.accept()
    job_id, _ = finish(wire)
    opened = wire.store.open

    @contextmanager
    def delete_and_open(key: str, *, offset: int = 0, length: int | None = None) -> Iterator[BinaryIO]:
        JobDeletions(wire.journal, OwningService.RENDER, wire.store).delete("local", job_id)
        with opened(key, offset=offset, length=length) as source:
            yield source

    monkeypatch.setattr(wire.store, "open", delete_and_open)
    assert (await refusal(asking(wire, job_id)))[:2] == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
