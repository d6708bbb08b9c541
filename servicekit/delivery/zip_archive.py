"""The ZIP of a version: stored, fixed timestamps, ZIP64 only where needed, a pure function of its files.

Written by hand rather than with the standard library, which puts sizes and checksums behind the data where the sink cannot seek.
Here every file can be made twice: it was read once for the digest that the manifest carries, so size, checksum and offset
are known before the first byte is written, every reader is served, and a Range request can fetch one file.

Layout by PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from servicekit.audio.digest import Content, ContentDigest, digest
from servicekit.audio.wav import Sink
from servicekit.delivery.files import ZipEntry
from servicekit.errors import Internal

_LOCAL = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END = struct.Struct("<4sHHHHIIH")
_END_64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<4sIQI")

_STORED = 0
_NO_FLAGS = 0
_TIME = 0
_DATE = 0x0021
"""1980-01-01, the first day that a ZIP can name."""
_VERSION_PLAIN = 20
_VERSION_ZIP64 = 45
_MADE_ON_UNIX = 3 << 8
_REGULAR_FILE_0644 = 0o100644 << 16
_FULL_32 = 0xFFFFFFFF
_FULL_16 = 0xFFFF
_ZIP64_TAG = 1


@dataclass(frozen=True)
class TextContent:
    """A text as the content of a file, in UTF-8."""

    text: str

    @property
    def size_bytes(self) -> int:
        """Length in bytes."""
        return len(self.text.encode())

    def chunks(self) -> Iterator[bytes]:
        """All of it at once."""
        yield self.text.encode()


@dataclass(frozen=True, eq=False)
class PackedFile:
    """A file to be packed: its name in the folder, its content and the digest of that content."""

    name: str
    content: Content
    digest: ContentDigest

    @classmethod
    def of(cls, name: str, content: Content) -> PackedFile:
        """Read ``content`` once for its digest."""
        return cls(name, content, digest(content))


@dataclass(frozen=True)
class ZipFacts:
    """What was written."""

    size_bytes: int
    sha256: str
    entries: tuple[ZipEntry, ...]


def zip_folder(job_id: str, version: int) -> str:
    """The one folder in the ZIP, with its slash: unpacking a later version never covers an earlier one."""
    return f"sonichaos-{job_id}/" if version == 1 else f"sonichaos-{job_id}-v{version}/"


def write_zip(sink: Sink, folder: str, files: Sequence[PackedFile]) -> ZipFacts:
    """Write ``files`` in their order under ``folder`` (ends in a slash), front to back.

    Raises Internal where a content comes out differently than its digest says; what was written so far is then worthless.
    """
    places = _places(folder, files)
    out = _CountingSink(sink)
    for place in places:
        out.write(_local_header(place))
        _write_content(out, place.file)
    central_offset = out.size_bytes
    central = b"".join(_central_header(place) for place in places)
    out.write(central)
    out.write(_end(len(places), len(central), central_offset))
    entries = tuple(
        ZipEntry(p.file.name, p.data_offset, p.file.digest.size_bytes, p.file.digest.sha256) for p in places
    )
    return ZipFacts(out.size_bytes, out.sha256, entries)


@dataclass(frozen=True)
class _Place:
    """A file at its place in the ZIP."""

    path: bytes
    file: PackedFile
    offset: int

    @property
    def data_offset(self) -> int:
        return self.offset + len(_local_header(self))


class _CountingSink:
    """Counts and digests what passes."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sha256.update(data)
        self.size_bytes += len(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


def _places(folder: str, files: Sequence[PackedFile]) -> list[_Place]:
    places: list[_Place] = []
    offset = 0
    for file in files:
        path = (folder + file.name).encode("ascii")
        place = _Place(path, file, offset)
        offset = place.data_offset + file.digest.size_bytes
        places.append(place)
    return places


def _write_content(out: _CountingSink, file: PackedFile) -> None:
    crc32, size = 0, 0
    for chunk in file.content.chunks():
        crc32 = zlib.crc32(chunk, crc32)
        size += len(chunk)
        out.write(chunk)
    if (size, crc32) != (file.digest.size_bytes, file.digest.crc32):
        raise Internal(
            f"{file.name} came out with {size} bytes and checksum {crc32:08x}, its digest was made of "
            f"{file.digest.size_bytes} bytes and {file.digest.crc32:08x}; its samples were changed while it was packed",
            metadata={"stage": "PACKAGE"},
        )


def _local_header(place: _Place) -> bytes:
    size = place.file.digest.size_bytes
    # Both sizes go to the extra field or neither does.
    extra = struct.pack("<HHQQ", _ZIP64_TAG, 16, size, size) if size >= _FULL_32 else b""
    shown = min(size, _FULL_32)
    return (
        _LOCAL.pack(
            b"PK\3\4",
            _VERSION_ZIP64 if extra else _VERSION_PLAIN,
            _NO_FLAGS,
            _STORED,
            _TIME,
            _DATE,
            place.file.digest.crc32,
            shown,
            shown,
            len(place.path),
            len(extra),
        )
        + place.path
        + extra
    )


def _central_header(place: _Place) -> bytes:
    size = place.file.digest.size_bytes
    wide = [size, size] if size >= _FULL_32 else []
    if place.offset >= _FULL_32:
        wide.append(place.offset)
    extra = struct.pack(f"<HH{len(wide)}Q", _ZIP64_TAG, 8 * len(wide), *wide) if wide else b""
    version = _VERSION_ZIP64 if wide else _VERSION_PLAIN
    shown = min(size, _FULL_32)
    return (
        _CENTRAL.pack(
            b"PK\1\2",
            _MADE_ON_UNIX | version,
            version,
            _NO_FLAGS,
            _STORED,
            _TIME,
            _DATE,
            place.file.digest.crc32,
            shown,
            shown,
            len(place.path),
            len(extra),
            0,
            0,
            0,
            _REGULAR_FILE_0644,
            min(place.offset, _FULL_32),
        )
        + place.path
        + extra
    )


def _end(count: int, central_size: int, central_offset: int) -> bytes:
    end = _END.pack(
        b"PK\5\6",
        0,
        0,
        min(count, _FULL_16),
        min(count, _FULL_16),
        min(central_size, _FULL_32),
        min(central_offset, _FULL_32),
        0,
    )
    if count < _FULL_16 and central_size < _FULL_32 and central_offset < _FULL_32:
        return end
    end_64 = _END_64.pack(
        b"PK\6\6",
        _END_64.size - 12,
        _MADE_ON_UNIX | _VERSION_ZIP64,
        _VERSION_ZIP64,
        0,
        0,
        count,
        count,
        central_size,
        central_offset,
    )
    return end_64 + _LOCATOR_64.pack(b"PK\6\7", 0, central_offset + central_size, 1) + end
