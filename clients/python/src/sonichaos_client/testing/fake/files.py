"""The files of fake versions, in memory: WAVs, ZIPs, and what is stored under which key."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from sonichaos.jobs.v1 import job_pb2
from sonichaos_client.testing.fake.loudness import Level

FRAME_BYTES = 6
_RATE_HZ = 44100
_ORIGINATOR = "SONICHAOS AI Studio"
_REFERENCE_LETTERS = {"bounce": "m", "drums": "d", "bass": "b", "vocals": "v", "other": "o"}
_BEXT = struct.Struct("<256s32s32s10s8sQH64s5h180s")
_CODING_HISTORY = f"A=PCM,F=44100,W=24,M=stereo,T={_ORIGINATOR}\r\n".encode()
_UNKNOWN = 0x7FFF
_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_FIRST_DAY = 0x0021
_ZIP_VERSION = 20
_MADE_ON_UNIX = 3 << 8 | _ZIP_VERSION
_REGULAR_FILE_0644 = 0o100644 << 16


class Content:
    """Bytes in parts that other files may share, with their SHA-256."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts
        self.size_bytes = sum(map(len, parts))
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        self.sha256 = digest.hexdigest()

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The bytes, in order."""
        return self._parts

    def read(self, first: int, end: int) -> bytes:
        """Bytes ``first`` to ``end``, exclusive."""
        found, start = [], 0
        for part in self._parts:
            found.append(part[max(first - start, 0) : max(end - start, 0)])
            start += len(part)
        return b"".join(found)

    def stored_as(self, key: str) -> job_pb2.StoredFile:
        """As a protobuf message."""
        return job_pb2.StoredFile(key=key, size_bytes=self.size_bytes, sha256=self.sha256)


@dataclass(frozen=True)
class StoredContent:
    """A file in the store. ``modified`` is when it was stored."""

    content: Content
    content_type: str
    modified: datetime


class FileStore:
    """The files of all jobs by their keys."""

    def __init__(self) -> None:
        self._files: dict[str, StoredContent] = {}

    def put(self, key: str, content: Content, content_type: str, modified: datetime) -> job_pb2.StoredFile:
        """Store a file."""
        self._files[key] = StoredContent(content, content_type, modified)
        return content.stored_as(key)

    def get(self, key: str) -> StoredContent | None:
        """A file; None if there is none."""
        return self._files.get(key)

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files."""
        for key in keys:
            self._files.pop(key, None)

    def remove_job(self, job_id: str) -> int:
        """Remove the files of a job; returns how many there were."""
        keys = [key for key in self._files if key.startswith(f"jobs/{job_id}/")]
        for key in keys:
            del self._files[key]
        return len(keys)

    def clear(self) -> None:
        """Remove everything."""
        self._files.clear()


@dataclass(frozen=True, kw_only=True)
class WavFacts:
    """What the header of a WAV states. ``name`` is "bounce" or a stem, ``source`` "generated" or "separated"."""

    job_id: str
    version: int
    name: str
    created_at: datetime
    source: str


def wav(facts: WavFacts, level: Level, samples: Sequence[bytes]) -> Content:
    """A 24-bit stereo WAV with ``bext`` and ``LIST/INFO``. ``samples`` are parts as :func:`pack` returns them."""
    comment = f"{facts.source.capitalize()} by AI ({_ORIGINATOR})"
    fmt = struct.pack("<HHIIHH", 1, 2, _RATE_HZ, _RATE_HZ * FRAME_BYTES, FRAME_BYTES, 24)
    info = b"INFO" + _text(b"ICMT", comment) + _text(b"ISFT", _ORIGINATOR)
    chunks = _chunk(b"fmt ", fmt) + _chunk(b"bext", _bext(facts, level, comment)) + _chunk(b"LIST", info)
    data_bytes = sum(map(len, samples))
    riff = struct.pack("<4sI4s", b"RIFF", 4 + len(chunks) + 8 + data_bytes, b"WAVE")
    return Content(riff + chunks + struct.pack("<4sI", b"data", data_bytes), *samples)


def pack(pcm: NDArray[np.int32]) -> bytes:
    """24-bit samples ``(2, N)`` as the bytes of a WAV."""
    frames = np.ascontiguousarray(pcm.T, dtype="<i4").view(np.uint8).reshape(-1, 4)
    return frames[:, :3].tobytes()


def _bext(facts: WavFacts, level: Level, comment: str) -> bytes:
    tail = f"-{facts.version}{_REFERENCE_LETTERS[facts.name]}"
    reference = facts.job_id.removeprefix("j-")[: 32 - len(tail)] + tail
    return (
        _BEXT.pack(
            f"{comment}: {facts.name} of job {facts.job_id}, version {facts.version}".encode("ascii"),
            _ORIGINATOR.encode("ascii"),
            reference.encode("ascii"),
            facts.created_at.date().isoformat().encode("ascii"),
            facts.created_at.strftime("%H:%M:%S").encode("ascii"),
            0,
            2,
            bytes(64),
            _hundredths(level.lufs),
            _UNKNOWN,
            _hundredths(level.true_peak_dbtp),
            _UNKNOWN,
            _UNKNOWN,
            bytes(180),
        )
        + _CODING_HISTORY
    )


def _hundredths(value_db: float | None) -> int:
    return _UNKNOWN if value_db is None or abs(value_db) > 99.99 else round(value_db * 100.0)


def _text(name: bytes, text: str) -> bytes:
    return _chunk(name, text.encode("ascii") + b"\0")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + bytes(len(body) % 2)


def zip_file(folder: str, files: Sequence[tuple[str, Content]]) -> tuple[Content, list[job_pb2.ZipEntry]]:
    """A ZIP of stored files under one folder, without timestamps, and where each file lies in it. Below 4 GiB."""
    parts: list[bytes] = []
    directory: list[bytes] = []
    entries = []
    offset = 0
    for name, content in files:
        path = f"{folder}/{name}".encode("ascii")
        crc32 = 0
        for part in content.parts:
            crc32 = zlib.crc32(part, crc32)
        size = content.size_bytes
        common = (0, 0, 0, _FIRST_DAY, crc32, size, size, len(path), 0)
        header = _LOCAL.pack(b"PK\3\4", _ZIP_VERSION, *common) + path
        central = (b"PK\1\2", _MADE_ON_UNIX, _ZIP_VERSION, *common, 0, 0, 0, _REGULAR_FILE_0644, offset)
        directory.append(_CENTRAL.pack(*central) + path)
        entries.append(
            job_pb2.ZipEntry(name=name, offset_bytes=offset + len(header), size_bytes=size, sha256=content.sha256)
        )
        parts += [header, *content.parts]
        offset += len(header) + size
    whole = b"".join(directory)
    end = _END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(whole), offset, 0)
    return Content(*parts, whole, end), entries
