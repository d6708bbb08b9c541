"""Working storage for the audio of a separation: memory while there is some, else unnamed files.

Short takes stay in memory, so that their stems are made without a file; long ones cost disk instead of memory. The samples are the
same either way. An unnamed file disappears with its process, however that ends.

Letters: ``R`` rows (channels, or stems times channels), ``C`` channels (2), ``T`` samples of the take, ``n`` of a block.
"""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from servicekit.audio.bext import WavFacts
from servicekit.audio.pcm24 import BYTES_PER_FRAME, Pcm24, pack_pcm24, unpack_pcm24
from servicekit.audio.wav import WavFile
from servicekit.errors import ResourceExhausted

DEFAULT_MEMORY_BYTES = 768 << 20
_FLOAT32_BYTES = 4

Floats = NDArray[np.float32]


class ScratchFolder:
    """Scratch of all separations of a process: up to ``memory_bytes`` of samples in memory, the rest in files in ``folder``.

    No other process may use the folder.
    """

    def __init__(self, folder: Path, *, memory_bytes: int = DEFAULT_MEMORY_BYTES) -> None:
        self.folder = folder
        self._free_bytes = memory_bytes
        self._lock = threading.Lock()

    @property
    def free_bytes(self) -> int:
        """Memory that is not in use."""
        with self._lock:
            return self._free_bytes

    def remove_leftovers(self) -> int:
        """Remove files that a killed process left; returns their number. Call it before any other use."""
        removed = 0
        for path in self.folder.iterdir():
            with suppress(IsADirectoryError, PermissionError):
                path.unlink()
                removed += 1
        return removed

    @contextmanager
    def open(self) -> Iterator[Scratch]:
        """Scratch for one separation, freed at the end of the block whatever happens in it."""
        with ExitStack() as stack:
            yield Scratch(self, stack)

    @contextmanager
    def memory(self, size_bytes: int) -> Iterator[bool]:
        """Reserve memory for the block; yields False, and reserves nothing, where too little is free."""
        with self._lock:
            granted = size_bytes <= self._free_bytes
            self._free_bytes -= size_bytes if granted else 0
        try:
            yield granted
        finally:
            with self._lock:
                self._free_bytes += size_bytes if granted else 0


@contextmanager
def disk_full_errors(folder: Path) -> Iterator[None]:
    """Raise ResourceExhausted DISK_FULL where the block runs out of space in ``folder``."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise
        raise ResourceExhausted(
            f"no space left in {folder.name} for audio; free some there and try again",
            reason="DISK_FULL",
            metadata={"path": folder.name},
        ) from error


class Scratch:
    """Allocates the buffers of one separation. Made by `ScratchFolder.open`."""

    def __init__(self, folder: ScratchFolder, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def pcm(self, frames: int) -> PcmBuffer:
        """A buffer for ``(C, frames)`` 24-bit integers."""
        if self._granted(frames * BYTES_PER_FRAME):
            return _MemoryPcm(frames)
        return _FilePcm(self._file(), frames)

    def floats(self, rows: int, frames: int) -> FloatBuffer:
        """A buffer for ``(rows, frames)`` float32."""
        if self._granted(rows * frames * _FLOAT32_BYTES):
            return _MemoryFloats(np.empty((rows, frames), dtype=np.float32))
        return _FileFloats(self._file(), rows, frames)

    def _granted(self, size_bytes: int) -> bool:
        return self._stack.enter_context(self._folder.memory(size_bytes))

    def _file(self) -> _File:
        with disk_full_errors(self._folder.folder):
            file = tempfile.TemporaryFile(dir=self._folder.folder, buffering=0)  # noqa: SIM115  the stack closes it
        self._stack.enter_context(file)
        return _File(file, self._folder.folder)


class PcmBuffer(ABC):
    """``(C, T)`` 24-bit integers, written once in order, then read in any order."""

    frames: int

    @abstractmethod
    def append(self, pcm: Pcm24) -> None:
        """Append the next ``(C, n)``. Raises ResourceExhausted DISK_FULL."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Pcm24:
        """``(C, stop - start)``, read-only."""

    @abstractmethod
    def packed(self, start: int, stop: int) -> bytes:
        """The same samples as the bytes of a WAV."""


class FloatBuffer(ABC):
    """``(R, T)`` float32, written once in order, then read in any order."""

    rows: int
    frames: int

    @abstractmethod
    def append(self, samples: Floats) -> None:
        """Append the next ``(R, n)``. Raises ResourceExhausted DISK_FULL."""

    @abstractmethod
    def read(self, start: int, stop: int) -> Floats:
        """``(R, stop - start)``, read-only."""


@dataclass(frozen=True, eq=False)
class BufferWav(WavFile):
    """A WAV file over a buffer that is complete."""

    samples: PcmBuffer
    facts: WavFacts

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return self.samples.frames

    def read(self, start: int, stop: int) -> Pcm24:
        """See `WavFile.read`."""
        return self.samples.read(start, stop)

    def packed(self, start: int, stop: int) -> bytes:
        """See `WavFile.packed`."""
        return self.samples.packed(start, stop)


class _MemoryPcm(PcmBuffer):
    """In memory, packed as in a WAV: samples are packed once, however often the WAV is read."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self._data = bytearray(frames * BYTES_PER_FRAME)
        self._written = 0

    def append(self, pcm: Pcm24) -> None:
        for data in pack_pcm24(pcm):
            self._data[self._written : self._written + len(data)] = data
            self._written += len(data)

    def read(self, start: int, stop: int) -> Pcm24:
        return unpack_pcm24(memoryview(self._data)[start * BYTES_PER_FRAME : stop * BYTES_PER_FRAME])

    def packed(self, start: int, stop: int) -> bytes:
        return bytes(memoryview(self._data)[start * BYTES_PER_FRAME : stop * BYTES_PER_FRAME])


class _FilePcm(PcmBuffer):
    """In a file, packed as in a WAV."""

    def __init__(self, file: _File, frames: int) -> None:
        self.frames = frames
        self._file = file

    def append(self, pcm: Pcm24) -> None:
        for data in pack_pcm24(pcm):
            self._file.append(data)

    def read(self, start: int, stop: int) -> Pcm24:
        return unpack_pcm24(self.packed(start, stop))

    def packed(self, start: int, stop: int) -> bytes:
        return self._file.read(start * BYTES_PER_FRAME, stop * BYTES_PER_FRAME)


class _MemoryFloats(FloatBuffer):
    """In memory."""

    def __init__(self, samples: Floats) -> None:
        self.rows, self.frames = samples.shape
        self._samples = samples
        self._written = 0

    def append(self, samples: Floats) -> None:
        self._samples[:, self._written : self._written + samples.shape[1]] = samples
        self._written += samples.shape[1]

    def read(self, start: int, stop: int) -> Floats:
        return self._samples[:, start:stop]


class _FileFloats(FloatBuffer):
    """In a file, one frame after another."""

    def __init__(self, file: _File, rows: int, frames: int) -> None:
        self.rows, self.frames = rows, frames
        self._file = file

    def append(self, samples: Floats) -> None:
        self._file.append(np.ascontiguousarray(samples.T).tobytes())

    def read(self, start: int, stop: int) -> Floats:
        frame_bytes = self.rows * _FLOAT32_BYTES
        data = self._file.read(start * frame_bytes, stop * frame_bytes)
        return np.ascontiguousarray(np.frombuffer(data, dtype=np.float32).reshape(-1, self.rows).T)


class _File:
    """Bytes on disk, appended, then read by position."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        self._file = file
        self._folder = folder

    def append(self, data: bytes) -> None:
        rest = memoryview(data)
        with disk_full_errors(self._folder):
            while rest:
                rest = rest[os.write(self._file.fileno(), rest) :]

    def read(self, start: int, stop: int) -> bytes:
        data = os.pread(self._file.fileno(), stop - start, start)
        if len(data) < stop - start:
            raise ValueError(f"bytes {start} to {stop} must be in the file, which ends after {start + len(data)}")
        return data
