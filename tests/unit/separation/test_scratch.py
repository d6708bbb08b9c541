"""Scratch: the same samples in memory and on disk, memory that is freed, and files that no folder lists."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from separation_service.scratch import BufferWav, ScratchFolder
from servicekit.audio.pcm24 import MAX_SAMPLE, MIN_SAMPLE
from servicekit.audio.wav import Wav
from servicekit.errors import ResourceExhausted
from tests.unit.servicekit.test_audio_wav import FACTS

IN_MEMORY, ON_DISK = 1 << 30, 0


def open_files(folder: Path) -> list[str]:
    """Files of the folder that this process has open, named or not."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.append(str(link.readlink()))
    return [target for target in found if target.startswith(str(folder))]


@given(
    cuts=st.lists(st.integers(1, 70_000), min_size=1, max_size=5),
    reads=st.lists(st.tuples(st.integers(0, 90_000), st.integers(0, 90_000)), min_size=1, max_size=4),
    memory_bytes=st.sampled_from([IN_MEMORY, ON_DISK]),
)
@settings(max_examples=30, deadline=None)
def test_appended_samples_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], reads: list[tuple[int, int]], memory_bytes: int
) -> None:
    """However they are appended and in whatever order they are read, integers and floats, in memory and on disk."""
    rng = np.random.default_rng(sum(cuts))
    frames = sum(cuts)
    pcm = rng.integers(MIN_SAMPLE, MAX_SAMPLE, (2, frames), dtype=np.int32, endpoint=True)
    floats = rng.standard_normal((8, frames)).astype(np.float32)
    with ScratchFolder(tmp_path_factory.mktemp("scratch"), memory_bytes=memory_bytes).open() as scratch:
        integers, reals = scratch.pcm(frames), scratch.floats(8, frames)
        for start, stop in zip(np.cumsum([0, *cuts[:-1]]), np.cumsum(cuts), strict=True):
            integers.append(pcm[:, start:stop])
            reals.append(floats[:, start:stop])
        for one, other in reads:
            start, stop = min(one, other, frames), min(max(one, other), frames)
            assert (integers.read(start, stop) == pcm[:, start:stop]).all()
            assert (reals.read(start, stop) == floats[:, start:stop]).all()
        wav = BufferWav(integers, FACTS)
        assert b"".join(wav.chunks()) == b"".join(Wav(pcm, FACTS).chunks())


def test_files_are_used_only_when_memory_is_full(tmp_path: Path) -> None:
    """A buffer without memory goes to a file that no folder lists; memory and files are freed even after an error."""
    folder = ScratchFolder(tmp_path, memory_bytes=800)
    with pytest.raises(KeyError), folder.open() as scratch:
        scratch.pcm(100)
        assert (folder.free_bytes, open_files(tmp_path)) == (200, [])
        scratch.pcm(100)
        scratch.floats(1, 50)
        assert folder.free_bytes == 0
        assert len(open_files(tmp_path)) == 1
        assert list(tmp_path.iterdir()) == []
        raise KeyError
    assert (folder.free_bytes, open_files(tmp_path)) == (800, [])


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Limit the size of this process's files, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_raises_disk_full(tmp_path: Path) -> None:
    """Where a file cannot grow; no file stays open."""
    folder = ScratchFolder(tmp_path, memory_bytes=ON_DISK)
    with files_of_at_most(100_000), pytest.raises(ResourceExhausted) as caught, folder.open() as scratch:
        track = scratch.pcm(100_000)
        for _ in range(10):
            track.append(np.zeros((2, 10_000), dtype=np.int32))
    assert caught.value.reason == "DISK_FULL"
    assert open_files(tmp_path) == []


def test_files_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    """At the start, no separation uses the named files in the folder."""
    (tmp_path / "tmpabc").write_bytes(b"left")
    assert ScratchFolder(tmp_path).remove_leftovers() == 1
    assert list(tmp_path.iterdir()) == []
