"""Peaks of stored versions: exact, verified, bounded in memory, and computed once."""

from __future__ import annotations

import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from jobs_service.journal_json import VersionFiles
from jobs_service.waveforms import Waveforms
from servicekit.errors import Cancelled, DataLoss
from servicekit.store.folder_store import FolderStore
from sonichaos.jobs.v1 import jobs_service_pb2
from tests.support.stored_audio import NAMES, folder_store, plain_peaks, store_audio

JOB = "j-01jd8m3k7qv5t9w2x4y6z8a1bc"
FILES = [f"{name}.wav" for name in NAMES]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty store."""
    return folder_store(tmp_path / "store")


def of(waveforms: Waveforms, files: VersionFiles, points: int = 100) -> list[jobs_service_pb2.Waveform]:
    """The waveforms of a call that nobody cancels."""
    return waveforms.of(files, points=points, cancelled=threading.Event())


@pytest.mark.parametrize("kept", ["bounce", "zip", "both"])
def test_the_peaks_are_those_of_the_stored_samples(store: FolderStore, kept: str) -> None:
    """A take has a bounce of its own; where there is only a ZIP, the bounce is read from it, as the stems are."""
    stored = store_audio(store, JOB, frames=70_003)
    files = stored.files
    if kept == "bounce":
        files = VersionFiles(bounce=files.bounce)
    elif kept == "zip":
        files = replace(files, bounce=None)
    found = of(Waveforms(store), files)
    assert [waveform.name for waveform in found] == (["bounce.wav"] if kept == "bounce" else FILES)
    for waveform in found:
        assert waveform.frames == 70_003
        assert (list(waveform.minima), list(waveform.maxima)) == plain_peaks(stored.pcm[waveform.name], 100)
    digests = {entry.name: entry.sha256 for entry in stored.files.zip_entries}
    assert [waveform.sha256 for waveform in found] == [digests[waveform.name] for waveform in found]


def test_the_last_peaks_are_not_computed_again(store: FolderStore) -> None:
    """They are there without their files, for the same number of points, until others have taken their place."""
    bounces = [store_audio(store, JOB, frames=400, stems=False, version=number).files for number in (1, 2, 3)]
    waveforms = Waveforms(store, cache_bytes=2 * (1024 + 100 * 2 * 2))  # of two files: 100 points of 2 bytes, twice
    one, two = of(waveforms, bounces[0]), of(waveforms, bounces[1])
    store.delete_prefix(f"jobs/{JOB}")
    assert (of(waveforms, bounces[0]), of(waveforms, bounces[1])) == (one, two)
    with pytest.raises(DataLoss):
        of(waveforms, bounces[0], points=99)
    store_audio(store, JOB, frames=400, stems=False, version=3)
    of(waveforms, bounces[2])
    assert of(waveforms, bounces[1]) == two
    with pytest.raises(DataLoss):
        of(waveforms, bounces[0])


def test_waveforms_of_few_points_do_not_fill_the_memory(store: FolderStore) -> None:
    """Each takes room besides its points, also one of a single point, which has 4 bytes."""
    files = store_audio(store, JOB, frames=400, stems=False).files
    waveforms = Waveforms(store, cache_bytes=4096)
    for points in range(1, 9):
        of(waveforms, files, points=points)
    store.delete_prefix(f"jobs/{JOB}")
    assert len(of(waveforms, files, points=8)[0].minima) == 8
    for points in range(1, 6):
        with pytest.raises(DataLoss):
            of(waveforms, files, points=points)


@pytest.mark.parametrize("place", [0, 30, 700, -1])
def test_a_damaged_file_has_no_peaks(store: FolderStore, tmp_path: Path, place: int) -> None:
    """One changed bit anywhere, header or samples, is DIGEST_MISMATCH; so are missing and additional bytes."""
    files = store_audio(store, JOB, frames=500, stems=False).files
    assert files.bounce is not None
    path = tmp_path / "store" / files.bounce.key
    data = path.read_bytes()
    changed = bytearray(data)
    changed[place] ^= 1
    for damaged in (bytes(changed), data[:place], data + b"\0", b""):
        path.write_bytes(damaged)
        with pytest.raises(DataLoss) as lost:
            of(Waveforms(store), files)
        assert lost.value.reason == "DIGEST_MISMATCH"


def test_a_cancelled_call_stops(store: FolderStore) -> None:
    """Before the next block of samples; nothing is kept of it."""
    files = store_audio(store, JOB, frames=500, stems=False).files
    waveforms, cancelled = Waveforms(store), threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        waveforms.of(files, points=10, cancelled=cancelled)
    cancelled.clear()
    assert len(waveforms.of(files, points=10, cancelled=cancelled)) == 1


def test_a_long_file_is_read_in_parts(store: FolderStore) -> None:
    """40 s have 10.6 MB as a file and 14 MB as integers; what is in memory at once is 4 MB at most."""
    files = store_audio(store, JOB, frames=40 * 44100, stems=False).files
    waveforms = Waveforms(store)
    tracemalloc.start()
    try:
        of(waveforms, files, points=8192)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
